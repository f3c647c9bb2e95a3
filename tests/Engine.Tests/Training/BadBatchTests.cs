using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Losses that are not finite: skip, halve the learning rate, stop and name the clips.</summary>
public sealed class BadBatchTests : IDisposable
{
    private const int RowLength = 4 * 16;

    private readonly CpuDevice _device = new(threads: 1);
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void One_bad_clip_costs_its_batch_and_no_more()
    {
        (TrainingState state, RecordingObserver observer) =
            Train(new MemoryRows(24, change: values => values[5 * RowLength] = float.NaN), new MemoryRows(9));

        state.Epoch.ShouldBe(3);
        state.LearningRateFactor.ShouldBe(1);
        state.SkippedSteps.ShouldBe(3);
        observer.Epochs.ShouldAllBe(
            epoch => epoch.SkippedSteps == 1 && double.IsFinite(epoch.Loss) && double.IsFinite(epoch.GradientNorm)
            && double.IsFinite(epoch.ValLoss));
        observer.Messages.Count(message => message.Severity == Severity.Warning && message.Text.Contains("the step was skipped"))
            .ShouldBe(3);
        AllFinite("last.ckpt");
        AllFinite("best_model.safetensors");
    }

    [Fact]
    public void Nothing_but_bad_batches_halves_the_rate_then_stops_and_names_the_clips()
    {
        RecordingObserver observer = new();
        MemoryRows bad = new(32, change: values => values.AsSpan().Fill(float.PositiveInfinity));
        RunException exception = Should.Throw<RunException>(() => Train(bad, new MemoryRows(9), observer));

        exception.Message.ShouldContain("stopped at step 5");
        exception.Message.ShouldContain("6 steps in a row");
        int[] last = EpochOrder.Of(32, seed: 42, epoch: 1, shuffle: true)[20..24];
        exception.Message.ShouldContain(string.Join(", ", last.Select(bad.NameOf)));
        observer.Messages.ShouldContain(message => message.Text.Contains("the learning rate is halved"));

        // The weights are those from before, here the initial ones, and training could go on with them.
        AllFinite("last.ckpt");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.File("last.ckpt"));
        checkpoint.State!.LearningRateFactor.ShouldBe(0.5);
        checkpoint.State.StepInEpoch.ShouldBe(6);
        using Learner loaded = CreateLearner(), fresh = CreateLearner();
        checkpoint.LoadModel(loaded.Parameters);
        loaded.Parameters.Values.Read<float>().ShouldBe(fresh.Parameters.Values.Read<float>());
        loaded.Parameters.BufferValues.Read<float>().ShouldBe(fresh.Parameters.BufferValues.Read<float>());
    }

    [Fact]
    public void An_answer_that_is_not_a_number_is_never_counted_as_one()
    {
        MemoryRows val = new(9, change: values => values[4 * RowLength] = float.NaN);

        Should.Throw<RunException>(() => Train(new MemoryRows(24), val)).Message.ShouldContain("'clip 4'");
    }

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    private Learner CreateLearner()
    {
        Learner learner = new(_device, Classifiers.Create("lstm-attention", new ClassifierOptions(16)), TrainingFixture.Learner());
        learner.Parameters.Initialize(42);
        return learner;
    }

    private (TrainingState State, RecordingObserver Observer) Train(MemoryRows train, MemoryRows val, RecordingObserver? observer = null)
    {
        observer ??= new RecordingObserver();
        TrainingOptions options = new() { BatchSize = 4, Epochs = 3, WarmupEpochs = 1, CheckpointEvery = 0 };
        ModelInfo info = new() { Model = "lstm-attention", Inputs = 16, Frames = 4, Backbone = "unknown", BackboneDescription = "none", Preprocess = "unknown" };
        using Learner learner = CreateLearner();
        using RunFolder folder = RunFolder.Open(_folder.Path, resume: false, overwrite: false);
        using ReplicaGroup replicas = ReplicaGroup.Of(learner);
        using TrainingLoop loop = new(options, replicas, info, train, val, folder, observer,
            new TrainingState().With(learner.State.Read()), scaler: null);
        loop.Run(CancellationToken.None);
        return (loop.State, observer);
    }

    private void AllFinite(string file)
    {
        using ITensorArchive archive = TensorArchive.Open(_folder.File(file));
        foreach ((string name, TensorEntry entry) in archive.Entries)
        {
            float[] values = new float[entry.ElementCount];
            archive.Read(name, values);
            values.ShouldAllBe(value => float.IsFinite(value), name);
        }
    }
}
