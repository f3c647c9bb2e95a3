using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class AdamTests
{
    public static TheoryData<SimdLevel, ClipMode, double> Cases
    {
        get
        {
            var data = new TheoryData<SimdLevel, ClipMode, double>();
            foreach (SimdLevel level in SimdSelection.Available)
            {
                foreach (ClipMode mode in Enum.GetValues<ClipMode>())
                {
                    data.Add(level, mode, 0);
                    data.Add(level, mode, 3);
                }
            }

            return data;
        }
    }

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Cases))]
    public void Five_steps_agree_with_the_formula(SimdLevel level, ClipMode mode, double weightDecay)
    {
        // The third parameter's gradient is small, so that per-parameter clipping leaves it alone. The second does not decay.
        long[] offsets = [0, 3, 260, 291];
        float[] decaying = [1, 0, 1];
        int length = (int)offsets[^1];
        var options = new AdamOptions { ClipMode = mode, ClipNorm = 0.7f, WeightDecay = weightDecay };
        float[] Gradient(int step) => [.. Numbers.Random(length, step).Select((g, i) => i < 260 ? g : g * 0.01f)];

        double[] weights = Numbers.Random(length, 100).Widen();
        double[] first = new double[length];
        double[] second = new double[length];
        for (int step = 1; step <= 5; step++)
        {
            double[] gradient = Gradient(step).Widen();
            double global = Math.Sqrt(gradient.Sum(g => g * g));
            for (int i = 0; i < length; i++)
            {
                int parameter = Array.FindIndex(offsets, o => o > i) - 1;
                double own = Math.Sqrt(gradient[(int)offsets[parameter]..(int)offsets[parameter + 1]].Sum(g => g * g));
                double norm = mode == ClipMode.Global ? global : mode == ClipMode.PerParameter ? own : 0;
                double g = gradient[i] * Math.Min(1, 0.7 / norm);
                first[i] = (0.9 * first[i]) + (0.1 * g);
                second[i] = (0.999 * second[i]) + (0.001 * g * g);
                weights[i] -= 0.01 * weightDecay * decaying[parameter] * weights[i];
                weights[i] -= 0.01 * Math.Sqrt(1 - Math.Pow(0.999, step)) / (1 - Math.Pow(0.9, step)) * first[i] / (
                    Math.Sqrt(second[i]) + 1e-7);
            }
        }

        OpTest.Run(
            level,
            (team, buffers) =>
            {
                GuardedBuffer<long> begins = buffers.Of(offsets);
                GuardedBuffer<float> w = buffers.Of(Numbers.Random(length, 100));
                GuardedBuffer<float> m = buffers.Of(new float[length]);
                GuardedBuffer<float> v = buffers.Of(new float[length]);
                GuardedBuffer<Half> half = buffers.Uninitialised<Half>(length);
                GuardedBuffer<float> norms = buffers.Output(3);
                var state = new StepState { LossScale = 1, LearningRate = 0.01f };
                for (int step = 1; step <= 5; step++)
                {
                    GuardedBuffer<float> gradients = buffers.Of(Gradient(step));
                    GradientUnscale.Run(team, 3, begins, gradients, norms, &state);
                    Adam.Step(team, 3, begins, w, gradients, m, v, half, norms, buffers.Of(decaying), &state, options);
                    gradients.Read().ShouldBe(Gradient(step));
                }

                state.AdamSteps.ShouldBe(5);
                half.Span.ToArray().ShouldBe(w.Read().Select(x => (Half)x));
                return [w.Read(), m.Read(), v.Read()];
            },
            outputs =>
            {
                outputs[0].ShouldAgreeWith(weights, 1e-6, "weights");
                outputs[1].ShouldAgreeWith(first, 1e-5, "first moments");
                outputs[2].ShouldAgreeWith(second, 1e-5, "second moments");
            });
    }

    /// <summary>Two steps of one weight by hand: g = 1 then −2, lr = 0.1, no clipping.</summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void Two_steps_by_hand(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> w = buffers.Of(1f);
        GuardedBuffer<float> m = buffers.Of(0f);
        GuardedBuffer<float> v = buffers.Of(0f);
        var state = new StepState { LearningRate = 0.1f, LossScale = 1, GradientNorm = 1 };
        var options = new AdamOptions { ClipMode = ClipMode.Off };

        // t = 1: m = 0.1, v = 0.001; the corrections cancel up to ε: the step is lr·1/(1 + ε/√0.001) ≈ 0.1.
        Adam.Step(team, 1, buffers.Of(0L, 1L), w, buffers.Of(1f), m, v, null, null, null, &state, options);
        w.Read().ShouldAgreeWith([0.9000003], 1e-6, "w after one step");

        // t = 2: m = 0.09 − 0.2 = −0.11, v = 0.000999 + 0.004 = 0.004999;
        // the step is 0.1·√(1−0.998001)/(1−0.81)·(−0.11)/√0.004999 = −0.036610.
        Adam.Step(team, 1, buffers.Of(0L, 1L), w, buffers.Of(-2f), m, v, null, null, null, &state, options);
        m.Read().ShouldAgreeWith([-0.11], 1e-6, "m");
        v.Read().ShouldAgreeWith([0.004999], 1e-6, "v");
        w.Read().ShouldAgreeWith([0.936610], 2e-6, "w after two steps");
    }

    /// <summary>
    /// One step of a weight that decays beside one that does not, by hand: both 2, g = 0 and no moments, so that Adam itself does nothing;
    /// lr = 0.1 and λ = 0.5 take 0.1 · 0.5 · 2 = 0.1 from the first. With g = 1 the second step takes lr · 1 besides.
    /// </summary>
    [Theory]
    [MemberData(nameof(Levels))]
    public void Decay_by_hand(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> w = buffers.Of(2f, 2f), m = buffers.Of(0f, 0f), v = buffers.Of(0f, 0f), decays = buffers.Of(1f, 0f);
        GuardedBuffer<Half> half = buffers.Uninitialised<Half>(2);
        var state = new StepState { LearningRate = 0.1f, LossScale = 1 };
        var options = new AdamOptions { ClipMode = ClipMode.Off, WeightDecay = 0.5 };
        Adam.Step(team, 2, buffers.Of(0L, 1L, 2L), w, buffers.Of(0f, 0f), m, v, half, null, decays, &state, options);
        w.Read().ShouldBe([1.9f, 2f]);
        half.Span.ToArray().ShouldBe([(Half)1.9f, (Half)2f]);

        // t = 2: m = 0.1, v = 0.001, lr·√(1−0.998001)/(1−0.81) · 0.1/√0.001 = 0.0744128;
        // the first loses 0.1 · 0.5 · 1.9 = 0.095 more.
        Adam.Step(team, 2, buffers.Of(0L, 1L, 2L), w, buffers.Of(1f, 1f), m, v, half, null, decays, &state, options);
        w.Read().ShouldAgreeWith([1.7305872, 1.9255872], 1e-6, "w after two steps");
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_step_with_a_bad_gradient_changes_nothing(SimdLevel level)
    {
        using var team = new ThreadTeam(2, level);
        using var buffers = new Buffers();
        float[] values = Numbers.Random(100, 1);
        GuardedBuffer<float> w = buffers.Of(values);
        GuardedBuffer<float> m = buffers.Of(values);
        GuardedBuffer<float> v = buffers.Of(values);
        var state = new StepState { LearningRate = 0.1f, LossScale = 1, FoundNonFinite = 1, GradientNorm = float.NaN, AdamSteps = 4 };
        Adam.Step(team, 1, buffers.Of(0L, 100L), w, buffers.Of(Numbers.Filled(100, float.NaN)), m, v, null, null, null, &state,
            new AdamOptions());
        w.Read().ShouldBe(values);
        m.Read().ShouldBe(values);
        v.Read().ShouldBe(values);
        state.AdamSteps.ShouldBe(4);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_zero_gradient_is_not_clipped_to_NaN(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> w = buffers.Of(1f, 2f);
        var state = new StepState { LearningRate = 0.1f, LossScale = 1 };
        Adam.Step(
            team, 2, buffers.Of(0L, 1L, 2L), w, buffers.Of(0f, 0f), buffers.Of(0f, 0f), buffers.Of(0f, 0f), null, buffers.Of(0f, 0f), null,
            &state,
            new AdamOptions { ClipMode = ClipMode.PerParameter });
        w.Read().ShouldBe([1, 2]);
    }
}
