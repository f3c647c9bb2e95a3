using CudaTrainer.Engine.Tests.Allocation;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>Whole runs with <c>--device cuda</c>.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaTrainingTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_gives_the_same_files_as_a_graph_and_op_by_op(bool mixed)
    {
        RequireCuda();
        TrainingFixture.Run(Options("graph", mixed) with { Xla = true });
        TrainingFixture.Run(Options("queued", mixed) with { Xla = false });

        foreach (string file in new[] { "best_model.safetensors", "last.ckpt" })
        {
            TrainingFixture.Payload(_fixture.File($"graph/{file}"))
                .ShouldBe(TrainingFixture.Payload(_fixture.File($"queued/{file}")), file);
        }

        TrainingFixture.WithoutTimes(_fixture.File("graph/training_steps.csv"))
            .ShouldBe(TrainingFixture.WithoutTimes(_fixture.File("queued/training_steps.csv")));
    }

    [Fact]
    public void A_resumed_run_goes_on_with_the_same_bits()
    {
        RequireCuda();
        TrainingFixture.Run(Options("whole", mixed: true) with { Ema = 0.8, SwaStart = 2 });
        TrainingOptions parts = Options("parts", mixed: true) with { Ema = 0.8, SwaStart = 2 };
        TrainingFixture.RunUntil(parts, steps: 5).Outcome.ShouldBe(RunOutcome.Interrupted);
        TrainingFixture.Run(parts with { Resume = "auto" });

        foreach (string file in new[] { "last.ckpt", "ema_model.safetensors", "swa_model.safetensors" })
        {
            TrainingFixture.Payload(_fixture.File($"parts/{file}")).ShouldBe(TrainingFixture.Payload(_fixture.File($"whole/{file}")), file);
        }
    }

    /// <summary>In single precision a run agrees with the CPU's: the same batches, dropout masks and schedule.</summary>
    [Fact]
    public void A_run_agrees_with_the_one_on_the_cpu()
    {
        RequireCuda();
        double[] cuda = Losses("cuda:0"), cpu = Losses("cpu");
        cuda.Length.ShouldBe(9);
        cuda.Zip(cpu).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) <= 1e-4 * pair.Second);

        double[] Losses(string device)
        {
            TrainingFixture.Run(Options(device, mixed: false) with { Device = device });
            string[][] lines = [.. File.ReadAllLines(_fixture.File($"{device}/training_steps.csv")).Select(line => line.Split(','))];
            int column = Array.IndexOf(lines[0], "loss");
            return [.. lines.Skip(1).Select(line => double.Parse(line[column], System.Globalization.CultureInfo.InvariantCulture))];
        }
    }

    [Fact]
    public void The_header_names_the_device_its_precision_and_the_graph()
    {
        RequireCuda();
        RecordingObserver observer = new();
        TrainingFixture.Run(Options("run", mixed: true), observer);
        string header = string.Join('\n', observer.HeaderLines.Select(line => $"{line.Label}: {line.Text}"));
        header.ShouldContain("device: cuda:0 (asked for)");
        header.ShouldContain("fp16");
        header.ShouldContain("CUDA graph");
        header.Contains("SIMULATED", StringComparison.Ordinal).ShouldBe(CudaSimulator.IsSimulated);
    }

    public void Dispose() => _fixture.Dispose();

    private static void RequireCuda() => Assert.SkipUnless(Kernels.Interop.Cuda.IsAvailable, Kernels.Interop.Cuda.UnavailableReason);

    private TrainingOptions Options(string run, bool mixed) =>
        _fixture.Options(run) with { Device = "cuda:0", MixedPrecision = mixed, LearningRate = 1e-4, Epochs = 3 };
}

/// <summary>A step on CUDA leaves nothing for the garbage collector, from taking a batch to reporting progress.</summary>
[Collection(WholeProcess.Name)]
public sealed class CudaAllocationTests : IDisposable
{
    private const int BatchSize = 2;

    private readonly TrainingFixture _fixture = new();

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(true, false)]
    public void A_step_allocates_nothing(bool mixed, bool fuse)
    {
        Assert.SkipUnless(Kernels.Interop.Cuda.IsAvailable, Kernels.Interop.Cuda.UnavailableReason);
        AllocationMeter meter = new(warmUp: 12, window: 10);
        _fixture.Write("train", new MemoryRows((meter.MaxSteps + 5) * BatchSize));

        TrainingFixture.RunUntil(
            _fixture.Options("run") with { Device = "cuda:0", MixedPrecision = mixed, Xla = fuse, StandardizeFeatures = true, BatchSize = BatchSize, Epochs = 1, LearningRate = 1e-4 },
            _ =>
            {
                meter.Step();
                return meter.IsDone;
            });

        meter.ShouldHaveSeenNothing();
    }

    public void Dispose() => _fixture.Dispose();
}
