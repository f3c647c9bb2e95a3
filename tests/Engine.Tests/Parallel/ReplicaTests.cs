using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Engine.Tests.Parallel;

/// <summary>What holds on replicas of every kind of device; a subclass opens the devices.</summary>
public abstract class ReplicaTests
{
    private const int Inputs = 16;

    /// <summary>
    /// Features spread widely enough that batch normalisation, which divides by their deviation, does not multiply rounding errors.
    /// </summary>
    private readonly MemoryRows _rows = new(64, change: values =>
    {
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = 8 * (values[i] - 0.7f);
        }
    });

    /// <summary>So many devices, each on a thread of its own.</summary>
    protected abstract IDevice[] Open(int count);

    private protected static LearnerOptions Options(bool sync = false, bool half = false, bool mixed = false, bool fuse = true) =>
        TrainingFixture.Learner(mixedPrecision: mixed) with { SyncBatchNorm = sync, HalfOnWire = half, FuseStep = fuse };

    protected static Classifier Model(string name = "lstm-attention", float dropout = 0.5f) =>
        Classifiers.Create(name, new ClassifierOptions(Inputs, dropout));

    /// <summary>Gradients of one step on a new group.</summary>
    private protected float[] Gradients(int replicas, int samples, LearnerOptions options, out StepOutcome outcome, out float[] buffers) =>
        Gradients(Open(replicas), samples, options, out outcome, out buffers);

    private float[] Gradients(IDevice[] devices, int samples, LearnerOptions options, out StepOutcome outcome, out float[] buffers)
    {
        try
        {
            using ReplicaGroup group = new(devices, () => Model(), options);
            outcome = Steps(group, samples, 1)[0];
            buffers = group.Lead.Parameters.BufferValues.Read<float>();
            float[] gradients = group.Lead.Parameters.Gradients.Read<float>();
            foreach (Learner learner in group.Replicas)
            {
                learner.Parameters.Gradients.Read<float>().ShouldBe(gradients, "every replica has the same bits");
                learner.Parameters.Values.Read<float>().ShouldBe(group.Lead.Parameters.Values.Read<float>());
                learner.Parameters.BufferValues.Read<float>().ShouldBe(buffers);
            }

            return gradients;
        }
        finally
        {
            Close(devices);
        }
    }

    private protected StepOutcome[] Steps(ReplicaGroup group, int samples, int steps, MemoryRows? rows = null)
    {
        rows ??= _rows;
        group.Initialize(7);
        using BatchLoader loader = group.NewLoader(rows, samples, scaler: null);
        StepOutcome[] outcomes = new StepOutcome[steps];
        for (int step = 0; step < steps; step++)
        {
            loader.Start([.. Enumerable.Range(0, samples).Select(i => (i + (step * samples)) % rows.Count)]);
            SplitBatch batch = loader.Next();
            group.Start(batch, 1e-3);
            outcomes[step] = group.Finish();
            group.Check(step);
            loader.Return(batch);
        }

        return outcomes;
    }

    protected static void Close(IEnumerable<IDevice> devices)
    {
        foreach (IDevice device in devices)
        {
            device.Dispose();
        }
    }

    /// <summary>‖a − b‖/‖b‖.</summary>
    protected static double Error(float[] a, float[] b) =>
        Math.Sqrt(a.Zip(b).Sum(pair => Math.Pow((double)pair.First - pair.Second, 2)) / b.Sum(value => (double)value * value));

    /// <summary>
    /// The gradients, loss and running statistics that shards give which one device takes one after another: without synchronised
    /// statistics, each shard has its own.
    /// </summary>
    protected (float[] Gradients, double Loss, float[] Buffers) OneAfterAnother(int replicas, int samples)
    {
        IDevice[] devices = Open(1);
        try
        {
            float[]? gradients = null, buffers = null;
            double loss = 0;
            for (int rank = 0; rank < Shard.Busy(samples, replicas); rank++)
            {
                Shard shard = Shard.Of(samples, rank, replicas);
                using Learner learner = new(devices[0], Model(), Options());
                learner.Parameters.Initialize(7);
                using HostBatch batch = _rows.Batch(devices[0], false, [.. Enumerable.Range(shard.First, shard.Count)]);
                batch.First = shard.First;
                batch.Total = samples;
                loss += learner.Train(batch, 1e-3).Loss;
                float[] part = learner.Parameters.Gradients.Read<float>(), moved = learner.Parameters.BufferValues.Read<float>();
                gradients = gradients is null ? part : [.. gradients.Zip(part, (a, b) => a + b)];
                float share = (float)shard.Count / samples;
                buffers = [.. moved.Select((value, i) => (buffers?[i] ?? 0) + (value * share))];
            }

            return (gradients!, loss, buffers!);
        }
        finally
        {
            Close(devices);
        }
    }

    /// <summary>A full batch, an odd one, and fewer samples than some groups have replicas.</summary>
    protected void Shards_give_the_gradients_of_the_shards_one_after_another(int replicas, int samples)
    {
        float[] gradients = Gradients(replicas, samples, Options(), out StepOutcome outcome, out float[] buffers);
        (float[] Gradients, double Loss, float[] Buffers) expected = OneAfterAnother(replicas, samples);
        Error(gradients, expected.Gradients).ShouldBeLessThan(1e-6);
        Error(buffers, expected.Buffers).ShouldBeLessThan(1e-6);
        outcome.Loss.ShouldBe(expected.Loss, 1e-6);
    }

    protected void Synchronised_replicas_give_the_gradients_of_one_device(int replicas, int samples)
    {
        float[] expected = Gradients(1, samples, Options(), out StepOutcome alone, out float[] buffersAlone);
        float[] exact = Gradients([new ReferenceDevice()], samples, Options(), out _, out _);
        float[] gradients = Gradients(replicas, samples, Options(sync: true), out StepOutcome outcome, out float[] buffers);

        // Normalising a handful of samples amplifies rounding: then one device is no nearer to the exact gradient than that.
        Error(gradients, expected).ShouldBeLessThan(samples >= 64 ? 1e-6 : Math.Max(1e-6, 4 * Error(expected, exact)));
        Error(buffers, buffersAlone).ShouldBeLessThan(1e-6);
        outcome.Loss.ShouldBe(alone.Loss, samples >= 64 ? 1e-6 : 1e-5);
        outcome.Correct.ShouldBe(alone.Correct);
    }

    protected void An_overflow_on_one_replica_skips_the_step_on_all(int replicas)
    {
        IDevice[] devices = Open(replicas);
        try
        {
            // The last clip is on the last replica only.
            MemoryRows rows = new(8, change: values => values[^1] = float.PositiveInfinity);
            using ReplicaGroup group = new(devices, () => Model(), Options());
            StepOutcome[] outcomes = Steps(group, 8, 2, rows);
            outcomes.ShouldAllBe(outcome => outcome.Skipped);
            foreach (Learner learner in group.Replicas)
            {
                learner.State.Read().SkippedSteps.ShouldBe(2);
                learner.Parameters.BufferValues.Read<float>().ShouldAllBe(value => float.IsFinite(value));
            }
        }
        finally
        {
            Close(devices);
        }
    }
}
