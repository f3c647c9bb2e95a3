using System.Globalization;

namespace CudaTrainer.Training.Metrics;

/// <summary>
/// Whether a classifier does better than guessing, as far as so many clips can tell. Both classes count alike, so that naming the larger
/// one is no achievement.
/// </summary>
/// <param name="Learned">Whether it surely does.</param>
/// <param name="Text">Sentences for people.</param>
internal sealed record Verdict(bool Learned, string Text)
{
    public static Verdict Of(ClassificationMetrics metrics)
    {
        (double low, double high) = Interval(metrics);
        string interval = string.Create(CultureInfo.InvariantCulture, $"{100 * low:0}–{100 * high:0} %");
        double right = 100 * metrics.BalancedAccuracy;
        double chance = 1.0 / metrics.ConfusionMatrix.Length;
        string measured = string.Create(CultureInfo.InvariantCulture,
            $"Counting {(metrics.Classes is null ? "both" : "all")} classes alike it is right for {right:0.0} % (95 % interval " +
                $"{interval}, guessing gives {100 * chance:0.#} %)");
        string but = metrics.Accuracy < metrics.MajorityBaseline
            ? ", though naming the larger class without looking would be right more often"
            : string.Empty;
        return low > chance ? new Verdict(true, $"{measured}: it has learned something that carries over to new clips{but}.")
            : high < chance ? new Verdict(false, $"{measured}: it does worse than guessing.")
            : new Verdict(false,
                $"{measured}: with so few clips, or so small a difference, that may be chance, and this run does not show that it has " +
                    $"learned anything that carries over.");
    }

    /// <summary>
    /// The 95 % interval of the balanced accuracy: Wilson intervals of the classes, combined as Newcombe does (Stat. Med. 17, 1998).
    /// </summary>
    internal static (double Low, double High) Interval(ClassificationMetrics metrics)
    {
        double below = 0, above = 0;
        double[] recalls = metrics.PerClass is { } each
            ? [.. each.Select(one => one.Recall)]
            : [metrics.Class0Accuracy, metrics.Class1Accuracy];
        for (int label = 0; label < recalls.Length; label++)
        {
            var interval = Metrics.Interval.OfShare(recalls[label], metrics.CountOf(label));
            below = double.Hypot(below, recalls[label] - interval.Low);
            above = double.Hypot(above, interval.High - recalls[label]);
        }

        return (metrics.BalancedAccuracy - (below / recalls.Length), metrics.BalancedAccuracy + (above / recalls.Length));
    }
}
