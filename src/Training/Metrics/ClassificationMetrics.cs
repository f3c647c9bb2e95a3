using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Metrics;

/// <summary>
/// Metrics of a classifier: of the known pair with class 1 = violent as the positive class; of other classes precision, recall, F1 and the
/// areas are the plain means of every class's against the rest (macro averages). Fractions in [0, 1]; NaN where a ratio has no denominator
/// (for example precision when nothing was called violent), and so are the means over the classes where a class has no clips.
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

    /// <summary>Of <c>violent</c>; of other classes the mean over them.</summary>
    public required double Precision { get; init; }

    /// <summary>Of <c>violent</c>; of other classes the mean over them.</summary>
    public required double Recall { get; init; }

    /// <summary>Of <c>violent</c>; of other classes the mean over them.</summary>
    public required double F1 { get; init; }

    /// <summary>Share of the clips of class 0, nonviolent, that were called so.</summary>
    [JsonPropertyName("class_0_accuracy")]
    public required double Class0Accuracy { get; init; }

    /// <summary>Share of the clips of class 1, violent, that were called so.</summary>
    [JsonPropertyName("class_1_accuracy")]
    public required double Class1Accuracy { get; init; }

    /// <summary>[true class][predicted class].</summary>
    public required int[][] ConfusionMatrix { get; init; }

    /// <summary>p(violent) from which a clip is called violent; NaN for other classes, where the largest probability decides.</summary>
    public required double Threshold { get; init; }

    /// <summary>The names of the classes by label; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>The least probabilities by class from which classes are called, of those that have one; null where none has.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, double>? Thresholds { get; init; }

    /// <summary>Clips of each class by label that are called nothing; null unless thresholds allow it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<int>? CalledNothing { get; init; }

    /// <summary>Every class against the rest, by label; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ClassMetrics>? PerClass { get; init; }

    /// <summary>Share of the clips whose class is one of the two likeliest; null with two classes.</summary>
    [JsonPropertyName("top_2_accuracy")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Top2Accuracy { get; init; }

    /// <summary>Mean over the classes; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MacroPrecision => PerClass is null ? null : Precision;

    /// <summary>Mean over the classes; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MacroRecall => PerClass is null ? null : Recall;

    /// <summary>Mean over the classes; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? MacroF1 => PerClass is null ? null : F1;

    /// <summary>Share of the clips that are unlike those the classifier learned from; null where it does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? UnfamiliarShare { get; init; }

    /// <summary>How many of the clips the classifier learned from; null where nobody looked.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? TrainedOn { get; init; }

    /// <summary>By <see cref="Bootstrap"/>; null where nobody asked for them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MetricIntervals? Intervals { get; init; }

    /// <summary>What the classes are.</summary>
    internal ClassList ClassList => Classes is null ? ClassList.Violence : ClassList.Of(Classes);

    /// <summary>By what clips are called.</summary>
    internal DecisionRule Rule => DecisionRule.Of(Threshold, Thresholds, ClassList);

    /// <summary>Clips of a class, whatever they are called.</summary>
    internal int CountOf(int label) => ConfusionMatrix[label].Sum() + (CalledNothing?[label] ?? 0);

    /// <summary>Pages and tables count on every class being there, and on sums of clips that fit their type.</summary>
    /// <exception cref="JsonException">The file is damaged.</exception>
    void IJsonOnDeserialized.OnDeserialized()
    {
        if (Classes is { } names && ClassList.Problem(names) is { } problem)
        {
            throw new JsonException($"the metrics are of {problem}");
        }

        int count = ClassList.Count;
        if (ConfusionMatrix?.Length != count || ConfusionMatrix.Any(row => row?.Length != count || row.Any(clips => clips < 0))
            || ConfusionMatrix.SelectMany(row => row).Sum(clips => (long)clips) > int.MaxValue)
        {
            throw new JsonException($"the confusion matrix does not count the clips of {(count == 2 ? "two" : $"{count}")} classes");
        }

        if (Classes is null != PerClass is null || (PerClass is { } each && (each.Count != count || each.Contains(null!))))
        {
            throw new JsonException("the metrics are not of every class");
        }

        if (CalledNothing is { } nothing && (nothing.Count != count || nothing.Any(clips => clips < 0)))
        {
            throw new JsonException("clips that are called nothing are not counted for every class");
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

    /// <summary>Metrics for labels and scores of any classes.</summary>
    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>].</param>
    /// <param name="threshold">Of the known pair.</param>
    /// <param name="loss">Mean loss, as training computes it.</param>
    public static ClassificationMetrics Compute(ClassList classes, ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, double threshold,
        double loss) => Compute(classes, labels, scores, new DecisionRule(threshold), loss);

    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>].</param>
    internal static ClassificationMetrics Compute(ClassList classes, ReadOnlySpan<int> labels, ReadOnlySpan<double> scores,
        DecisionRule rule, double loss)
    {
        if (classes.IsViolence)
        {
            return Compute(labels, scores, rule.Threshold, loss);
        }

        int[][] confusion = [.. classes.Names.Select(_ => new int[classes.Count])];
        int[] called = ClassScores.Called(scores, classes, rule), nothing = new int[classes.Count];
        int amongTwo = 0;
        for (int clip = 0; clip < labels.Length; clip++)
        {
            amongTwo += IsAmongTwo(ClassScores.Of(scores, clip, classes), labels[clip]) ? 1 : 0;
            if (called[clip] == DecisionRule.Nothing)
            {
                nothing[labels[clip]]++;
            }
            else
            {
                confusion[labels[clip]][called[clip]]++;
            }
        }

        ClassMetrics[] each = new ClassMetrics[classes.Count];
        for (int label = 0; label < each.Length; label++)
        {
            int[] against = ClassScores.Against(labels, label);
            double[] probabilities = ClassScores.Column(scores, classes, label);
            each[label] = Of(classes[label], confusion, label, nothing[label]) with
            {
                Auc = RankMetrics.RocAuc(against, probabilities),
                PrAuc = RankMetrics.AveragePrecision(against, probabilities),
            };
        }

        double recall = Mean(one => one.Recall);
        return new ClassificationMetrics
        {
            Count = labels.Length,
            Loss = loss,
            Accuracy = Ratio(Enumerable.Range(0, each.Length).Sum(label => confusion[label][label]), labels.Length),
            MajorityBaseline = Ratio(each.Max(one => one.Count), labels.Length),
            BalancedAccuracy = recall,
            Auc = Mean(one => one.Auc),
            PrAuc = Mean(one => one.PrAuc),
            // A class that nothing is called counts as 0 in the mean, where it would otherwise be no number.
            Precision = Mean(one => double.IsNaN(one.Precision) ? 0 : one.Precision),
            Recall = recall,
            F1 = Mean(one => one.F1),
            Class0Accuracy = each[0].Recall,
            Class1Accuracy = each[1].Recall,
            ConfusionMatrix = confusion,
            Threshold = double.NaN,
            Classes = classes.Names,
            Thresholds = rule.Named(classes),
            CalledNothing = rule.MayCallNothing ? nothing : null,
            PerClass = each,
            Top2Accuracy = classes.Count > 2 ? Ratio(amongTwo, labels.Length) : null,
        };

        double Mean(Func<ClassMetrics, double> of) => each.Any(one => one.Count == 0) ? double.NaN : each.Average(of);
    }

    /// <summary>What a confusion matrix says of one class; the areas are not known from it.</summary>
    /// <param name="confusion">[true class][predicted class].</param>
    /// <param name="nothing">Clips of the class that are called nothing.</param>
    internal static ClassMetrics Of(string name, int[][] confusion, int label, int nothing = 0)
    {
        int count = confusion[label].Sum() + nothing, right = confusion[label][label], called = confusion.Sum(row => row[label]);
        double f1 = count == 0 ? double.NaN : Ratio(2 * right, called + count);
        return new ClassMetrics(name, count, Ratio(right, called), Ratio(right, count), f1, double.NaN, double.NaN);
    }

    /// <summary>Whether at most one class is likelier than the clip's own.</summary>
    private static bool IsAmongTwo(ReadOnlySpan<double> answer, int label)
    {
        int likelier = 0;
        for (int other = 0; other < answer.Length; other++)
        {
            likelier += other != label && (answer[other] > answer[label] || (answer[other] == answer[label] && other > label)) ? 1 : 0;
        }

        return likelier < 2;
    }

    private static double Ratio(int part, int whole) => whole == 0 ? double.NaN : (double)part / whole;
}
