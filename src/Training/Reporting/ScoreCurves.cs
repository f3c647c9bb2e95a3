using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>Metrics at one threshold.</summary>
internal readonly record struct ThresholdPoint(double Threshold, double Accuracy, double BalancedAccuracy, double Precision, double Recall,
    double F1);

/// <summary>Clips whose p(violent) lies in one interval.</summary>
/// <param name="Mean">Mean p(violent).</param>
/// <param name="Violent">Share of them that is violent.</param>
internal readonly record struct CalibrationBin(double From, double To, int Count, double Mean, double Violent);

/// <summary>
/// Curves over scores and labels: those that <see cref="Metrics.RankMetrics"/> measures the areas of, and how far the scores can be
/// taken as probabilities.
/// </summary>
internal static class ScoreCurves
{
    public const int Bins = 10;

    /// <summary>
    /// (false positive rate, true positive rate) from (0, 0) to (1, 1); equal scores are one straight piece, as in the area. Corners only.
    /// </summary>
    public static IReadOnlyList<(double X, double Y)> Roc(IReadOnlyList<ClipPrediction> clips)
    {
        double positives = clips.Count(clip => clip.Label == 1), negatives = clips.Count - positives;
        if (positives == 0 || negatives == 0)
        {
            return [];
        }

        List<(double X, double Y)> points = [(0, 0)];
        foreach ((double truePositives, double falsePositives) in Cumulative(clips))
        {
            (double X, double Y) next = (falsePositives / negatives, truePositives / positives);

            // On a straight piece only its end matters.
            if (points.Count > 1 && (Same(points[^2].X, points[^1].X, next.X) || Same(points[^2].Y, points[^1].Y, next.Y)))
            {
                points.RemoveAt(points.Count - 1);
            }

            points.Add(next);
        }

        return points;

        static bool Same(double a, double b, double c) => a.Equals(b) && b.Equals(c);
    }

    /// <summary>(recall, precision) as steps: average precision is the area under them.</summary>
    public static IReadOnlyList<(double X, double Y)> PrecisionRecall(IReadOnlyList<ClipPrediction> clips)
    {
        double positives = clips.Count(clip => clip.Label == 1);
        if (positives == 0)
        {
            return [];
        }

        List<(double X, double Y)> points = [];
        double recall = 0;
        foreach ((double truePositives, double falsePositives) in Cumulative(clips))
        {
            double precision = truePositives / (truePositives + falsePositives);
            if (truePositives / positives > recall)
            {
                points.Add((recall, precision));
                recall = truePositives / positives;
                points.Add((recall, precision));
            }
        }

        return points;
    }

    /// <summary>Metrics at 0, 0.01 … 1.</summary>
    public static IReadOnlyList<ThresholdPoint> Sweep(IReadOnlyList<ClipPrediction> clips)
    {
        int[] labels = [.. clips.Select(clip => clip.Label)];
        double[] scores = [.. clips.Select(clip => clip.Violent)];
        return [.. Enumerable.Range(0, 101).Select(i => Sweep(labels, scores, i / 100.0))];
    }

    /// <summary>Ten intervals of equal width; those without clips are left out.</summary>
    public static IReadOnlyList<CalibrationBin> Calibration(IReadOnlyList<ClipPrediction> clips) =>
        [.. clips.GroupBy(clip => Math.Min(Bins - 1, (int)(clip.Violent * Bins))).OrderBy(bin => bin.Key).Select(bin => new CalibrationBin(
            (double)bin.Key / Bins, (bin.Key + 1.0) / Bins, bin.Count(), bin.Average(clip => clip.Violent),
                bin.Average(clip => (double)clip.Label)))];

    /// <summary>
    /// Expected calibration error: how far p(violent) and the share of violent clips are apart, over the intervals by their clips.
    /// </summary>
    public static double CalibrationError(IReadOnlyList<ClipPrediction> clips) =>
        Calibration(clips).Sum(bin => bin.Count * Math.Abs(bin.Mean - bin.Violent)) / clips.Count;

    /// <summary>Mean of (p(violent) − label)².</summary>
    public static double Brier(IReadOnlyList<ClipPrediction> clips) => clips.Average(clip => Math.Pow(clip.Violent - clip.Label, 2));

    private static ThresholdPoint Sweep(int[] labels, double[] scores, double threshold)
    {
        int[] calls = new int[4];
        for (int i = 0; i < labels.Length; i++)
        {
            calls[(2 * labels[i]) + (scores[i] >= threshold ? 1 : 0)]++;
        }

        double negatives = calls[0] + calls[1], positives = calls[2] + calls[3], called = calls[1] + calls[3];
        return new ThresholdPoint(
            threshold, (calls[0] + calls[3]) / (double)labels.Length, ((calls[0] / negatives) + (calls[3] / positives)) / 2,
                calls[3] / called, calls[3] / positives, 2 * calls[3] / (called + positives));
    }

    /// <summary>True and false positives when everything from a score on upwards is called violent, from the highest score down.</summary>
    private static IEnumerable<(double TruePositives, double FalsePositives)> Cumulative(IReadOnlyList<ClipPrediction> clips)
    {
        int truePositives = 0, falsePositives = 0;
        foreach (IGrouping<double, ClipPrediction> tied in clips.GroupBy(clip => clip.Violent).OrderByDescending(group => group.Key))
        {
            int violent = tied.Count(clip => clip.Label == 1);
            truePositives += violent;
            falsePositives += tied.Count() - violent;
            yield return (truePositives, falsePositives);
        }
    }
}
