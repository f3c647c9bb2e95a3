using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Classifiers that see what changes from frame to frame.</summary>
public sealed class DifferencesTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();
    private readonly CpuDevice _device = new(threads: 1);

    /// <summary>A model that looks at each frame by itself answers of a clip played backwards as of the clip, unless it sees
    /// differences.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_model_of_single_frames_sees_what_changes(bool differences)
    {
        MemoryRows rows = new(6), backwards = new(6, change: values =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                int frame = i / 16;
                values[i] = rows.Values(frame / 4)[((3 - (frame % 4)) * 16) + (i % 16)];
            }
        });
        using Learner learner = new(_device, Classifiers.Create("frame-mlp", new ClassifierOptions(16, Differences: differences)),
            TrainingFixture.Learner());
        learner.Parameters.Initialize(7);

        double change = Scores(learner, rows).Zip(Scores(learner, backwards)).Max(pair => Math.Abs(pair.First - pair.Second));
        (change > 1e-3).ShouldBe(differences);
        (change < 1e-5).ShouldBe(!differences);
    }

    [Fact]
    public void The_layer_stands_in_the_summary()
    {
        Classifier model = Classifiers.Create("frame-mlp", new ClassifierOptions(16, Differences: true));
        LayerSummary first = ModelSummary.Of(model, 4).Layers[0];
        (first.Name, first.Kind, first.Parameters).ShouldBe(("differences", "TimeDifferences", 0));
        first.Shape.ShouldBe([4, 32]);
        model.Parameters[0].Shape.ToLengths().ShouldBe([64, 32]);
    }

    /// <summary>What is saved takes raw features and answers what validation in training, which went through the scaler, said.</summary>
    [Theory]
    [InlineData("frame-mlp", 0)]
    [InlineData("frame-mlp", 5)]
    [InlineData("bilstm-attention", 5)]
    [InlineData("gru-attention", 0)]
    public void A_saved_model_answers_as_in_training(string model, int whiten)
    {
        TrainingOptions options = _fixture.Options("run") with
        {
            Model = model,
            Differences = true,
            Whiten = whiten,
            StandardizeFeatures = true,
            WeightDecay = 0.01,
            Monitor = "val_loss",
        };
        RecordingObserver observer = new();
        TrainingResult result = TrainingFixture.Run(options, observer);

        string file = _fixture.File("run/best_model.safetensors");
        using var trained = TrainedClassifier.Load(_device, file);
        trained.Info.Differences.ShouldBeTrue();
        using ReplicaGroup replicas = ReplicaGroup.Of(trained.Learner);
        using Evaluator evaluator = new(replicas, new MemoryRows(9, seed: 2), 4);
        Evaluation evaluation = evaluator.Run();
        evaluation.Loss.ShouldBe(observer.Epochs.Single(epoch => epoch.Epoch == result.BestEpoch).ValLoss, 1e-5);

        // A checkpoint is folded when it is loaded: the same probabilities by another way.
        using var last = TrainedClassifier.Load(_device, _fixture.File($"run/checkpoint_epoch_{result.BestEpoch:000}.ckpt"));
        using ReplicaGroup lastReplicas = ReplicaGroup.Of(last.Learner);
        using Evaluator lastEvaluator = new(lastReplicas, new MemoryRows(9, seed: 2), 4);
        lastEvaluator.Run().Scores.Zip(evaluation.Scores).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) < 1e-6);
    }

    [Fact]
    public void Interrupted_and_resumed_is_bit_for_bit_uninterrupted()
    {
        TrainingOptions options = _fixture.Options("whole") with
        {
            Model = "frame-mlp",
            Differences = true,
            Whiten = 5,
            WeightDecay = 0.01,
            MixedPrecision = true,
        };
        TrainingFixture.Run(options);
        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.RunUntil(parts, 5).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingFixture.Run(parts with { Resume = "auto" }).Outcome.ShouldBe(RunOutcome.Completed);

        TrainingFixture.Payload(_fixture.File("parts/last.ckpt")).ShouldBe(TrainingFixture.Payload(_fixture.File("whole/last.ckpt")));
        Should.Throw<RunException>(() => TrainingFixture.Run(parts with { Resume = "auto", Differences = false }))
            .Message.ShouldContain("--differences was True, is not given");
    }

    /// <summary>Members with and without differences take the same features.</summary>
    [Fact]
    public void Members_of_an_ensemble_may_differ_in_it()
    {
        foreach (bool differences in new[] { false, true })
        {
            TrainingFixture.Run(_fixture.Options(differences ? "with" : "without") with
            {
                Model = "frame-mlp",
                Differences = differences,
                StandardizeFeatures = true,
                Epochs = 2,
            });
        }

        string[] files = [_fixture.File("with/best_model.safetensors"), _fixture.File("without/best_model.safetensors")];
        using var group = ClassifierGroup.Open(_device, files);
        MemoryRows rows = new(9, seed: 2);
        Evaluation[] together = group.EvaluateMembers(rows, 4, CancellationToken.None);
        foreach ((Evaluation evaluation, string file) in together.Zip(files))
        {
            using var alone = TrainedClassifier.Load(_device, file);
            evaluation.Scores.ShouldBe(Scores(alone.Learner, rows));
        }

        together[0].Scores.ShouldNotBe(together[1].Scores);
    }

    [Fact]
    public void The_linear_model_refuses_it()
    {
        OptionValidation.Validate(_fixture.Options("run") with { Model = "linear", Differences = true })
            .Single().ToString().ShouldBe("Differences: is not for Model linear, which looks at differences between frames itself");
        Should.Throw<ArgumentException>(() => Classifiers.Create("linear", new ClassifierOptions(16, Differences: true)))
            .Message.ShouldContain("LinearClassifier looks at differences itself");
    }

    public void Dispose()
    {
        _device.Dispose();
        _fixture.Dispose();
    }

    private static double[] Scores(Learner learner, MemoryRows rows)
    {
        using ReplicaGroup replicas = ReplicaGroup.Of(learner);
        using Evaluator evaluator = new(replicas, rows, 4);
        return evaluator.Run().Scores;
    }
}
