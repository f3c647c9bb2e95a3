using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Averages of the weights against their definitions, in runs that are interrupted, resumed and shared between devices.</summary>
public sealed class WeightAverageTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    public static TheoryData<string, int> Interruptions =>
        new() { { "lstm-attention", 6 }, { "lstm-attention", 7 }, { "lstm-attention", 11 }, { "attention-mil", 8 } };

    [Theory]
    [InlineData(0.9)]
    [InlineData(0.5)]
    public void The_moving_average_is_the_weighted_mean_of_its_definition(double decay)
    {
        float[][] weights = Weights(9, 1003);
        var average = WeightAverage.Exponential(decay);
        foreach (float[] step in weights)
        {
            average.Add(step);
        }

        double total = Enumerable.Range(0, weights.Length).Sum(i => Math.Pow(decay, i));
        for (int j = 0; j < weights[0].Length; j++)
        {
            double expected = Enumerable.Range(0, weights.Length).Sum(i => Math.Pow(decay, weights.Length - 1 - i) * weights[i][j]) / total;
            ((double)average.Values[j]).ShouldBe(expected, 1e-6);
        }
    }

    [Fact]
    public void The_plain_average_is_the_mean()
    {
        float[][] weights = Weights(7, 37);
        var average = WeightAverage.Plain(3);
        foreach (float[] epoch in weights)
        {
            average.Add(epoch);
        }

        average.Updates.ShouldBe(7);
        for (int j = 0; j < weights[0].Length; j++)
        {
            ((double)average.Values[j]).ShouldBe(weights.Average(epoch => (double)epoch[j]), 1e-6);
        }
    }

    /// <summary>The whole run against the definition: the weights behind epochs are in the numbered checkpoints.</summary>
    [Fact]
    public void A_run_averages_the_weights_behind_its_epochs()
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { SwaStart = 2 });

        AverageResult swa = result.Averages.ShouldHaveSingleItem();
        (swa.Name, swa.File, swa.Updates).ShouldBe(("swa", "swa_model.safetensors", 3));
        using Checkpoint last = Checkpoint.Open(_fixture.File("run/swa_model.safetensors"));
        last.Info!.Average.ShouldNotBeNull();
        last.Info.Threshold.ShouldBe(swa.Val.Threshold);
        using ITensorArchive averaged = TensorArchive.Open(_fixture.File("run/swa_model.safetensors"));
        using ITensorArchive second = TensorArchive.Open(_fixture.File("run/checkpoint_epoch_002.ckpt"));
        using ITensorArchive third = TensorArchive.Open(_fixture.File("run/checkpoint_epoch_003.ckpt"));
        using ITensorArchive fourth = TensorArchive.Open(_fixture.File("run/checkpoint_epoch_004.ckpt"));
        foreach (string name in new[] { "lstm_1.weight_ih", "bn_2.weight", "output.bias" })
        {
            float[] mean = Read(averaged, name);
            float[][] epochs = [Read(second, name), Read(third, name), Read(fourth, name)];
            epochs[0].ShouldNotBe(epochs[2]);
            for (int i = 0; i < mean.Length; i++)
            {
                ((double)mean[i]).ShouldBe(epochs.Average(epoch => (double)epoch[i]), 1e-6);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Interruptions))]
    public void Interrupted_and_resumed_has_the_same_averages(string model, int steps)
    {
        TrainingOptions options = _fixture.Options("whole") with { Model = model, Ema = 0.8, SwaStart = 2, StandardizeFeatures = true };
        TrainingResult whole = TrainingFixture.Run(options);
        TrainingOptions parts = options with { CheckpointDir = _fixture.File("parts") };
        TrainingFixture.RunUntil(parts, steps).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingResult resumed = TrainingFixture.Run(parts with { Resume = "auto" });

        foreach (string file in new[] { "best_model.safetensors", "last.ckpt", "ema_model.safetensors", "swa_model.safetensors" })
        {
            TrainingFixture.Payload(_fixture.File("parts/" + file)).ShouldBe(TrainingFixture.Payload(_fixture.File("whole/" + file)), file);
        }

        whole.Averages.Select(average => (average.Name, average.Updates)).ShouldBe([("ema", 12), ("swa", 3)]);
        resumed.Averages.Select(average => (average.Updates, average.Val.Loss, average.Test!.Loss))
            .ShouldBe(whole.Averages.Select(average => (average.Updates, average.Val.Loss, average.Test!.Loss)));
    }

    [Fact]
    public void Averages_change_nothing_else()
    {
        TrainingFixture.Run(_fixture.Options("plain"));
        TrainingFixture.Run(_fixture.Options("averaged") with { Ema = 0.9, SwaStart = 1 });

        TrainingFixture.Payload(_fixture.File("averaged/best_model.safetensors"))
            .ShouldBe(TrainingFixture.Payload(_fixture.File("plain/best_model.safetensors")));
        File.Exists(_fixture.File("plain/ema_model.safetensors")).ShouldBeFalse();
    }

    [Fact]
    public void Several_devices_keep_the_same_replicas_and_average_them()
    {
        TrainingResult result = TrainingFixture.Run(
            _fixture.Options("two") with { Device = "cpu:2", Threads = 2, Ema = 0.9, SwaStart = 1, CheckReplicas = 1 });

        result.Averages.Count.ShouldBe(2);
        result.Averages.ShouldAllBe(average => double.IsFinite(average.Val.Loss));
    }

    [Theory]
    [InlineData(0.9, 0, 0.8, 0, "--ema was 0.9, is 0.8")]
    [InlineData(0.9, 0, 0, 0, "--ema was 0.9, is not given")]
    [InlineData(0, 0, 0, 2, "--swa-start was not recorded, is 2")]
    public void Other_averages_are_another_run(double ema, int start, double otherEma, int otherStart, string difference)
    {
        TrainingOptions options = _fixture.Options("run");
        TrainingFixture.Run(options with { Epochs = 1, Ema = ema, SwaStart = start });

        Should.Throw<RunException>(() => TrainingFixture.Run(options with { Ema = otherEma, SwaStart = otherStart, Resume = "auto" }))
            .Message.ShouldEndWith($"belongs to another run: {difference}.");
    }

    [Fact]
    public void An_average_that_never_began_is_said()
    {
        RecordingObserver observer = new();
        TrainingFixture.Run(_fixture.Options("run") with { Epochs = 2, SwaStart = 3 }, observer).Averages.ShouldBeEmpty();

        observer.Messages.ShouldContain(message => message.Text.Contains("no swa model"));
        File.Exists(_fixture.File("run/swa_model.safetensors")).ShouldBeFalse();
    }

    /// <summary>
    /// Each layer's statistics are the mean and variance of all that the layer is given at inference, computed here in double precision;
    /// batches of any size give the same.
    /// </summary>
    [Theory]
    [InlineData(22)]
    [InlineData(5)]
    public void Batch_statistics_are_those_of_the_training_clips(int batchSize)
    {
        MemoryRows rows = new(22);
        using CpuDevice device = new(threads: 1);
        using Learner learner = new(device, Classifiers.Create("lstm-attention", new ClassifierOptions(16)), TrainingFixture.Learner());
        learner.Parameters.Initialize(7);
        FeatureScaler scaler = FeatureScaler.Fit(rows);
        BatchNormStatistics.Estimate(learner, rows, batchSize, scaler, CancellationToken.None);

        var inputs = new InputRecorder();
        using (BatchLoader loader = ReplicaGroup.Of(learner).NewLoader(rows, 22, scaler))
        {
            loader.Start([.. Enumerable.Range(0, 22)]);
            learner.Observe(loader.Next().Parts[0], inputs);
        }

        inputs.Layers.Count.ShouldBe(5);
        for (int layer = 0; layer < inputs.Layers.Count; layer++)
        {
            (float[] x, int channels) = inputs.Layers[layer];
            float[] mean = learner.Parameters.Buffers[2 * layer].Value.Read<float>(),
                variance = learner.Parameters.Buffers[(2 * layer) + 1].Value.Read<float>();
            for (int c = 0; c < channels; c++)
            {
                double[] values = [.. Enumerable.Range(0, x.Length / channels).Select(row => (double)x[(row * channels) + c])];
                double expected = values.Average();
                ((double)mean[c]).ShouldBe(expected, 1e-5);
                ((double)variance[c]).ShouldBe(values.Average(value => (value - expected) * (value - expected)), 1e-5);
            }
        }
    }

    public void Dispose() => _fixture.Dispose();

    private static float[][] Weights(int steps, int count)
    {
        Random random = new(5);
        return [.. Enumerable.Range(0, steps).Select(_ => Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f).ToArray())];
    }

    private static float[] Read(ITensorArchive archive, string name)
    {
        float[] values = new float[archive.Entries[name].ElementCount];
        archive.Read(name, values);
        return values;
    }

    private sealed class InputRecorder : IBatchNormObserver
    {
        public List<(float[] Values, int Channels)> Layers { get; } = [];

        public void Observe(Tape tape, Tensor x, Tensor runningMean) => Layers.Add((x.Read<float>(), x.Shape[-1]));
    }
}
