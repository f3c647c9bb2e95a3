using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Device;
using ILGPU.Algorithms;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The functions of kernels, run by the device, against double precision.</summary>
[Collection(CudaCollection.Name)]
public sealed unsafe class GpuMathTests(CudaFixture fixture)
{
    public enum Function
    {
        Exp,
        Log,
        Log1P,
        Power,
        Tanh,
        Sigmoid,
        Fma,
        Sqrt,
        ReciprocalSqrt,
        LibraryExp,
        LibraryLog,
        LibraryTanh,
    }

    /// <summary>Units in the last place that a result may be off. 0.5 is rounding alone; 0.501 leaves room for double's own.</summary>
    [Theory]
    [InlineData(Function.Exp, 1.5)]
    [InlineData(Function.Log, 1.5)]
    [InlineData(Function.Log1P, 2)]
    [InlineData(Function.Power, 1.5)]
    [InlineData(Function.Tanh, 2)]
    [InlineData(Function.Sigmoid, 2)]
    [InlineData(Function.Fma, 0.501)]
    [InlineData(Function.Sqrt, 0.501)]
    [InlineData(Function.ReciprocalSqrt, 1.5)]
    public void Is_exact_to_units_in_the_last_place(Function function, double bound)
    {
        (double error, string where) = WorstError(function);
        error.ShouldBeLessThanOrEqualTo(bound, where);
        error.ShouldBeGreaterThan(0.4, "a comparison that cannot fail");
    }

    /// <summary>
    /// Why the polynomials are our own. A simulated GPU computes its approximate instructions as well as it can; real ones do not.
    /// </summary>
    [Theory]
    [InlineData(Function.LibraryExp, Function.Exp)]
    [InlineData(Function.LibraryLog, Function.Log)]
    [InlineData(Function.LibraryTanh, Function.Tanh)]
    public void Ours_are_more_exact_than_the_librarys(Function library, Function ours)
    {
        (double error, string where) = WorstError(library);
        error.ShouldBeGreaterThan(WorstError(ours).Error, where);
    }

    private (double Error, string Where) WorstError(Function function)
    {
        float[] x = [.. Inputs(function)], y = [.. x.Select((_, i) => Second(function, i))];
        using var arrays = new DeviceArrays(fixture);
        DeviceArray results = arrays.OutputFloats(x.Length), first = arrays.Floats(x), second = arrays.Floats(y);
        new GpuKernel<Arguments>(fixture.Library, Evaluate).Launch(fixture.Stream, LaunchSize.Strided(x.Length), new Arguments
        {
            X = new(first.Address, x.Length),
            Y = new(second.Address, x.Length),
            Results = new(results.Address, x.Length),
            Count = x.Length,
            Function = (int)function,
        });
        float[] actual = results.Read();
        double worst = 0;
        string where = string.Empty;
        for (int i = 0; i < x.Length; i++)
        {
            double exact = Exact(function, x[i], y[i]);
            float rounded = (float)exact;
            double spacing = Math.Max(float.BitIncrement(Math.Abs(rounded)) - Math.Abs(rounded), float.Epsilon);
            double ulp = spacing * Condition(function, x[i], y[i]);
            double error = float.IsFinite(rounded) && float.IsFinite(actual[i])
                ? Math.Abs(actual[i] - exact) / ulp
                : actual[i].Equals(rounded) ? 0 : double.PositiveInfinity;
            if (error > worst)
            {
                worst = error;
                where = $"{function}({x[i]:r}, {y[i]:r}) is {actual[i]:r} instead of {rounded:r}: {error:f2} ulp";
            }
        }

        TestContext.Current.SendDiagnosticMessage(where);
        return (worst, where);
    }

    private static IEnumerable<float> Inputs(Function function)
    {
        // Every 65537th float: prime, so that all exponents and many mantissas take part.
        IEnumerable<float> positive = Enumerable.Range(1, 0x7F800000 / 65537).Select(i => BitConverter.Int32BitsToSingle(i * 65537));
        IEnumerable<float> all = positive.Concat(positive.Select(value => -value));
        return function switch
        {
            Function.Log or Function.LibraryLog or Function.Sqrt or Function.ReciprocalSqrt => positive.Where(float.IsNormal),
            Function.Log1P => positive,
            Function.Power => positive.Where(value => value <= 1),
            Function.Exp or Function.LibraryExp => all.Where(value => Math.Abs(value) < 87),
            Function.Fma => all.Where(value => Math.Abs(value) is > 1e-15f and < 1e15f),
            _ => all,
        };
    }

    /// <summary>An exponent from 0 to 8, or whatever else the function takes.</summary>
    private static float Second(Function function, int i) => function == Function.Power ? i % 33 / 4f : (i % 1001 / 1001f) - 0.3f;

    /// <summary>What half a unit in the last place of the logarithm, the best there is, grows to in a power.</summary>
    private static double Condition(Function function, double x, double y) =>
        function == Function.Power ? 1 + Math.Abs(y * Math.Log(x)) : 1;

    private static double Exact(Function function, double x, double y) => function switch
    {
        Function.Exp or Function.LibraryExp => Math.Exp(x),
        Function.Log or Function.LibraryLog => Math.Log(x),
        Function.Log1P => x < 1e-5 ? x - (x * x / 2) + (x * x * x / 3) : Math.Log(1 + x),
        Function.Power => Math.Pow(x, y),
        Function.Tanh or Function.LibraryTanh => Math.Tanh(x),
        Function.Sigmoid => 1 / (1 + Math.Exp(-x)),
        Function.Fma => Math.FusedMultiplyAdd(x, y, x),
        Function.Sqrt => Math.Sqrt(x),
        _ => 1 / Math.Sqrt(x),
    };

    [GpuKernel(LaunchSize.Threads)]
    private static void Evaluate(Arguments a)
    {
        for (long i = GpuThread.FirstItem; i < a.Count; i += GpuThread.ItemStride)
        {
            a.Results.Start[i] = (Function)a.Function switch
            {
                Function.Exp => GpuMath.Exp(a.X.Start[i]),
                Function.Log => GpuMath.Log(a.X.Start[i]),
                Function.Log1P => GpuMath.Log1P(a.X.Start[i]),
                Function.Power => GpuMath.Power(a.X.Start[i], a.Y.Start[i]),
                Function.Tanh => VectorMath.Tanh<GpuLane, float>(a.X.Start[i]),
                Function.Sigmoid => VectorMath.Sigmoid<GpuLane, float>(a.X.Start[i]),
                Function.Fma => GpuMath.Fma(a.X.Start[i], a.Y.Start[i], a.X.Start[i]),
                Function.Sqrt => GpuMath.Sqrt(a.X.Start[i]),
                Function.ReciprocalSqrt => GpuMath.ReciprocalSqrt(a.X.Start[i]),
                Function.LibraryExp => XMath.Exp(a.X.Start[i]),
                Function.LibraryLog => XMath.Log(a.X.Start[i]),
                _ => XMath.Tanh(a.X.Start[i]),
            };
        }
    }

    private struct Arguments
    {
        public GpuArray<float> X;
        public GpuArray<float> Y;
        public GpuArray<float> Results;
        public long Count;
        public int Function;
    }
}
