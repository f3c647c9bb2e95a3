using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class GradientUnscaleTests
{
    private const int Chunk = SumOfSquares.ChunkLength;

    public static TheoryData<SimdLevel> Levels => TestTeams.Levels;

    [Theory]
    [MemberData(nameof(Levels))]
    public void Unscales_and_measures_each_parameter(SimdLevel level)
    {
        long[] offsets = [0, 1, 1, 18, 18 + Chunk, 18 + Chunk + (2 * Chunk) + 5, 18 + Chunk + (2 * Chunk) + 12];
        float[] gradients = Numbers.Random((int)offsets[^1], 1, 100);
        OpTest.Run(
            level,
            (team, buffers) => Run(team, buffers, offsets, gradients, 64),
            outputs =>
            {
                outputs[0].ShouldBe(gradients.Select(g => g / 64));
                double[] norms = [.. Enumerable.Range(0, offsets.Length - 1).Select(p =>
                    Math.Sqrt(gradients[(int)offsets[p]..(int)offsets[p + 1]].Sum(g => (double)g * g)) / 64)];
                outputs[1].ShouldAgreeWith(norms, 1e-7, "norms");
                outputs[2].ShouldAgreeWith([Math.Sqrt(norms.Sum(n => n * n)), 0], 1e-7, "global norm and flag");
            });
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Finds_one_bad_number_wherever_it_is(SimdLevel level)
    {
        long[] offsets = [0, 40, 40 + (3 * Chunk) + 21];
        int length = (int)offsets[^1];
        int[] places = [0, 1, 15, 16, 39, 40, 41, 55, 56, 40 + Chunk - 1, 40 + Chunk, 40 + Chunk + 7, 40 + (3 * Chunk) - 1,
            40 + (3 * Chunk), length - 6, length - 1];
        using var team = new ThreadTeam(2, level);
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
        {
            foreach (int place in places)
            {
                using var buffers = new Buffers();
                float[] gradients = Numbers.Random(length, 1);
                gradients[place] = bad;
                float[][] outputs = Run(team, buffers, offsets, gradients, 2);
                outputs[2][1].ShouldBe(1, $"{bad} at {place}");
                float.IsFinite(outputs[1][place < 40 ? 0 : 1]).ShouldBeFalse();
                float.IsFinite(outputs[1][place < 40 ? 1 : 0]).ShouldBeTrue();
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void The_largest_floats_are_finite_but_their_norm_is_not(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        Run(team, buffers, [0, 1], [float.MaxValue], 1)[2].ShouldBe([float.MaxValue, 0]);
        Run(team, buffers, [0, 2], [float.MaxValue, float.MaxValue], 1)[2].ShouldBe([float.PositiveInfinity, 1]);
        Run(team, buffers, [0, 2], [1e-30f, 0], 1)[2].ShouldBe([1e-30f, 0]);
    }

    [Fact]
    public void A_clean_step_clears_the_flag()
    {
        using var team = new ThreadTeam(1);
        using var buffers = new Buffers();
        var state = new StepState { LossScale = 1, FoundNonFinite = 1 };
        GradientUnscale.Run(team, 1, buffers.Of(0L, 2L), buffers.Of(3f, 4f), buffers.Output(1), &state);
        state.FoundNonFinite.ShouldBe(0);
        state.GradientNorm.ShouldBe(5);
    }

    [Fact]
    public void Sum_of_squares_of_every_length()
    {
        using var team = new ThreadTeam(1);
        for (int length = 0; length <= 257; length++)
        {
            using var buffers = new Buffers(length % 2 == 0 ? Edge.Behind : Edge.Before);
            float[] x = Numbers.Random(length, length);
            Sum(team, buffers, x).ShouldBe(x.Sum(v => (double)v * v), 1e-13 * (length + 1));
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Long_sums_of_squares_have_the_same_bits_with_any_number_of_threads(SimdLevel level)
    {
        float[][] inputs = [.. ((int[])[Chunk - 1, Chunk, Chunk + 1, (3 * Chunk) + 17]).Select(length => Numbers.Random(length, 1))];
        OpTest.Run(
            level,
            (team, buffers) => [[.. inputs.Select(x => (float)Sum(team, buffers, x))]],
            outputs => outputs[0].ShouldAgreeWith([.. inputs.Select(x => x.Sum(v => (double)v * v))], 1e-7, "sums"));
    }

    private static double Sum(ThreadTeam team, Buffers buffers, float[] x)
    {
        double result = double.NaN;
        SumOfSquares.Run(team, x.Length, buffers.Of(x), &result);
        return result;
    }

    /// <returns>Gradients, norms, and {global norm, flag}.</returns>
    private static float[][] Run(ThreadTeam team, Buffers buffers, long[] offsets, float[] gradients, float lossScale)
    {
        GuardedBuffer<float> values = buffers.Of(gradients);
        GuardedBuffer<float> norms = buffers.Output(offsets.Length - 1);
        var state = new StepState { LossScale = lossScale, FoundNonFinite = -1 };
        GradientUnscale.Run(team, offsets.Length - 1, buffers.Of(offsets), values, norms, &state);
        return [values.Read(), norms.Read(), [state.GradientNorm, state.FoundNonFinite]];
    }
}
