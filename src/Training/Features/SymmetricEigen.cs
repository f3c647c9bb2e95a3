namespace CudaTrainer.Training.Features;

/// <summary>
/// Eigenvalues and eigenvectors of a real symmetric matrix: Householder reflections to tridiagonal form, then implicit QL (Martin, Reinsch
/// &amp; Wilkinson 1968 and Dubrulle 1970, the procedures tred2 and imtql2 of EISPACK). In double, in one order: the same bits everywhere.
/// </summary>
internal static class SymmetricEigen
{
    private const int MostRounds = 60;

    /// <param name="matrix">[n, n], of which the lower triangle counts; overwritten.</param>
    /// <returns>Falling eigenvalues [n], and in row i of the vectors [n, n] the unit vector of eigenvalue i.</returns>
    /// <exception cref="ArithmeticException">A number is not finite.</exception>
    public static (double[] Values, double[][] Vectors) Decompose(double[][] matrix)
    {
        int n = matrix.Length;
        double[] diagonal = new double[n], beside = new double[n];

        // From here on row j holds column j of the transformation.
        double[][] vectors = Tridiagonalise(matrix, diagonal, beside);
        Diagonalise(diagonal, beside, vectors);
        int[] order = [.. Enumerable.Range(0, n).OrderByDescending(i => diagonal[i]).ThenBy(i => i)];
        return ([.. order.Select(i => diagonal[i])], [.. order.Select(i => vectors[i])]);
    }

    /// <summary>Reflections from the last row upwards, each of which clears one row left of the subdiagonal.</summary>
    /// <returns>Their product Q, transposed: the matrix is Q T Qᵀ.</returns>
    private static double[][] Tridiagonalise(double[][] a, double[] diagonal, double[] beside)
    {
        int n = a.Length;
        double[][] reflections = new double[n][];
        double[] product = new double[n];
        for (int i = n - 1; i > 0; i--)
        {
            double[] v = new double[n];
            double squares = 0;
            for (int k = 0; k < i; k++)
            {
                v[k] = a[i][k];
                squares += v[k] * v[k];
            }

            diagonal[i] = a[i][i];
            double length = Math.Sqrt(squares);
            beside[i] = v[i - 1] > 0 ? -length : length;
            if (squares - (v[i - 1] * v[i - 1]) == 0)
            {
                // Nothing to clear.
                beside[i] = v[i - 1];
                continue;
            }

            v[i - 1] -= beside[i];
            double half = (squares - (a[i][i - 1] * beside[i]));
            for (int k = 0; k < i; k++)
            {
                double sum = 0;
                for (int j = 0; j < i; j++)
                {
                    sum += (j <= k ? a[k][j] : a[j][k]) * v[j];
                }

                product[k] = sum / half;
            }

            double along = 0;
            for (int k = 0; k < i; k++)
            {
                along += product[k] * v[k];
            }

            along /= 2 * half;
            for (int k = 0; k < i; k++)
            {
                product[k] -= along * v[k];
            }

            for (int k = 0; k < i; k++)
            {
                for (int j = 0; j <= k; j++)
                {
                    a[k][j] -= (v[k] * product[j]) + (product[k] * v[j]);
                }
            }

            double scale = 1 / Math.Sqrt(half);
            for (int k = 0; k < i; k++)
            {
                v[k] *= scale;
            }

            reflections[i] = v;
        }

        diagonal[0] = a[0][0];
        double[][] q = new double[n][];
        for (int j = 0; j < n; j++)
        {
            q[j] = new double[n];
            q[j][j] = 1;
            for (int i = 1; i < n; i++)
            {
                if (reflections[i] is { } v)
                {
                    double along = 0;
                    for (int k = 0; k < i; k++)
                    {
                        along += v[k] * q[j][k];
                    }

                    for (int k = 0; k < i; k++)
                    {
                        q[j][k] -= along * v[k];
                    }
                }
            }
        }

        return q;
    }

    private static void Diagonalise(double[] d, double[] beside, double[][] vectors)
    {
        int n = d.Length;
        double[] e = [.. beside.Skip(1), 0];
        for (int l = 0; l < n; l++)
        {
            for (int round = 0; ; round++)
            {
                int m = l;
                while (m < n - 1 && Math.Abs(e[m]) > double.Epsilon && Math.Abs(d[m]) + Math.Abs(d[m + 1]) + Math.Abs(e[m]) != Math.Abs(
                    d[m]) + Math.Abs(d[m + 1]))
                {
                    m++;
                }

                if (m == l)
                {
                    break;
                }

                if (round == MostRounds || !double.IsFinite(d[l]))
                {
                    throw new ArithmeticException("The eigenvalues of a matrix with infinite numbers are wanted.");
                }

                Rotate(d, e, vectors, l, m);
            }
        }
    }

    /// <summary>One QL round with an implicit shift on rows l to m.</summary>
    private static void Rotate(double[] d, double[] e, double[][] vectors, int l, int m)
    {
        double g = (d[l + 1] - d[l]) / (2 * e[l]);
        double r = Length(g, 1);
        g = d[m] - d[l] + (e[l] / (g + Math.CopySign(r, g)));
        double s = 1, c = 1, p = 0;
        for (int i = m - 1; i >= l; i--)
        {
            double f = s * e[i], b = c * e[i];
            r = Length(f, g);
            e[i + 1] = r;
            if (r == 0)
            {
                d[i + 1] -= p;
                e[m] = 0;
                return;
            }

            s = f / r;
            c = g / r;
            g = d[i + 1] - p;
            r = ((d[i] - g) * s) + (2 * c * b);
            p = s * r;
            d[i + 1] = g + p;
            g = (c * r) - b;
            double[] upper = vectors[i], lower = vectors[i + 1];
            for (int k = 0; k < upper.Length; k++)
            {
                f = lower[k];
                lower[k] = (s * upper[k]) + (c * f);
                upper[k] = (c * upper[k]) - (s * f);
            }
        }

        d[l] -= p;
        e[l] = g;
        e[m] = 0;
    }

    /// <summary>√(x² + y²) without overflow.</summary>
    private static double Length(double x, double y)
    {
        double larger = Math.Max(Math.Abs(x), Math.Abs(y)), smaller = Math.Min(Math.Abs(x), Math.Abs(y));
        double ratio = larger == 0 ? 0 : smaller / larger;
        return larger * Math.Sqrt(1 + (ratio * ratio));
    }
}
