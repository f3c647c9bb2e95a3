namespace CudaTrainer.Training.Metrics;

/// <summary>Metrics that depend only on how scores order the clips.</summary>
public static class RankMetrics
{
    /// <summary>Scores of single precision that differ by less say the same.</summary>
    private const double SmallestDifference = 1e-5;

    /// <summary>
    /// P(score of a random positive &gt; score of a random negative) + ½ P(equal): the Mann-Whitney statistic. NaN with one class.
    /// </summary>
    public static double RocAuc(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores)
    {
        (List<(double Score, int Positives, int Negatives)> groups, int positives, int negatives) = Tied(labels, scores);
        if (positives == 0 || negatives == 0)
        {
            return double.NaN;
        }

        double area = 0;
        long negativesAbove = 0;
        foreach ((double Score, int Positives, int Negatives) group in groups)
        {
            area += group.Positives * (negatives - negativesAbove - group.Negatives + (0.5 * group.Negatives));
            negativesAbove += group.Negatives;
        }

        return area / ((double)positives * negatives);
    }

    /// <summary>
    /// Average precision: Σ over thresholds of (recall gained) × (precision there), equal scores taken together. NaN without positives.
    /// </summary>
    public static double AveragePrecision(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores)
    {
        (List<(double Score, int Positives, int Negatives)> groups, int positives, _) = Tied(labels, scores);
        double area = 0;
        long truePositives = 0, called = 0;
        foreach ((double Score, int Positives, int Negatives) group in groups)
        {
            truePositives += group.Positives;
            called += group.Positives + group.Negatives;
            area += group.Positives * ((double)truePositives / called);
        }

        return positives == 0 ? double.NaN : area / positives;
    }

    /// <summary>
    /// The threshold with the best balanced accuracy: halfway between two neighbouring scores; of equally good ones the closest to 0.5. 0.5
    /// when there is only one class, and when the scores differ by rounding alone.
    /// </summary>
    public static double BestThreshold(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores)
    {
        (List<(double Score, int Positives, int Negatives)> groups, int positives, int negatives) = Tied(labels, scores);
        if (positives == 0 || negatives == 0 || !(groups[0].Score - groups[^1].Score > SmallestDifference))
        {
            return 0.5;
        }

        double best = double.NegativeInfinity, threshold = 0.5;
        long truePositives = 0, falsePositives = 0;
        for (int i = 0; i <= groups.Count; i++)
        {
            // Calling violent everything above group i; the cut lies between it and the group before.
            double balanced = (((double)truePositives / positives) + ((double)(negatives - falsePositives) / negatives)) / 2;
            double above = i == 0 ? 1 : groups[i - 1].Score, below = i == groups.Count ? 0 : groups[i].Score;
            double candidate = i == 0 ? Math.BitIncrement(Math.Max(1, below)) : i == groups.Count ? Math.Min(0, above) : (above + below) / 2;
            if (balanced > best || (balanced == best && Math.Abs(candidate - 0.5) < Math.Abs(threshold - 0.5)))
            {
                (best, threshold) = (balanced, candidate);
            }

            if (i < groups.Count)
            {
                truePositives += groups[i].Positives;
                falsePositives += groups[i].Negatives;
            }
        }

        return threshold;
    }

    /// <summary>Clips grouped by equal score, highest first.</summary>
    private static (List<(double Score, int Positives, int Negatives)> Groups, int Positives, int Negatives) Tied(ReadOnlySpan<int> labels,
        ReadOnlySpan<double> scores)
    {
        if (labels.Length != scores.Length)
        {
            throw new ArgumentException($"{labels.Length} labels but {scores.Length} scores.", nameof(scores));
        }

        double[] keys = scores.ToArray();
        int[] order = labels.ToArray();
        Array.Sort(keys, order);
        List<(double Score, int Positives, int Negatives)> groups = [];
        int positives = 0;
        for (int i = keys.Length - 1; i >= 0;)
        {
            double score = keys[i];
            int inGroup = 0, positivesInGroup = 0;
            for (; i >= 0 && keys[i].Equals(score); i--)
            {
                inGroup++;
                positivesInGroup += order[i];
            }

            groups.Add((score, positivesInGroup, inGroup - positivesInGroup));
            positives += positivesInGroup;
        }

        return (groups, positives, labels.Length - positives);
    }
}
