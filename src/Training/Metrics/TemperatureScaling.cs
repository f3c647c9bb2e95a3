using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Metrics;

/// <summary>
/// Probabilities of classes that fit how often answers are right: q_c ∝ p_c^a, one exponent for all classes, which changes no order (Guo
/// et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, where 1/a is the temperature).
/// </summary>
internal static class TemperatureScaling
{
    /// <summary>So that the largest probability stays the largest, and no answer becomes certain.</summary>
    private const double LeastExponent = 0.01, MostExponent = 100;

    /// <summary>Halvings of the interval that the exponent lies in.</summary>
    private const int Halvings = 60;

    private const double LeastProbability = 1e-7;

    /// <summary>
    /// The exponent by maximum likelihood; targets are smoothed by as many clips as there are classes, as in <see cref="PlattScaling"/>, so
    /// that few clips that are all right do not ask for certainty.
    /// </summary>
    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[clips, classes].</param>
    public static double Fit(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, ClassList classes)
    {
        int[] counts = new int[classes.Count];
        foreach (int label in labels)
        {
            counts[label]++;
        }

        // The negative log likelihood is convex in the exponent, so its slope crosses zero once.
        double low = LeastExponent, high = MostExponent;
        for (int i = 0; i < Halvings; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Slope(labels, scores, classes, counts, middle) < 0 ? (middle, high) : (low, middle);
        }

        return labels.IsEmpty ? 1 : (low + high) / 2;
    }

    /// <summary>The calibrated probabilities.</summary>
    /// <param name="scores">[clips, classes].</param>
    public static double[] Apply(ReadOnlySpan<double> scores, ClassList classes, double exponent)
    {
        double[] calibrated = new double[scores.Length];
        for (int clip = 0; clip < scores.Length / classes.Count; clip++)
        {
            Apply(ClassScores.Of(scores, clip, classes), exponent, calibrated.AsSpan(clip * classes.Count, classes.Count));
        }

        return calibrated;
    }

    private static void Apply(ReadOnlySpan<double> answer, double exponent, Span<double> calibrated)
    {
        double largest = Logarithm(answer[0]), sum = 0;
        foreach (double p in answer)
        {
            largest = Math.Max(largest, Logarithm(p));
        }

        for (int label = 0; label < answer.Length; label++)
        {
            calibrated[label] = Math.Exp(exponent * (Logarithm(answer[label]) - largest));
            sum += calibrated[label];
        }

        for (int label = 0; label < answer.Length; label++)
        {
            calibrated[label] /= sum;
        }
    }

    /// <summary>Of the negative log likelihood at an exponent.</summary>
    private static double Slope(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, ClassList classes, int[] counts, double exponent)
    {
        double slope = 0;
        Span<double> q = new double[classes.Count];
        for (int clip = 0; clip < labels.Length; clip++)
        {
            ReadOnlySpan<double> answer = ClassScores.Of(scores, clip, classes);
            Apply(answer, exponent, q);
            double smoothed = 1.0 / (counts[labels[clip]] + classes.Count);
            for (int label = 0; label < answer.Length; label++)
            {
                double target = label == labels[clip] ? (counts[label] + 1) * smoothed : smoothed;
                slope += (q[label] - target) * Logarithm(answer[label]);
            }
        }

        return slope;
    }

    private static double Logarithm(double p) => Math.Log(Math.Max(p, LeastProbability));
}
