using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Kernels.Interop;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>What happens when the device fails: the message says what, and what can go on goes on.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaFaultTests : IDisposable
{
    private readonly MemoryRows _rows = new(3, frames: 2, dimension: 24);

    public CudaFaultTests() => CudaSimulator.Require();

    /// <summary>
    /// Memory runs out at the first, the second… allocation of a step; each time the message is complete, and afterwards the step works and
    /// gives the same bits.
    /// </summary>
    [Fact]
    public void Running_out_of_memory_in_a_queued_step_leaves_the_device_usable() => RunsOut(fuse: false, "simple-lstm");

    /// <summary>The same with every layer there is.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Running_out_of_memory_in_a_queued_step_of_the_large_model_leaves_the_device_usable() =>
        RunsOut(fuse: false, "lstm-attention");

    /// <summary>The same with the allocations of a capture.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void Running_out_of_memory_in_a_captured_step_leaves_the_device_usable() => RunsOut(fuse: true, "lstm-attention");

    private void RunsOut(bool fuse, string model)
    {
        float[] expected;
        using (CudaDevice device = CudaSimulator.Open())
        {
            using Learner learner = Create(device, fuse, model);
            using HostBatch batch = NewBatch(device);
            Train(learner, batch, 4);
            expected = learner.Parameters.Values.Read<float>();
        }

        int failures = 0;
        for (int k = 1; ; k++)
        {
            using CudaDevice device = CudaSimulator.Open();
            using Learner learner = Create(device, fuse, model);
            using HostBatch batch = NewBatch(device);

            // The arena tries again after emptying its cache: both attempts have to fail.
            CudaSimulator.Configure("FAIL_ALLOC", $"{k},{k + 1}");
            try
            {
                Train(learner, batch, 4);
                CudaSimulator.Reset();
                break;
            }
            catch (DeviceOutOfMemoryException exception)
            {
                CudaSimulator.Reset();
                failures++;
                exception.RequestedBytes.ShouldBeGreaterThan(0);
                exception.HeldBytes.ShouldBeGreaterThan(0);
                exception.FreeBytes.ShouldBeGreaterThan(0);
                exception.Message.ShouldContain("largest: ");
                exception.Message.ShouldContain("BatchSize");
            }

            device.Memory.InUse.ShouldBeGreaterThan(0);
            long done = learner.State.Read().AdamSteps;
            Train(learner, batch, 4 - (int)done);
            learner.Parameters.Values.Read<float>().ShouldBe(expected, $"after running out of memory at allocation {k}");
        }

        failures.ShouldBeGreaterThan(10);
    }

    [Fact]
    public void A_failed_launch_names_its_kernel_and_the_device_is_dead_from_then_on()
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner learner = Create(device, fuse: false);
        using HostBatch batch = NewBatch(device);
        learner.Train(batch, 1e-3);
        CudaSimulator.Configure("FAIL_LAUNCH", "Lstm_Backward_f32");

        CudaException failure = Should.Throw<CudaException>(() => learner.Train(batch, 1e-3));
        failure.Message.ShouldContain("LAUNCH_FAILED");
        failure.Message.ShouldContain(device.Name);
        failure.IsSticky.ShouldBeTrue();

        CudaException later = Should.Throw<CudaException>(() => learner.Train(batch, 1e-3));
        later.Message.ShouldContain("LAUNCH_FAILED");
    }

    [Fact]
    public void A_lost_device_is_reported_and_everything_can_be_disposed()
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner learner = Create(device, fuse: true);
        using HostBatch batch = NewBatch(device);
        Train(learner, batch, 4);
        CudaSimulator.Configure("LOSE_DEVICE", 1);

        Should.Throw<CudaException>(() => Train(learner, batch, 3)).IsSticky.ShouldBeTrue();
    }

    public void Dispose()
    {
        CudaSimulator.Reset();
        CudaContext.Undisposed.ShouldBe(0);
    }

    private static Learner Create(CudaDevice device, bool fuse, string model = "lstm-attention")
    {
        Learner learner = new(
            device, Classifiers.Create(model, new ClassifierOptions(24, Dropout: 0.5f)),
                TrainingFixture.Learner() with { FuseStep = fuse });
        learner.Parameters.Initialize(42);
        return learner;
    }

    private static void Train(Learner learner, HostBatch batch, int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            learner.Train(batch, 1e-3);
        }
    }

    private HostBatch NewBatch(CudaDevice device) => _rows.Batch(device, false, 0, 1, 2);
}
