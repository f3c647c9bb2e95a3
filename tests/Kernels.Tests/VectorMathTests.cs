using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Tests;

public sealed unsafe class VectorMathTests
{
    public enum Function
    {
        Exp,
        Log,
        Sigmoid,
        Tanh,
        Log1p,
        Erf,
    }

    public static TheoryData<SimdLevel, Function> Cases => TestTeams.LevelsAnd<Function>();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_within_two_ulp_over_all_floats(SimdLevel level, Function function)
    {
        // Every 4099th float of both signs: prime, so that all mantissas and exponents take part.
        float[] x = [.. Enumerable.Range(0, int.MaxValue / 4099)
            .SelectMany(i => new[] { BitConverter.Int32BitsToSingle(i * 4099), -BitConverter.Int32BitsToSingle(i * 4099) })];
        float[] y = Apply(level, function, x);

        double worst = 0;
        for (int i = 0; i < x.Length; i++)
        {
            // Shouldly would take minutes here: one comparison, and a message only for a failure.
            double expected = Exact(function, x[i]);
            float rounded = (float)expected;
            double ulp = Math.Max(float.BitIncrement(Math.Abs(rounded)) - Math.Abs(rounded), float.Epsilon);
            double error = float.IsFinite(rounded) && float.IsFinite(y[i])
                ? Math.Abs(y[i] - expected) / ulp
                : y[i].Equals(rounded) ? 0 : double.PositiveInfinity;
            worst = Math.Max(worst, error);
            if (error > 2)
            {
                Assert.Fail($"{function}({x[i]:r}) is {y[i]:r}, expected {rounded:r}: {error:f2} ulp");
            }
        }

        worst.ShouldBeGreaterThan(0.4, "a comparison that cannot fail");
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_exact_at_the_edges(SimdLevel level, Function function)
    {
        float infinity = float.PositiveInfinity;
        (float X, float Y)[] points = function switch
        {
            Function.Exp => [(0, 1), (-0f, 1), (infinity, infinity), (-infinity, 0), (1e30f, infinity), (-1e30f, 0), (88.8f, infinity)],
            Function.Log => [(1, 0), (0, -infinity), (-0f, -infinity), (infinity, infinity)],
            Function.Sigmoid => [(0, 0.5f), (infinity, 1), (-infinity, 0), (100, 1), (-1e30f, 0)],
            Function.Log1p => [(0, 0), (-1, -infinity), (infinity, infinity), (1e-30f, 1e-30f)],
            Function.Erf => [(0, 0), (infinity, 1), (-infinity, -1), (6, 1), (-6, -1), (1e30f, 1)],
            _ => [(0, 0), (infinity, 1), (-infinity, -1), (50, 1), (-50, -1), (1e30f, 1), (1e-30f, 1e-30f)],
        };
        Apply(level, function, [.. points.Select(p => p.X)]).ShouldBe(points.Select(p => p.Y));

        float[] withoutValue = function switch
        {
            Function.Log => [float.NaN, -1, -infinity, -float.Epsilon],
            Function.Log1p => [float.NaN, -1.5f, -infinity],
            _ => [float.NaN],
        };
        Apply(level, function, withoutValue).ShouldAllBe(y => float.IsNaN(y));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Does_not_depend_on_the_place_in_the_vector(SimdLevel level, Function function)
    {
        float[] x = Numbers.Random(257, 1, 12);
        float[] whole = Apply(level, function, x);
        for (int shift = 1; shift < 20; shift++)
        {
            Apply(level, function, x[shift..]).ShouldBeTheSameBitsAs(whole[shift..], $"{function} shifted by {shift}");
        }
    }

    private static double Exact(Function function, double x) => function switch
    {
        Function.Exp => Math.Exp(x),
        Function.Log => Math.Log(x),
        Function.Sigmoid => x > 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x)),
        Function.Log1p => DoubleMath.Log1p(x),
        Function.Erf => DoubleMath.Erf(x),
        _ => Math.Tanh(x),
    };

    private static float[] Apply(SimdLevel level, Function function, float[] x)
    {
        using var team = new ThreadTeam(1, level);
        using var buffers = new Buffers();
        GuardedBuffer<float> input = buffers.Of(x);
        GuardedBuffer<float> output = buffers.Output(x.Length);
        var kernel = new Kernel { Function = function, Count = x.Length, X = input, Y = output };
        team.Run(ref kernel);
        return output.Read();
    }

    private struct Kernel : ITeamKernel
    {
        public Function Function;
        public int Count;
        public float* X;
        public float* Y;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int i = 0; i < Count; i += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, Count - i);
                TVec x = Lanes.Load<TSimd, TVec>(X + i, lanes);
                TVec y = Function switch
                {
                    Function.Exp => VectorMath.Exp<TSimd, TVec>(x),
                    Function.Log => VectorMath.Log<TSimd, TVec>(x),
                    Function.Sigmoid => VectorMath.Sigmoid<TSimd, TVec>(x),
                    Function.Log1p => VectorMath.Log1p<TSimd, TVec>(x),
                    Function.Erf => VectorMath.Erf<TSimd, TVec>(x),
                    _ => VectorMath.Tanh<TSimd, TVec>(x),
                };
                Lanes.Store<TSimd, TVec>(Y + i, y, lanes);
            }
        }
    }
}
