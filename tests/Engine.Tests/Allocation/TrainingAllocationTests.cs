using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tests.Training;

namespace CudaTrainer.Engine.Tests.Allocation;

/// <summary>A training step, from taking a batch to reporting progress, leaves nothing for the garbage collector, on no thread.</summary>
[Collection(WholeProcess.Name)]
public sealed class TrainingAllocationTests : IDisposable
{
    private const int BatchSize = 4;

    private readonly TrainingFixture _fixture = new();

    public static TheoryData<string, bool> Models
    {
        get
        {
            TheoryData<string, bool> data = [];
            // What a solver fits has no steps.
            foreach (string model in Classifiers.Names.Where(name => !ModelCases.IsFitted(name)))
            {
                data.Add(model, false);
                data.Add(model, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_step_allocates_nothing(string model, bool mixedPrecision)
    {
        AllocationMeter meter = new(warmUp: 10, window: 50);
        _fixture.Write("train", new MemoryRows((meter.MaxSteps + 5) * BatchSize));

        TrainingFixture.RunUntil(
            _fixture.Options("run") with
            {
                Model = model,
                MixedPrecision = mixedPrecision,
                StandardizeFeatures = true,
                BatchSize = BatchSize,
                Epochs = 1,
                Threads = 2,
                LearningRate = 1e-4,
            },
            _ =>
            {
                meter.Step();
                return meter.IsDone;
            });

        meter.ShouldHaveSeenNothing();
    }

    public void Dispose() => _fixture.Dispose();
}
