using System.Text.Json;
using System.Text.Json.Serialization;

namespace CudaTrainer.Training.Metrics;

/// <summary>
/// Metrics of a two-class classifier with class 1 = violent as the positive class. Fractions in [0, 1]; NaN where a ratio has no
/// denominator (for example precision when nothing was called violent).
/// </summary>
public sealed record ClassificationMetrics : IJsonOnDeserialized
{
    public required int Count { get; init; }

    public required double Loss { get; init; }

    public required double Accuracy { get; init; }

    /// <summary>Accuracy of always naming the larger class.</summary>
    public required double MajorityBaseline { get; init; }

    public required double BalancedAccuracy { get; init; }

    /// <summary>Area under the ROC curve (Mann-Whitney, ties count half).</summary>
    public required double Auc { get; init; }

    /// <summary>Area under the precision-recall curve (average precision, tied scores together).</summary>
    public required double PrAuc { get; init; }

    /// <summary>Of <c>violent</c>.</summary>
    public required double Precision { get; init; }

    /// <summary>Of <c>violent</c>.</summary>
    public required double Recall { get; init; }

    /// <summary>Of <c>violent</c>.</summary>
    public required double F1 { get; init; }

    /// <summary>Share of nonviolent clips that were called so.</summary>
    [JsonPropertyName("class_0_accuracy")]
    public required double Class0Accuracy { get; init; }

    /// <summary>Share of violent clips that were called so.</summary>
    [JsonPropertyName("class_1_accuracy")]
    public required double Class1Accuracy { get; init; }

    /// <summary>[true class][predicted class].</summary>
    public required int[][] ConfusionMatrix { get; init; }

    /// <summary>p(violent) from which a clip is called violent.</summary>
    public required double Threshold { get; init; }

    /// <summary>Share of the clips that are unlike those the classifier learned from; null where it does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? UnfamiliarShare { get; init; }

    /// <summary>How many of the clips the classifier learned from; null where nobody looked.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? TrainedOn { get; init; }

    /// <summary>By <see cref="Bootstrap"/>; null where nobody asked for them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MetricIntervals? Intervals { get; init; }

    /// <summary>Pages and tables count on both classes being there, and on sums of clips that fit their type.</summary>
    /// <exception cref="JsonException">The file is damaged.</exception>
    void IJsonOnDeserialized.OnDeserialized()
    {
        if (ConfusionMatrix is not [[>= 0, >= 0], [>= 0, >= 0]]
            || ConfusionMatrix.SelectMany(row => row).Sum(count => (long)count) > int.MaxValue)
        {
            throw new JsonException("the confusion matrix does not count the clips of two classes");
        }
    }

    /// <summary>Metrics for labels and scores.</summary>
    /// <param name="labels">0 or 1.</param>
    /// <param name="scores">p(violent).</param>
    /// <param name="loss">Mean loss, as training computes it.</param>
    public static ClassificationMetrics Compute(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, double threshold, double loss)
    {
        int[][] confusion = [[0, 0], [0, 0]];
        for (int i = 0; i < labels.Length; i++)
        {
            confusion[labels[i]][scores[i] >= threshold ? 1 : 0]++;
        }

        int negatives = confusion[0][0] + confusion[0][1], positives = confusion[1][0] + confusion[1][1];
        int truePositives = confusion[1][1], called = confusion[0][1] + truePositives;
        double specificity = Ratio(confusion[0][0], negatives), recall = Ratio(truePositives, positives);
        return new ClassificationMetrics
        {
            Count = labels.Length,
            Loss = loss,
            Accuracy = Ratio(confusion[0][0] + truePositives, labels.Length),
            MajorityBaseline = Ratio(Math.Max(negatives, positives), labels.Length),
            BalancedAccuracy = (specificity + recall) / 2,
            Auc = RankMetrics.RocAuc(labels, scores),
            PrAuc = RankMetrics.AveragePrecision(labels, scores),
            Precision = Ratio(truePositives, called),
            Recall = recall,
            F1 = Ratio(2 * truePositives, called + positives),
            Class0Accuracy = specificity,
            Class1Accuracy = recall,
            ConfusionMatrix = confusion,
            Threshold = threshold,
        };
    }

    private static double Ratio(int part, int whole) => whole == 0 ? double.NaN : (double)part / whole;
}
