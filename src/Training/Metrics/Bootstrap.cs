using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Metrics;

/// <summary>Where a metric would lie in 95 % of equally large samples; NaN where the metric itself has no value.</summary>
public sealed record Interval(double Low, double High)
{
    /// <summary>
    /// The 95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927): right also for few clips and shares near 0 and 1.
    /// </summary>
    public static Interval OfShare(double share, int count)
    {
        const double Z = 1.959964;
        double square = Z * Z, centre = share
            + (square / (2 * count)), room = Z * Math.Sqrt((share * (1 - share) / count) + (square / (4.0 * count * count)));
        return new Interval((centre - room) / (1 + (square / count)), (centre + room) / (1 + (square / count)));
    }
}

/// <summary>95 % confidence intervals of a split's metrics.</summary>
/// <param name="F1">Of <c>violent</c>.</param>
public sealed record MetricIntervals(Interval Accuracy, Interval BalancedAccuracy, Interval Auc, Interval F1);

/// <summary>
/// Stratified percentile bootstrap (Efron &amp; Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): clips of each class are
/// drawn with replacement, as many as there are, and the 2.5th and 97.5th percentiles over the resamples are the interval. Clips are taken
/// as independent; clips of one source are not, and then the intervals are too narrow.
/// </summary>
public static class Bootstrap
{
    public const int Resamples = 2000;

    private const ulong Seed = 42;
    private const double Tail = 0.025;

    /// <summary>The intervals, the same at every call.</summary>
    /// <param name="labels">0 or 1.</param>
    /// <param name="scores">p(violent).</param>
    /// <param name="threshold">p(violent) from which a clip is called violent.</param>
    public static MetricIntervals Intervals(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, double threshold)
    {
        // By rising score, so that every resample is counts over an order that is sorted already.
        double[] sorted = scores.ToArray();
        int[] ordered = labels.ToArray();
        Array.Sort(sorted, ordered);
        int[][] members = [Of(0), Of(1)];
        var random = new SplitMix64(Seed);
        int[] counts = new int[sorted.Length];
        double[] accuracy = new double[Resamples], balanced = new double[Resamples], auc = new double[Resamples],
            f1 = new double[Resamples];
        for (int i = 0; i < Resamples; i++)
        {
            Draw(members, counts, random);
            (accuracy[i], balanced[i], auc[i], f1[i]) = Measure(ordered, sorted, counts, members[0].Length, members[1].Length, threshold);
        }

        return new MetricIntervals(Percentiles(accuracy), Percentiles(balanced), Percentiles(auc), Percentiles(f1));

        int[] Of(int label) => [.. Enumerable.Range(0, ordered.Length).Where(i => ordered[i] == label)];
    }

    private static void Draw(int[][] members, int[] counts, SplitMix64 random)
    {
        Array.Clear(counts);
        foreach (int[] stratum in members)
        {
            for (int i = 0; i < stratum.Length; i++)
            {
                counts[stratum[random.Next(stratum.Length)]]++;
            }
        }
    }

    private static (double Accuracy, double Balanced, double Auc, double F1) Measure(int[] labels, double[] scores, int[] counts,
        int negatives, int positives, double threshold)
    {
        long truePositives = 0, falsePositives = 0, below = 0;
        double area = 0;
        for (int i = 0; i < scores.Length;)
        {
            // Equal scores count half against each other, as in RankMetrics.RocAuc.
            long positivesHere = 0, negativesHere = 0;
            int start = i;
            for (; i < scores.Length && scores[i] == scores[start]; i++)
            {
                (positivesHere, negativesHere) = labels[i] == 1
                    ? (positivesHere + counts[i], negativesHere)
                    : (positivesHere, negativesHere + counts[i]);
            }

            area += positivesHere * (below + (0.5 * negativesHere));
            below += negativesHere;
            if (scores[start] >= threshold)
            {
                truePositives += positivesHere;
                falsePositives += negativesHere;
            }
        }

        double recall = (double)truePositives / positives, specificity = (double)(negatives - falsePositives) / negatives;
        return (
            (double)(truePositives + negatives - falsePositives) / (positives + negatives),
            (recall + specificity) / 2,
            area / ((double)positives * negatives),
            2.0 * truePositives / (truePositives + falsePositives + positives));
    }

    /// <summary>With linear interpolation between order statistics; resamples in which the metric has no value are left out.</summary>
    internal static Interval Percentiles(double[] values)
    {
        double[] sorted = [.. values.Where(value => !double.IsNaN(value)).Order()];
        return sorted.Length == 0 ? new Interval(double.NaN, double.NaN) : new Interval(At(Tail), At(1 - Tail));

        double At(double fraction)
        {
            double place = fraction * (sorted.Length - 1);
            int lower = (int)place, upper = Math.Min(lower + 1, sorted.Length - 1);
            return sorted[lower] + ((place - lower) * (sorted[upper] - sorted[lower]));
        }
    }
}
