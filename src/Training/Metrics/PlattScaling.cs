namespace CudaTrainer.Training.Metrics;

/// <summary>
/// p' = σ(a·logit(p) + b): turns a classifier's answers into probabilities that fit held-out clips (Platt 1999, "Probabilistic outputs for
/// support vector machines"; fitted by Newton's method with the prior-corrected targets of Lin, Lin &amp; Weng 2007).
/// </summary>
/// <param name="Slope">a. Below 1: the classifier was too sure of itself.</param>
/// <param name="Offset">b.</param>
public sealed record PlattScaling(double Slope, double Offset)
{
    private const int Iterations = 100;

    /// <summary>Keeps the Hessian invertible where one answer fits all clips.</summary>
    private const double Ridge = 1e-6;

    /// <summary>Answers stay as they are.</summary>
    public static PlattScaling Identity { get; } = new(1, 0);

    /// <summary>
    /// Fits a and b by maximum likelihood. Identity with one class only. A negative slope, which would turn every decision around on the
    /// evidence of a few clips, becomes 0.
    /// </summary>
    /// <param name="labels">0 or 1.</param>
    /// <param name="scores">p(violent).</param>
    /// <param name="balance">
    /// Whether both classes weigh the same, so that p' are those of footage where both are equally frequent; otherwise they are as frequent
    /// as here.
    /// </param>
    public static PlattScaling Fit(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, bool balance = false)
    {
        int positives = 0;
        foreach (int label in labels)
        {
            positives += label;
        }

        int negatives = labels.Length - positives;
        if (positives == 0 || negatives == 0)
        {
            return Identity;
        }

        double high = (positives + 1.0) / (positives + 2.0), low = 1.0 / (negatives + 2.0);
        double[] x = new double[scores.Length], target = new double[scores.Length];
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = Logit(scores[i]);
            target[i] = labels[i] == 1 ? high : low;
        }

        double ofPositives = balance ? labels.Length / (2.0 * positives) : 1, ofNegatives = balance ? labels.Length / (2.0 * negatives) : 1;
        double[] weight = [.. target.Select(value => value == high ? ofPositives : ofNegatives)];
        double prior = balance ? 0 : Math.Log((positives + 1.0) / (negatives + 1.0));
        double a = 0, b = prior, loss = Loss(a, b);
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            double haa = Ridge, hab = 0, hbb = Ridge, ga = 0, gb = 0;
            for (int i = 0; i < x.Length; i++)
            {
                double p = Sigmoid((a * x[i]) + b), w = weight[i] * p * (1 - p), d = weight[i] * (p - target[i]);
                haa += x[i] * x[i] * w;
                hab += x[i] * w;
                hbb += w;
                ga += x[i] * d;
                gb += d;
            }

            double determinant = (haa * hbb) - (hab * hab);
            double stepA = ((hbb * ga) - (hab * gb)) / determinant, stepB = ((haa * gb) - (hab * ga)) / determinant;
            double size = 1;
            double next = Loss(a - stepA, b - stepB);
            while (!(next < loss) && size > 1e-10)
            {
                size /= 2;
                next = Loss(a - (size * stepA), b - (size * stepB));
            }

            if (!(loss - next > 1e-12))
            {
                break;
            }

            (a, b, loss) = (a - (size * stepA), b - (size * stepB), next);
        }

        return a > 0 ? new PlattScaling(a, b) : new PlattScaling(0, prior);

        double Loss(double slope, double offset)
        {
            double sum = 0;
            for (int i = 0; i < x.Length; i++)
            {
                double z = (slope * x[i]) + offset;

                // log(1 + e^z) − t·z without overflow.
                sum += weight[i] * (Math.Max(z, 0) + Math.Log(1 + Math.Exp(-Math.Abs(z))) - (target[i] * z));
            }

            return sum;
        }
    }

    /// <summary>The calibrated p(violent).</summary>
    public double Apply(double score) => Sigmoid((Slope * Logit(score)) + Offset);

    private static double Logit(double p)
    {
        double clipped = Math.Clamp(p, 1e-7, 1 - 1e-7);
        return Math.Log(clipped / (1 - clipped));
    }

    private static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));
}
