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
        string measured = string.Create(CultureInfo.InvariantCulture,
            $"Counting both classes alike it is right for {right:0.0} % (95 % interval {interval}, guessing gives 50 %)");
        string but = metrics.Accuracy < metrics.MajorityBaseline
            ? ", though naming the larger class without looking would be right more often"
            : string.Empty;
        return low > 0.5 ? new Verdict(true, $"{measured}: it has learned something that carries over to new clips{but}.")
            : high < 0.5 ? new Verdict(false, $"{measured}: it does worse than guessing.")
            : new Verdict(false,
                $"{measured}: with so few clips, or so small a difference, that may be chance, and this run does not show that it has " +
                    $"learned anything that carries over.");
    }

    /// <summary>
    /// The 95 % interval of the balanced accuracy: Wilson intervals of both classes, combined as Newcombe does (Stat. Med. 17, 1998).
    /// </summary>
    internal static (double Low, double High) Interval(ClassificationMetrics metrics)
    {
        var nonviolent = Metrics.Interval.OfShare(metrics.Class0Accuracy, metrics.ConfusionMatrix[0].Sum());
        var violent = Metrics.Interval.OfShare(metrics.Class1Accuracy, metrics.ConfusionMatrix[1].Sum());
        double below = double.Hypot(metrics.Class0Accuracy - nonviolent.Low, metrics.Class1Accuracy - violent.Low);
        double above = double.Hypot(nonviolent.High - metrics.Class0Accuracy, violent.High - metrics.Class1Accuracy);
        return (metrics.BalancedAccuracy - (below / 2), metrics.BalancedAccuracy + (above / 2));
    }
}
