using System.Runtime.Intrinsics;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Principal components from scalar products alone, so that the number of features does not matter: with centred rows X = U·S·Vᵀ the
/// products X·Xᵀ = U·S²·Uᵀ have what is needed (Schölkopf, Smola &amp; Müller 1998, "Nonlinear component analysis as a kernel
/// eigenvalue problem", with a linear kernel).
/// </summary>
internal sealed class PrincipalComponents
{
    private readonly int[] _basis;
    private readonly double[][] _vectors;

    /// <summary>Variances below this share of the first are rounding.</summary>
    private const double SmallestVariance = 1e-10;

    private PrincipalComponents(int[] basis, double[][] vectors, double[] variances, double[][] whitened)
    {
        (_basis, _vectors, Variances, Whitened) = (basis, vectors, variances, whitened);
    }

    /// <summary>
    /// [rows][k]: where each row, of the basis or not, lies along the components, which have variance 1 over the basis rows; those of the
    /// largest variance come first.
    /// </summary>
    public double[][] Whitened { get; }

    /// <summary>Of the basis rows along each component before whitening [k], falling.</summary>
    public double[] Variances { get; }

    /// <summary>Components found.</summary>
    public int Count => _vectors.Length;

    /// <summary>The scalar products of all rows with each other.</summary>
    /// <param name="count">Rows n.</param>
    /// <param name="row">Their numbers, the same from several threads at once.</param>
    /// <returns>[n][i + 1], the lower triangle.</returns>
    public static double[][] Products(int count, Func<int, ReadOnlySpan<float>> row)
    {
        double[][] products = new double[count][];
        System.Threading.Tasks.Parallel.For(0, count, i =>
        {
            double[] withEarlier = products[i] = new double[i + 1];
            for (int j = 0; j <= i; j++)
            {
                withEarlier[j] = Dot(row(i), row(j));
            }
        });
        return products;
    }

    /// <param name="products">As <see cref="Products"/> gives them.</param>
    /// <param name="basis">The rows that decide the components, in rising order.</param>
    /// <param name="most">Components wanted; fewer where the rows have no more.</param>
    public static PrincipalComponents Fit(double[][] products, int[] basis, int most)
    {
        int n = basis.Length, all = products.Length;

        // xᵢ·m with m the mean of the basis rows, for every row, and m·m.
        double[] withMean = new double[all];
        for (int i = 0; i < all; i++)
        {
            foreach (int j in basis)
            {
                withMean[i] += At(i, j) / n;
            }
        }

        double meanSquare = 0;
        foreach (int i in basis)
        {
            meanSquare += withMean[i] / n;
        }

        double[][] centred = new double[n][];
        for (int i = 0; i < n; i++)
        {
            centred[i] = new double[n];
            for (int j = 0; j <= i; j++)
            {
                centred[i][j] = Centred(basis[i], basis[j]);
            }
        }

        (double[] values, double[][] vectors) = SymmetricEigen.Decompose(centred);
        int k = 0;
        while (k < Math.Min(most, n) && values[k] > SmallestVariance * values[0] && values[k] > 0)
        {
            k++;
        }

        // Component c is Σ vectors[c][j]·(x_j − m) / √value, a unit vector, along which the variance is value / n.
        for (int c = 0; c < k; c++)
        {
            double scale = Math.Sqrt(n) / values[c];
            for (int j = 0; j < n; j++)
            {
                vectors[c][j] *= scale;
            }
        }

        double[][] whitened = new double[all][];
        for (int i = 0; i < all; i++)
        {
            double[] row = whitened[i] = new double[k];
            for (int j = 0; j < n; j++)
            {
                double product = Centred(i, basis[j]);
                for (int c = 0; c < k; c++)
                {
                    row[c] += vectors[c][j] * product;
                }
            }
        }

        return new PrincipalComponents(basis, vectors[..k], [.. values[..k].Select(value => value / n)], whitened);

        double At(int i, int j) => i >= j ? products[i][j] : products[j][i];

        double Centred(int i, int j) => At(i, j) - withMean[i] - withMean[j] + meanSquare;
    }

    /// <summary>
    /// A linear function of whitened rows as one of the rows themselves: Σ_c weights[c]·whitened_c = direction·x + offset.
    /// </summary>
    /// <param name="row">The rows that <see cref="Products"/> saw.</param>
    /// <param name="weights">[k].</param>
    /// <param name="direction">One for each number of a row; written.</param>
    /// <returns>The offset.</returns>
    public double Unfold(Func<int, ReadOnlySpan<float>> row, ReadOnlySpan<double> weights, Span<double> direction)
    {
        double[] mean = new double[direction.Length];
        double total = 0;
        direction.Clear();
        for (int j = 0; j < _basis.Length; j++)
        {
            double share = 0;
            for (int c = 0; c < weights.Length; c++)
            {
                share += weights[c] * _vectors[c][j];
            }

            total += share;
            ReadOnlySpan<float> numbers = row(_basis[j]);
            for (int d = 0; d < numbers.Length; d++)
            {
                direction[d] += share * numbers[d];
                mean[d] += (double)numbers[d] / _basis.Length;
            }
        }

        double offset = 0;
        for (int d = 0; d < direction.Length; d++)
        {
            direction[d] -= total * mean[d];
            offset -= direction[d] * mean[d];
        }

        return offset;
    }

    /// <summary>In double by four lanes at every vector width: the same bits everywhere.</summary>
    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Vector256<double> even = default, odd = default;
        int d = 0;
        for (; d + 8 <= a.Length; d += 8)
        {
            Vector256<float> x = Vector256.Create(a.Slice(d, 8)), y = Vector256.Create(b.Slice(d, 8));
            (Vector256<double> lowX, Vector256<double> highX) = Vector256.Widen(x);
            (Vector256<double> lowY, Vector256<double> highY) = Vector256.Widen(y);
            even += lowX * lowY;
            odd += highX * highY;
        }

        double sum = Vector256.Sum(even + odd);
        for (; d < a.Length; d++)
        {
            sum += (double)a[d] * b[d];
        }

        return sum;
    }
}
