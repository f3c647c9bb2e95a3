using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Interop;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>Training steps on CUDA: op by op and as a graph, with every model, and what they ask of the device.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaStepTests : IDisposable
{
    private const int Batch = 4;

    private readonly MemoryRows _rows = new(2 * Batch, frames: 3, dimension: 24);

    public static TheoryData<string, bool> Models
    {
        get
        {
            TheoryData<string, bool> data = [];
            foreach (string model in Classifiers.Names)
            {
                data.Add(model, false);
                data.Add(model, true);
            }

            return data;
        }
    }

    /// <summary>
    /// Eight steps, two batches in turn: with two input blocks every batch is once queued, once captured and twice replayed.
    /// </summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void A_captured_step_has_the_bits_of_a_queued_one(string model, bool mixed)
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner queued = Create(device, model, mixed, fuse: false), captured = Create(device, model, mixed, fuse: true);
        using HostBatch first = _rows.Batch(device, mixed, 0, 1, 2, 3), second = _rows.Batch(device, mixed, 4, 5, 6, 7);
        for (int step = 0; step < 8; step++)
        {
            HostBatch batch = step % 2 == 0 ? first : second;
            captured.Train(batch, 1e-3).ShouldBe(queued.Train(batch, 1e-3));
        }

        captured.Parameters.Values.Read<float>().ShouldBe(queued.Parameters.Values.Read<float>());
        captured.Parameters.BufferValues.Read<float>().ShouldBe(queued.Parameters.BufferValues.Read<float>());
        captured.Optimizer.SecondMoments.Read<float>().ShouldBe(queued.Optimizer.SecondMoments.Read<float>());
    }

    /// <summary>The contract of the steady state.</summary>
    [Fact]
    public void A_step_is_one_graph_launch_and_two_copies()
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner learner = Create(device, "lstm-attention", mixed: true, fuse: true);
        using HostBatch first = _rows.Batch(device, true, 0, 1, 2, 3), second = _rows.Batch(device, true, 4, 5, 6, 7);
        for (int step = 0; step < 6; step++)
        {
            Step(step);
        }

        const int Steps = 10;
        CudaCounters counters = device.Counters;
        long[] before = Counts();
        for (int step = 0; step < Steps; step++)
        {
            Step(step);
        }

        Counts().Zip(before, (after, earlier) => after - earlier).ShouldBe([Steps, 0, 0, 2 * Steps, 0, 0, Steps]);

        long[] Counts() =>
        [
            counters.GraphLaunches, counters.KernelLaunches, counters.LibraryCalls, counters.Copies, counters.Fills,
            counters.DeviceAllocations, counters.HostWaits,
        ];

        void Step(int step)
        {
            learner.Start(step % 2 == 0 ? first : second, 1e-3);
            learner.Prefetch(step % 2 == 0 ? second : first);
            learner.Finish();
        }
    }

    /// <summary>A partial batch has a graph of its own, and the full ones stay right beside it.</summary>
    [Fact]
    public void Batches_of_other_sizes_and_evaluations_may_come_in_between()
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner queued = Create(device, "lstm-attention", mixed: true, fuse: false),
            captured = Create(device, "lstm-attention", mixed: true, fuse: true);
        using HostBatch full = _rows.Batch(device, true, 0, 1, 2, 3), part = _rows.Batch(device, true, 4, 5);
        float[] losses = new float[Batch];
        float[] scores = new float[Batch], expected = new float[Batch];
        for (int step = 0; step < 12; step++)
        {
            HostBatch batch = step % 3 == 2 ? part : full;
            captured.Train(batch, 1e-3).ShouldBe(queued.Train(batch, 1e-3));
            queued.Evaluate(full, losses, expected);
            captured.Evaluate(full, losses, scores);
            scores.ShouldBe(expected);
        }
    }

    /// <summary>A batch that overflows is skipped on the device, in a graph as well, and takes the running statistics back.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_bad_batch_changes_nothing_but_the_counters(bool fuse)
    {
        using CudaDevice device = CudaSimulator.Open();
        MemoryRows bad = new(Batch, frames: 3, dimension: 24, change: values => values[100] = float.NaN);
        using Learner learner = Create(device, "lstm-attention", mixed: true, fuse);
        using HostBatch good = _rows.Batch(device, true, 0, 1, 2, 3), broken = bad.Batch(device, true, 0, 1, 2, 3);
        for (int step = 0; step < 4; step++)
        {
            learner.Train(good, 1e-3).Skipped.ShouldBeFalse();
        }

        float[] values = learner.Parameters.Values.Read<float>(), buffers = learner.Parameters.BufferValues.Read<float>();
        StepOutcome outcome = learner.Train(broken, 1e-3);

        outcome.Skipped.ShouldBeTrue();
        outcome.LossScale.ShouldBe(1024);
        outcome.After.LossScale.ShouldBe(512);
        learner.Parameters.Values.Read<float>().ShouldBe(values);
        learner.Parameters.BufferValues.Read<float>().ShouldBe(buffers);
        learner.Train(good, 1e-3).Skipped.ShouldBeFalse();
    }

    [Theory]
    [InlineData("lstm-attention")]
    [InlineData("gru-attention")]
    public void Half_precision_trains_like_single_precision(string model)
    {
        using CudaDevice device = CudaSimulator.Open();
        double[] single = Losses(device, model, mixed: false), half = Losses(device, model, mixed: true);
        half.ShouldNotBe(single);
        half.Zip(single).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) <= 0.02 * pair.Second);
    }

    /// <summary>The copies in half precision that layers compute with are the masters, rounded, after every step.</summary>
    [Fact]
    public void Half_copies_follow_the_master_weights()
    {
        using CudaDevice device = CudaSimulator.Open();
        using Learner learner = Create(device, "lstm-attention", mixed: true, fuse: true);
        using HostBatch batch = _rows.Batch(device, true, 0, 1, 2, 3);
        for (int step = 0; step < 5; step++)
        {
            learner.Train(batch, 1e-2);
            learner.Parameters.Values.HalfCopy!.Read<Half>()
                .ShouldBe([.. learner.Parameters.Values.Read<float>().Select(value => (Half)value)]);
        }
    }

    public void Dispose() => CudaContext.Undisposed.ShouldBe(0);

    private static Learner Create(CudaDevice device, string model, bool mixed, bool fuse, float dropout = 0.5f)
    {
        Learner learner = new(
            device,
            Classifiers.Create(model, new ClassifierOptions(24, dropout, HalfReserve: mixed)),
            TrainingFixture.Learner(mixedPrecision: mixed) with { FuseStep = fuse });
        learner.Parameters.Initialize(42);

        // The initial scale would overflow in the first steps, as it should: here no step is to be skipped for that.
        learner.State.Write(new StepState { LossScale = mixed ? 1024 : 1 });
        return learner;
    }

    private double[] Losses(CudaDevice device, string model, bool mixed)
    {
        using Learner learner = Create(device, model, mixed, fuse: true, dropout: 0);
        using HostBatch batch = _rows.Batch(device, mixed, [.. Enumerable.Range(0, 2 * Batch)]);
        return [.. Enumerable.Range(0, 10).Select(_ => learner.Train(batch, 5e-4).Loss)];
    }
}
