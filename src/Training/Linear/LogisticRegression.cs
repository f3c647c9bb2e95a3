namespace CudaTrainer.Training.Linear;

/// <summary>
/// L2-regularised logistic regression: the minimum over β and b of Σ wᵢ·log(1 + e^(−yᵢ(xᵢ·β + b))) + λ/2·‖β‖² with
/// Σ wᵢ = 1 and y = ±1, by Newton's method with step halving (iteratively reweighted least squares; Hastie, Tibshirani &amp; Friedman,
/// "The Elements of Statistical Learning", 4.4). The bias is not penalised. In double, in one order: the same bits everywhere.
/// </summary>
internal static class LogisticRegression
{
    private const int Iterations = 100;

    /// <summary>Loss that a step has to gain, at least, to be worth another one.</summary>
    private const double Enough = 1e-12;

    /// <summary>Keeps the Hessian positive where one class is all there is, or λ is next to nothing.</summary>
    private const double Ridge = 1e-9;

    /// <param name="rows">[n][k].</param>
    /// <param name="labels">[n], 0 or 1.</param>
    /// <param name="weights">[n], not negative, adding up to 1.</param>
    /// <param name="penalty">λ, more than 0.</param>
    /// <param name="start">[k + 1] to begin with, the bias last; zeros if null.</param>
    /// <returns>[k + 1]: β, then b.</returns>
    public static double[] Fit(IReadOnlyList<double[]> rows, IReadOnlyList<int> labels, ReadOnlySpan<double> weights, double penalty,
        double[]? start = null)
    {
        int k = rows[0].Length;
        double[] beta = start is null ? new double[k + 1] : [.. start];
        double[] w = weights.ToArray(), gradient = new double[k + 1], next = new double[k + 1];
        double[][] hessian = [.. Enumerable.Range(0, k + 1).Select(_ => new double[k + 1])];
        double loss = Total(beta);
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            Derive(beta);
            double[] step = Cholesky.Solve(hessian, gradient);
            double size = 1, reached;
            do
            {
                for (int c = 0; c <= k; c++)
                {
                    next[c] = beta[c] - (size * step[c]);
                }

                reached = Total(next);
                size /= 2;
            }
            while (!(reached <= loss) && size > 1e-10);

            double gain = loss - reached;
            if (gain > 0)
            {
                next.CopyTo(beta, 0);
                loss = reached;
            }

            if (!(gain > Enough))
            {
                break;
            }
        }

        return beta;

        double Total(double[] at)
        {
            double sum = 0, squares = 0;
            for (int i = 0; i < rows.Count; i++)
            {
                sum += w[i] * Loss(Score(rows[i], at), labels[i]);
            }

            for (int c = 0; c < k; c++)
            {
                squares += at[c] * at[c];
            }

            return sum + (penalty / 2 * squares);
        }

        void Derive(double[] at)
        {
            foreach (double[] row in hessian)
            {
                Array.Clear(row);
            }

            for (int c = 0; c < k; c++)
            {
                gradient[c] = penalty * at[c];
                hessian[c][c] = penalty + Ridge;
            }

            gradient[k] = 0;
            hessian[k][k] = Ridge;
            for (int i = 0; i < rows.Count; i++)
            {
                double[] x = rows[i];
                double p = Probability(Score(x, at)), slope = w[i] * (p - labels[i]), curvature = w[i] * p * (1 - p);
                for (int c = 0; c < k; c++)
                {
                    gradient[c] += slope * x[c];
                    double scaled = curvature * x[c];
                    double[] row = hessian[c];
                    for (int d = 0; d <= c; d++)
                    {
                        row[d] += scaled * x[d];
                    }

                    hessian[k][c] += scaled;
                }

                gradient[k] += slope;
                hessian[k][k] += curvature;
            }
        }
    }

    /// <summary>x·β + b, the logarithm of the odds of class 1.</summary>
    /// <param name="beta">As <see cref="Fit"/> returns it.</param>
    public static double Score(ReadOnlySpan<double> row, ReadOnlySpan<double> beta)
    {
        double sum = beta[row.Length];
        for (int c = 0; c < row.Length; c++)
        {
            sum += row[c] * beta[c];
        }

        return sum;
    }

    /// <summary>−log of the probability of <paramref name="label"/>: log(1 + e^z) − y·z, without overflow.</summary>
    public static double Loss(double score, int label) =>
        Math.Max(score, 0) + Math.Log(1 + Math.Exp(-Math.Abs(score))) - (label * score);

    /// <summary>σ(z).</summary>
    public static double Probability(double score) => 1 / (1 + Math.Exp(-score));
}
