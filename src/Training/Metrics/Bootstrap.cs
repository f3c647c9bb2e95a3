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
/// <param name="Auc">Of classes other than the known pair the mean over them, one against the rest.</param>
/// <param name="F1">Of <c>violent</c>; of other classes the mean over them.</param>
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

    /// <summary>Metrics of any classes with their intervals, those of each class too.</summary>
    /// <param name="metrics">As <see cref="ClassificationMetrics.Compute(ClassList, ReadOnlySpan{int}, ReadOnlySpan{double}, double,
    /// double)"/> makes them of the rest.</param>
    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>].</param>
    public static ClassificationMetrics WithIntervals(ClassificationMetrics metrics, ReadOnlySpan<int> labels, ReadOnlySpan<double> scores)
    {
        if (metrics.PerClass is not { } classes)
        {
            return metrics with { Intervals = Intervals(labels, scores, metrics.Threshold) };
        }

        int[] truth = labels.ToArray(), called = ClassScores.Called(scores, metrics.ClassList, metrics.Rule);
        int[][] members = [.. classes.Select((_, label) =>
            Enumerable.Range(0, truth.Length).Where(clip => truth[clip] == label).ToArray())];

        // By rising probability of each class, so that every resample is counts over an order that is sorted already.
        (double[] Sorted, int[] Clips)[] orders = new (double[], int[])[classes.Count];
        for (int label = 0; label < orders.Length; label++)
        {
            double[] sorted = ClassScores.Column(scores, metrics.ClassList, label);
            int[] clips = [.. Enumerable.Range(0, truth.Length)];
            Array.Sort(sorted, clips);
            orders[label] = (sorted, clips);
        }

        var random = new SplitMix64(Seed);
        int[] counts = new int[truth.Length];
        double[] accuracy = new double[Resamples], balanced = new double[Resamples], auc = new double[Resamples],
            f1 = new double[Resamples];
        double[][][] each = [.. classes.Select(_ => (double[][])[.. Enumerable.Range(0, 4).Select(_ => new double[Resamples])])];
        for (int i = 0; i < Resamples; i++)
        {
            Draw(members, counts, random);
            int[][] confusion = [.. classes.Select(_ => new int[classes.Count])];
            int[] nothing = new int[classes.Count];
            for (int clip = 0; clip < truth.Length; clip++)
            {
                int[] row = called[clip] == DecisionRule.Nothing ? nothing : confusion[truth[clip]];
                row[called[clip] == DecisionRule.Nothing ? truth[clip] : called[clip]] += counts[clip];
            }

            accuracy[i] = (double)confusion.Select((row, label) => row[label]).Sum() / truth.Length;
            for (int label = 0; label < classes.Count; label++)
            {
                ClassMetrics one = ClassificationMetrics.Of(classes[label].Name, confusion, label, nothing[label]);
                double area = Area(orders[label].Sorted, orders[label].Clips, counts, truth, label);
                (each[label][0][i], each[label][1][i], each[label][2][i], each[label][3][i]) = (one.Precision, one.Recall, one.F1, area);
                balanced[i] += one.Recall / classes.Count;
                f1[i] += one.F1 / classes.Count;
                auc[i] += area / classes.Count;
            }
        }

        return metrics with
        {
            Intervals = new MetricIntervals(Percentiles(accuracy), Percentiles(balanced), Percentiles(auc), Percentiles(f1)),
            PerClass = [.. classes.Zip(each, (one, values) => one with
            {
                Intervals = new ClassIntervals(
                    Percentiles(values[0]), Percentiles(values[1]), Percentiles(values[2]), Percentiles(values[3])),
            })],
        };
    }

    /// <summary>Area under the ROC curve of one class against the rest in a resample.</summary>
    private static double Area(double[] sorted, int[] clips, int[] counts, int[] truth, int label)
    {
        long below = 0, positives = 0;
        double area = 0;
        for (int i = 0; i < sorted.Length;)
        {
            long positivesHere = 0, negativesHere = 0;
            int start = i;
            for (; i < sorted.Length && sorted[i] == sorted[start]; i++)
            {
                (positivesHere, negativesHere) = truth[clips[i]] == label
                    ? (positivesHere + counts[clips[i]], negativesHere)
                    : (positivesHere, negativesHere + counts[clips[i]]);
            }

            // Equal scores count half against each other, as in RankMetrics.RocAuc.
            area += positivesHere * (below + (0.5 * negativesHere));
            below += negativesHere;
            positives += positivesHere;
        }

        return area / ((double)positives * below);
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
