using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Formulas on the processor, and the derivatives that they compute of themselves.</summary>
public sealed unsafe class FusedKernelsTests
{
    private const int Trees = 1000;
    private const int Rows = 5;
    private const int Columns = 21;

    /// <summary>Sizes around vectors, tiles and chunks.</summary>
    public static TheoryData<SimdLevel, int, int> Sizes => [.. SimdSelection.Available.SelectMany(level =>
        new[] { (1, 1), (1, 16), (3, 17), (2, 1024), (2, 1025), (70, 33), (1100, 5) }.Select(size => (level, size.Item1, size.Item2)))];

    [Theory]
    [MemberData(nameof(TestTeams.Levels), MemberType = typeof(TestTeams))]
    public void A_thousand_drawn_formulas_and_their_gradients_are_those_of_double_precision(SimdLevel level)
    {
        Random random = new(7);
        using var buffers = new Buffers();
        float[] a = Numbers.Random(Rows * Columns, 1, 1), b = Numbers.Random(Columns, 2, 1), c = Numbers.Random(Rows, 3, 1),
            dy = Numbers.Random(Rows * Columns, 4, 1);
        TestTeams.ForEach(level, teams =>
        {
            int compared = 0;
            for (int tree = 0; tree < Trees; tree++)
            {
                var formula = DrawnFormula.Draw(random);
                FusedResult expected = FusedResult.Exact(formula, a, b, c, dy);
                FusedResult[] actual = [.. teams.Take(2).Select(team => Run(team, formula, a, b, c, dy))];
                actual[1].ShouldBeTheBitsOf(actual[0]);
                compared += actual[0].Compare(expected, $"{formula}");
            }

            compared.ShouldBeGreaterThan(Trees * 4 * 9 / 10);
        });
    }

    /// <summary>Where the slope differs from one side to the other there is a kink, which is left out.</summary>
    [Fact]
    public void The_derivative_of_a_thousand_drawn_formulas_is_the_limit_of_differences()
    {
        Random random = new(8);
        int compared = 0, kinks = 0;
        for (int tree = 0; tree < Trees; tree++)
        {
            var fusion = new Fusion3<DrawnFormula>(DrawnFormula.Draw(random));
            double[] x = [random.NextDouble() - 0.5, random.NextDouble() - 0.5, random.NextDouble() - 0.5];
            for (int operand = 0; operand < 3; operand++)
            {
                const double Step = 1e-6;
                double left = (At(fusion, x, operand, 0) - At(fusion, x, operand, -Step)) / Step;
                double right = (At(fusion, x, operand, Step) - At(fusion, x, operand, 0)) / Step;
                if (Math.Abs(left - right) > 1e-3 * (1 + Math.Abs(left)))
                {
                    kinks++;
                    continue;
                }

                double slope = fusion.Slope<DoubleMath, double>(IFusion.Output, x[0], x[1], x[2], 0, default, operand).PassBack(1);
                slope.ShouldBe((left + right) / 2, 1e-6 * (1 + Math.Abs(left)), $"{fusion} along {operand}");
                compared++;
            }
        }

        kinks.ShouldBeLessThan(Trees / 10);
        compared.ShouldBeGreaterThan(Trees * 2);
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Sums_of_gradients_are_the_same_bits_for_any_number_of_threads(SimdLevel level, int rows, int columns)
    {
        float[] a = Numbers.Random(rows * columns, 1, 1), b = Numbers.Random(columns, 2, 1), c = Numbers.Random(rows, 3, 1),
            dy = Numbers.Random(rows * columns, 4, 1);
        TestTeams.ForEach(level, teams =>
        {
            var formula = default(ScaleShiftRelu);
            FusedResult expected = FusedResult.Exact(formula, a, b, c, dy);
            FusedResult[] actual = [.. teams.Select(team => Run(team, formula, a, b, c, dy))];
            actual[1].ShouldBeTheBitsOf(actual[0]);
            actual[2].ShouldBeTheBitsOf(actual[0]);
            actual[0].Compare(expected, $"{rows} x {columns}").ShouldBe(4);
        });
    }

    /// <summary>∂(s·x + t)/∂x is s also where x is infinite, which a slope of 0 for s would make 0·∞.</summary>
    [Theory]
    [MemberData(nameof(TestTeams.Levels), MemberType = typeof(TestTeams))]
    public void What_does_not_vary_makes_no_NaN(SimdLevel level)
    {
        using var team = new ThreadTeam(1, level);
        FusedResult result = Run(team, default(ScaleShiftRelu), [float.PositiveInfinity], [2], [1], [1]);

        result.A.ShouldBe([2f]);
        result.B.ShouldBe([float.PositiveInfinity]);
        result.C.ShouldBe([1f]);
    }

    private static double At(Fusion3<DrawnFormula> fusion, double[] x, int operand, double step)
    {
        double[] moved = [.. x];
        moved[operand] += step;
        return fusion.Value<Real<DoubleMath, double>>(
            IFusion.Output, new(moved[0]), new(moved[1]), new(moved[2]), default, default).Value;
    }

    /// <summary>The second operand repeats along columns, the third along rows.</summary>
    private static FusedResult Run<TFormula>(ThreadTeam team, TFormula formula, float[] a, float[] b, float[] c, float[] dy)
        where TFormula : unmanaged, IFormula3
    {
        using var buffers = new Buffers();
        GuardedBuffer<float> x = buffers.Of(a), s = buffers.Of(b), t = buffers.Of(c), gradient = buffers.Of(dy),
            y = buffers.Output(a.Length), dx = buffers.Output(a.Length), ds = buffers.Output(b.Length), dt = buffers.Output(c.Length);
        var shape = new FusedShape(a.Length, b.Length);
        var fusion = new Fusion3<TFormula>(formula);
        Operands<FusedOperand> operands = Of(x, s, t);
        FusedKernels.Forward(team, fusion, shape, operands,
            Operands<FusedOperand>.Of(new((nint)(float*)y, OperandSpread.Whole, IsHalf: false)));
        var ofGradient = new FusedOperand((nint)(float*)gradient, OperandSpread.Whole, IsHalf: false);
        FusedKernels.Backward(team, fusion, shape, Operands<FusedOperand>.Of(ofGradient), operands, Of(dx, ds, dt));
        return new FusedResult(y.Read(), dx.Read(), ds.Read(), dt.Read());
    }

    private static Operands<FusedOperand> Of(float* whole, float* column, float* row) => Operands<FusedOperand>.Of(
        new((nint)whole, OperandSpread.Whole, IsHalf: false), new((nint)column, OperandSpread.Column, IsHalf: false),
        new((nint)row, OperandSpread.Row, IsHalf: false), default);
}
