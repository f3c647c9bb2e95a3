using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class SoftmaxFocalLossTests
{
    public static TheoryData<bool, float, float> Forms => new()
    {
        { false, 2, 0 },
        { false, 2, 0.1f },
        { true, 0, 0 },
        { true, 0.5f, 0.1f },
        { true, 1, 0.1f },
        { true, 2, 0 },
        { true, 2, 0.1f },
        { true, 3.7f, 0.2f },
    };

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Forms))]
    public void Agrees_with_the_formula(bool focal, float gamma, float smoothing)
    {
        var options = new LossOptions(focal, gamma, smoothing);
        foreach ((int batch, int classes) in ((int, int)[])[(1, 2), (64, 2), (37, 5), (9, 64)])
        {
            Inputs inputs = Inputs.Random(batch, classes);
            var reference = new Reference(inputs, options);
            const float Scale = 1f / 64;
            const float LossScale = 1024;
            OpTest.Run(
                SimdSelection.Current,
                (team, buffers) => inputs.Run(team, buffers, options, Scale, LossScale),
                outputs =>
                {
                    double[] logits = inputs.Logits.Widen();
                    double[] losses = reference.Losses(logits);
                    outputs[0].ShouldAgreeWith(losses, Agreement.Forward, "losses");
                    outputs[1].ShouldAgreeWith(reference.Probabilities(logits), Agreement.Forward, "probabilities");
                    outputs[2].ShouldAgreeWith([.. reference.Gradient(logits).Select(g => g * Scale * LossScale)], Agreement.Backward,
                        "gradient");
                    outputs[3].ShouldAgreeWith([10 + (losses.Sum() * Scale)], Agreement.Forward, "loss in the state");
                });
        }
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void The_reference_has_the_right_gradients(bool focal, float gamma, float smoothing)
    {
        Inputs inputs = Inputs.Random(4, 3);
        var reference = new Reference(inputs, new LossOptions(focal, gamma, smoothing));
        double[] logits = inputs.Logits.Widen();
        Agreement.GradientsShouldBeRight(x => reference.Losses(x[0]).Sum(), [logits], [reference.Gradient(logits)]);
    }

    [Fact]
    public void Gamma_zero_is_alpha_times_cross_entropy()
    {
        Inputs inputs = Inputs.Random(20, 4) with { Alpha = Numbers.Filled(4, 0.25f) };
        float[][] focal = inputs.Run(new LossOptions(true, 0, 0.1f));
        float[][] crossEntropy = inputs.Run(new LossOptions(false, 0, 0.1f));
        focal[0].ShouldAgreeWith([.. crossEntropy[0].Select(v => v * 0.25)], 1e-6, "losses");
        focal[2].ShouldAgreeWith([.. crossEntropy[2].Select(v => v * 0.25)], 1e-6, "gradient");
    }

    [Fact]
    public void A_class_weight_multiplies_the_loss_and_gradient_of_its_samples_only()
    {
        var options = new LossOptions(true, 2, 0.1f);
        Inputs plain = Inputs.Random(16, 2) with { ClassWeights = [1, 1] };
        float[][] once = plain.Run(options);
        float[][] rare = (plain with { ClassWeights = [1, 4] }).Run(options);
        for (int sample = 0; sample < 16; sample++)
        {
            float factor = plain.Labels[sample] == 1 ? 4 : 1;
            rare[0][sample].ShouldBe(once[0][sample] * factor);
            rare[2][2 * sample].ShouldBe(once[2][2 * sample] * factor);
            rare[2][(2 * sample) + 1].ShouldBe(once[2][(2 * sample) + 1] * factor);
        }
    }

    [Fact]
    public void The_gradients_of_a_batch_are_those_of_its_parts()
    {
        var options = new LossOptions(true, 2, 0.1f);
        Inputs whole = Inputs.Random(12, 2);
        float[] together = whole.Run(options)[2];
        float[] parts = [.. new[] { 0..5, 5..12 }.SelectMany(part =>
            (whole with { Logits = whole.Logits[(2 * part.Start.Value)..(2 * part.End.Value)], Labels = whole.Labels[part] })
                .Run(options)[2])];
        parts.ShouldBeTheSameBitsAs(together, "gradient");
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(0.5f)]
    [InlineData(1f)]
    [InlineData(2f)]
    public void Extreme_logits_give_finite_numbers(float gamma)
    {
        float[] logits = [1e4f, -1e4f, -1e4f, 1e4f, 1e4f, 1e4f, 0, -90, 40, -40];
        Inputs inputs = new(logits, [0, 0, 1, 0, 1], [1, 1], [0.25f, 0.25f]);
        float[][] outputs = inputs.Run(new LossOptions(true, gamma, 0));
        outputs.SelectMany(o => o).ShouldAllBe(v => float.IsFinite(v));

        // Right for certain: no loss, no gradient. Wrong for certain: ℓ = α·Δ, and the gradient is that of cross-entropy times α.
        outputs[0][0].ShouldBe(0);
        outputs[2][0..2].ShouldBe([0, 0]);
        outputs[0][1].ShouldBe(0.25f * 2e4f);
        outputs[2][2..4].ShouldBe([-0.25f, 0.25f]);
    }

    [Fact]
    public void A_confident_sample_keeps_its_small_loss()
    {
        // −log p is 1 − p here, far below the spacing of floats at 1.
        Inputs inputs = new([0, -30], [0], [1, 1], [1, 1]);
        float[][] outputs = inputs.Run(new LossOptions(false, 0, 0));
        outputs[0].ShouldAgreeWith([Math.Exp(-30)], 1e-6, "loss");
        outputs[2].ShouldAgreeWith([-Math.Exp(-30), Math.Exp(-30)], 1e-6, "gradient");
    }

    [Fact]
    public void Non_finite_logits_give_non_finite_losses()
    {
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity])
        {
            Inputs inputs = new([bad, 0], [0], [1, 1], [1, 1]);
            float.IsFinite(inputs.Run(new LossOptions(true, 2, 0.1f))[0][0]).ShouldBeFalse();
        }
    }

    [Fact]
    public void Without_a_gradient_buffer_only_the_loss_is_computed()
    {
        using var team = new ThreadTeam(2);
        using var buffers = new Buffers();
        GuardedBuffer<float> losses = buffers.Output(1);
        var state = new StepState { LossScale = 1 };
        SoftmaxFocalLoss.Run(
            team, 1, 2, buffers.Of(0f, 0f), buffers.Of(1), null, null, losses, buffers.Output(2), null, &state, 1,
                new LossOptions(true, 0, 0));
        losses.Read().ShouldBe([MathF.Log(2)]);
        state.Loss.ShouldBe(MathF.Log(2));
    }

    private sealed record Inputs(float[] Logits, int[] Labels, float[] ClassWeights, float[] Alpha)
    {
        public int Classes => Logits.Length / Labels.Length;

        public static Inputs Random(int batch, int classes)
        {
            var random = new Random(batch);
            return new(
                Numbers.Random(batch * classes, 1, 4),
                [.. Enumerable.Range(0, batch).Select(_ => random.Next(classes))],
                [.. Numbers.Random(classes, 2).Select(v => v + 1.5f)],
                [.. Numbers.Random(classes, 3).Select(v => v + 1.5f)]);
        }

        public float[][] Run(LossOptions options)
        {
            using var team = new ThreadTeam(1);
            using var buffers = new Buffers();
            return Run(team, buffers, options, 1, 1);
        }

        /// <returns>Losses, probabilities, gradient, and the state's loss, which was 10 before.</returns>
        public float[][] Run(ThreadTeam team, Buffers buffers, LossOptions options, float scale, float lossScale)
        {
            GuardedBuffer<float> losses = buffers.Output(Labels.Length);
            GuardedBuffer<float> probabilities = buffers.Output(Logits.Length);
            GuardedBuffer<float> gradient = buffers.Output(Logits.Length);
            var state = new StepState { LossScale = lossScale, Loss = 10 };
            SoftmaxFocalLoss.Run(
                team, Labels.Length, Classes, buffers.Of(Logits), buffers.Of(Labels), buffers.Of(ClassWeights), buffers.Of(Alpha), losses,
                probabilities, gradient, &state, scale, options);
            return [losses.Read(), probabilities.Read(), gradient.Read(), [state.Loss]];
        }
    }

    private sealed record Reference(Inputs Inputs, LossOptions Options)
    {
        public double[] Probabilities(double[] logits) => Run(logits).Probabilities;

        public double[] Losses(double[] logits) => Run(logits).Losses;

        /// <summary>Of the sum of the losses.</summary>
        public double[] Gradient(double[] logits) => Run(logits).Gradient;

        private (double[] Losses, double[] Probabilities, double[] Gradient) Run(double[] logits)
        {
            int batch = Inputs.Labels.Length, classes = Inputs.Classes;
            using var oracle = new Oracle();
            Tensor losses = oracle.Zeros([batch]), p = oracle.Zeros([batch, classes]), gradient = oracle.Zeros([batch, classes]);
            Tensor weights = oracle.Of(Inputs.ClassWeights.Widen(), [classes]), alpha = oracle.Of(Inputs.Alpha.Widen(), [classes]);
            oracle.Ops.SoftmaxFocalLoss(
                oracle.Of(logits, [batch, classes]), oracle.Of(Inputs.Labels), weights, alpha, losses, p, gradient, oracle.State(), 1,
                Options);
            return (losses.ToDoubles(), p.ToDoubles(), gradient.ToDoubles());
        }
    }
}
