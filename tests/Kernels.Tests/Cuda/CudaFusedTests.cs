using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Formulas on a GPU.</summary>
[Collection(CudaCollection.Name)]
public sealed class CudaFusedTests(CudaFixture fixture)
{
    private const int Trees = 1000;
    private const int Rows = 3;
    private const int Columns = 9;

    [Fact]
    [Trait("Category", "Slow")]
    public void A_thousand_drawn_formulas_and_their_gradients_are_those_of_double_precision()
    {
        Random random = new(7);
        float[] a = Numbers.Random(Rows * Columns, 1, 1), b = Numbers.Random(Columns, 2, 1), c = Numbers.Random(Rows, 3, 1),
            dy = Numbers.Random(Rows * Columns, 4, 1);
        var kernels = new FusedKernels<Fusion3<DrawnFormula>>(fixture.Library);
        int compared = 0;
        for (int tree = 0; tree < Trees; tree++)
        {
            var formula = DrawnFormula.Draw(random);
            compared += Run(kernels, new(formula), a, b, c, dy).Compare(FusedResult.Exact(formula, a, b, c, dy), $"{formula}");
        }

        compared.ShouldBeGreaterThan(Trees * 4 * 9 / 10);
    }

    /// <summary>Rows of whole groups of 16 bytes, of parts of them, longer than a block, and more than a block has threads for.</summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 16)]
    [InlineData(3, 33)]
    [InlineData(2, 2056)]
    [InlineData(300, 4)]
    public void Every_size_is_covered(int rows, int columns)
    {
        float[] a = Numbers.Random(rows * columns, 1, 1), b = Numbers.Random(columns, 2, 1), c = Numbers.Random(rows, 3, 1),
            dy = Numbers.Random(rows * columns, 4, 1);
        var kernels = new FusedKernels<Fusion3<ScaleShiftRelu>>(fixture.Library);
        FusedResult exact = FusedResult.Exact(default(ScaleShiftRelu), a, b, c, dy);
        Run(kernels, new(default), a, b, c, dy).Compare(exact, $"{rows} x {columns}").ShouldBe(4);
    }

    /// <summary>∂(s·x + t)/∂x is s also where x is infinite, which a slope of 0 for s would make 0·∞.</summary>
    [Fact]
    public void What_does_not_vary_makes_no_NaN()
    {
        var kernels = new FusedKernels<Fusion3<ScaleShiftRelu>>(fixture.Library);
        FusedResult result = Run(kernels, new(default), [float.PositiveInfinity], [2], [1], [1]);

        result.A.ShouldBe([2f]);
        result.C.ShouldBe([1f]);
    }

    private FusedResult Run<TFusion>(FusedKernels<TFusion> kernels, TFusion fusion, float[] a, float[] b, float[] c, float[] dy)
        where TFusion : unmanaged, IFusion
    {
        using var arrays = new DeviceArrays(fixture);
        DeviceArray y = arrays.OutputFloats(a.Length), dx = arrays.OutputFloats(a.Length), ds = arrays.OutputFloats(b.Length),
            dt = arrays.OutputFloats(c.Length);
        var shape = new FusedShape(a.Length, b.Length);
        Operands<FusedOperand> operands = Of(arrays.Floats(a), arrays.Floats(b), arrays.Floats(c));
        kernels.Forward(fixture.Stream, fusion, shape, operands, Operands<FusedOperand>.Of(Whole(y)));
        kernels.Backward(fixture.Stream, fusion, shape, Operands<FusedOperand>.Of(Whole(arrays.Floats(dy))), operands, Of(dx, ds, dt),
            memory: 0);
        FusedResult result = new(y.Read(), dx.Read(), ds.Read(), dt.Read());
        arrays.Verify();
        return result;
    }

    private static Operands<FusedOperand> Of(nint whole, nint column, nint row) => Operands<FusedOperand>.Of(
        Whole(whole), new(column, OperandSpread.Column, IsHalf: false), new(row, OperandSpread.Row, IsHalf: false), default);

    private static FusedOperand Whole(nint array) => new(array, OperandSpread.Whole, IsHalf: false);
}
