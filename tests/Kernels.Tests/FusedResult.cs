using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Tests;

/// <summary>The output of a formula of three operands, and their gradients.</summary>
internal sealed record FusedResult(float[] Y, float[] A, float[] B, float[] C)
{
    private float[][] Parts => [Y, A, B, C];

    public void ShouldBeTheBitsOf(FusedResult other)
    {
        foreach ((float[] part, float[] same) in Parts.Zip(other.Parts))
        {
            part.ShouldBeTheSameBitsAs(same, "another number of threads");
        }
    }

    /// <returns>How many of the four are numbers, which the expected ones must agree with.</returns>
    public int Compare(FusedResult expected, string formula)
    {
        int compared = 0;
        foreach ((float[] part, float[] exact) in Parts.Zip(expected.Parts))
        {
            double norm = Math.Sqrt(exact.Sum(value => (double)value * value));
            double error = Math.Sqrt(part.Zip(exact, (x, y) => ((double)x - y) * (x - y)).Sum());
            if (error <= 1e-4 * (1 + norm))
            {
                compared++;
            }
            else if (!double.IsNaN(norm))
            {
                throw new Xunit.Sdk.XunitException($"{formula}: {error} of {norm}");
            }
        }

        return compared;
    }

    /// <summary>In double precision; the second operand repeats along columns, the third along rows.</summary>
    public static FusedResult Exact<TFormula>(TFormula formula, float[] a, float[] b, float[] c, float[] dy)
        where TFormula : unmanaged, IFormula3
    {
        var fusion = new Fusion3<TFormula>(formula);
        double[] y = new double[a.Length], dx = new double[a.Length], ds = new double[b.Length], dt = new double[c.Length];
        for (int i = 0; i < a.Length; i++)
        {
            int row = i / b.Length, column = i % b.Length;
            y[i] = fusion.Value<Real<DoubleMath, double>>(
                IFusion.Output, new(a[i]), new(b[column]), new(c[row]), default, default).Value;
            dx[i] = dy[i] * Slope(0);
            ds[column] += dy[i] * Slope(1);
            dt[row] += dy[i] * Slope(2);

            double Slope(int operand) =>
                fusion.Slope<DoubleMath, double>(IFusion.Output, a[i], b[column], c[row], 0, default, operand).PassBack(1);
        }

        return new FusedResult(Single(y), Single(dx), Single(ds), Single(dt));
    }

    private static float[] Single(double[] values) => [.. values.Select(value => (float)value)];
}
