using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;

namespace CudaTrainer.Engine.Tests.Training;

public sealed class LearnerTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 1);

    /// <summary>
    /// With α and w of a class doubled nothing else changes, so loss and gradient of a batch of that class double exactly.
    /// </summary>
    [Fact]
    public void A_class_weight_multiplies_the_gradients_of_its_class()
    {
        MemoryRows rows = new(12);
        (StepOutcome plain, float[] plainGradients) = OneStep(rows, [1, 1], 0, 3, 6, 9);
        (StepOutcome weighted, float[] weightedGradients) = OneStep(rows, [1, 2], 0, 3, 6, 9);
        (StepOutcome other, float[] otherGradients) = OneStep(rows, [2, 1], 0, 3, 6, 9);

        weighted.Loss.ShouldBe(2 * plain.Loss);
        weightedGradients.ShouldBe([.. plainGradients.Select(value => 2 * value)]);
        plainGradients.ShouldContain(value => value != 0);
        other.Loss.ShouldBe(plain.Loss);
        otherGradients.ShouldBe(plainGradients);
    }

    [Fact]
    public void A_bad_batch_changes_nothing_but_the_counters()
    {
        MemoryRows good = new(12), bad = new(12, change: values => values[100] = float.NaN);
        using Learner learner = Create(good, mixedPrecision: false);
        using HostBatch first = good.Batch(_device, false, 0, 1, 2, 3), broken = bad.Batch(_device, false, 0, 1, 2, 3);
        learner.Train(first, 0.01).Skipped.ShouldBeFalse();
        float[] values = learner.Parameters.Values.Read<float>(), buffers = learner.Parameters.BufferValues.Read<float>();
        float[] moments = learner.Optimizer.FirstMoments.Read<float>();

        StepOutcome outcome = learner.Train(broken, 0.01);

        outcome.Skipped.ShouldBeTrue();
        double.IsFinite(outcome.Loss).ShouldBeFalse();
        learner.Parameters.Values.Read<float>().ShouldBe(values);
        learner.Parameters.BufferValues.Read<float>().ShouldBe(buffers);
        learner.Optimizer.FirstMoments.Read<float>().ShouldBe(moments);
        (learner.State.Read().AdamSteps, learner.State.Read().SkippedSteps, learner.State.Read().ConsecutiveSkips).ShouldBe((1, 1, 1));

        learner.Train(first, 0.01).Skipped.ShouldBeFalse();
        learner.Parameters.BufferValues.Read<float>().ShouldAllBe(value => float.IsFinite(value));
        learner.State.Read().ConsecutiveSkips.ShouldBe(0);
    }

    [Fact]
    public void A_scale_that_overflows_the_gradients_is_halved_until_they_fit()
    {
        MemoryRows rows = new(12);
        using Learner learner = Create(rows, mixedPrecision: true, classWeights: [1e4f, 1e4f]);
        using HostBatch batch = rows.Batch(_device, true, 0, 1, 2, 3);
        StepState state = learner.State.Read();
        state.LossScale = float.MaxValue;
        learner.State.Write(state);
        float[] before = learner.Parameters.Values.Read<float>();

        float scale = float.MaxValue;
        int skipped = 0;
        for (StepOutcome outcome = learner.Train(batch, 0.01); outcome.Skipped; outcome = learner.Train(batch, 0.01))
        {
            double.IsFinite(outcome.Loss).ShouldBeTrue();
            outcome.LossScale.ShouldBe(scale);
            learner.Parameters.Values.Read<float>().ShouldBe(before);
            scale /= 2;
            learner.State.Read().LossScale.ShouldBe(scale);
            (++skipped).ShouldBeLessThan(128);
        }

        skipped.ShouldBeGreaterThan(0);
        learner.Parameters.Values.Read<float>().ShouldNotBe(before);
        learner.State.Read().LossScale.ShouldBe(scale);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Weight_decay_takes_its_share_of_matrices_and_leaves_vectors_alone(bool reference)
    {
        using HostDevice device = reference ? new ReferenceDevice() : new CpuDevice(threads: 2);
        const double Rate = 0.01, Decay = 0.5;
        MemoryRows rows = new(12);
        LearnerOptions options = TrainingFixture.Learner();
        using Learner plain = Create(rows, options, device),
            decaying = Create(rows, options with { Adam = options.Adam with { WeightDecay = Decay } }, device);
        using HostBatch batch = rows.Batch(device, false, 0, 1, 2, 3);
        plain.Train(batch, Rate);
        decaying.Train(batch, Rate);

        int matrices = 0, vectors = 0;
        foreach ((Parameter expected, Parameter actual, float[] initial) in plain.Parameters.Parameters
            .Zip(decaying.Parameters.Parameters, Initial(rows)))
        {
            float[] left = expected.Value.Read<float>(), decayed = actual.Value.Read<float>();
            if (expected.Shape.Rank == 1)
            {
                vectors++;
                decayed.ShouldBe(left, expected.Name);
                continue;
            }

            matrices++;
            for (int i = 0; i < left.Length; i++)
            {
                ((double)decayed[i]).ShouldBe(left[i] - (Rate * Decay * initial[i]), 1e-7, $"{expected.Name} {i}");
            }

            decayed.ShouldNotBe(left, expected.Name);
        }

        (matrices, vectors).ShouldBe((11, 17));
    }

    [Fact]
    public void Mixed_precision_trains_like_single_precision()
    {
        MemoryRows rows = new(24);
        double[] single = Losses(rows, mixedPrecision: false), mixed = Losses(rows, mixedPrecision: true);

        mixed.ShouldNotBe(single);
        mixed.Zip(single).ShouldAllBe(pair => Math.Abs(pair.First - pair.Second) <= 0.02 * pair.Second);
    }

    public void Dispose() => _device.Dispose();

    private Learner Create(MemoryRows rows, bool mixedPrecision, float[]? classWeights = null) =>
        Create(rows, TrainingFixture.Learner(classWeights, mixedPrecision));

    private Learner Create(MemoryRows rows, LearnerOptions options, HostDevice? device = null)
    {
        Learner learner = new(
            device ?? _device,
            Classifiers.Create("lstm-attention", new ClassifierOptions(rows.Dimension, Dropout: 0, HalfReserve: options.MixedPrecision)),
            options);
        learner.Parameters.Initialize(42);
        return learner;
    }

    /// <summary>What each parameter begins with.</summary>
    private float[][] Initial(MemoryRows rows)
    {
        using Learner learner = Create(rows, mixedPrecision: false);
        return [.. learner.Parameters.Parameters.Select(parameter => parameter.Value.Read<float>())];
    }

    private (StepOutcome Outcome, float[] Gradients) OneStep(MemoryRows rows, float[] classWeights, params int[] batch)
    {
        using Learner learner = Create(rows, mixedPrecision: false, classWeights);
        using HostBatch host = rows.Batch(_device, false, batch);
        return (learner.Train(host, 0.001), learner.Parameters.Gradients.Read<float>());
    }

    private double[] Losses(MemoryRows rows, bool mixedPrecision)
    {
        using Learner learner = Create(rows, mixedPrecision);
        using HostBatch batch = rows.Batch(_device, mixedPrecision, [.. Enumerable.Range(0, 24)]);
        return [.. Enumerable.Range(0, 10).Select(_ => learner.Train(batch, 0.0005).Loss)];
    }
}
