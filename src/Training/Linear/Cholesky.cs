namespace CudaTrainer.Training.Linear;

/// <summary>Linear equations with a symmetric positive definite matrix.</summary>
internal static class Cholesky
{
    private const double SmallestPivot = 1e-300;

    /// <summary>Solves A·x = b by A = L·Lᵀ.</summary>
    /// <param name="a">[n][n], of which the lower triangle counts; overwritten with L.</param>
    /// <param name="b">[n].</param>
    /// <returns>x.</returns>
    public static double[] Solve(double[][] a, ReadOnlySpan<double> b)
    {
        double[] x = b.ToArray();
        for (int j = 0; j < x.Length; j++)
        {
            for (int i = j; i < x.Length; i++)
            {
                double sum = a[i][j];
                for (int m = 0; m < j; m++)
                {
                    sum -= a[i][m] * a[j][m];
                }

                // Rounding may leave nothing of a direction in which the matrix is all but flat.
                a[i][j] = i == j ? Math.Sqrt(Math.Max(sum, SmallestPivot)) : sum / a[j][j];
            }
        }

        for (int i = 0; i < x.Length; i++)
        {
            for (int m = 0; m < i; m++)
            {
                x[i] -= a[i][m] * x[m];
            }

            x[i] /= a[i][i];
        }

        for (int i = x.Length - 1; i >= 0; i--)
        {
            for (int m = i + 1; m < x.Length; m++)
            {
                x[i] -= a[m][i] * x[m];
            }

            x[i] /= a[i][i];
        }

        return x;
    }
}
