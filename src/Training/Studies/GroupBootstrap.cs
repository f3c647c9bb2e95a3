using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Studies;

/// <summary>What a classifier said about every clip, in one repetition of a cross-validation.</summary>
/// <param name="Scores">[clips, <see cref="ClassList.Scores"/>]: calibrated p(violent) for each clip; of other classes the probability of
/// each.</param>
/// <param name="Violent">Whether each clip was called violent, by the threshold of its fold; empty for other classes.</param>
internal sealed record Answers(double[] Scores, bool[] Violent)
{
    /// <summary>Those to some clips.</summary>
    /// <param name="width">Scores of a clip.</param>
    public Answers To(int[] clips, int width) => new(
        [.. clips.SelectMany(clip => Scores.AsSpan(clip * width, width).ToArray())],
        Violent.Length == 0 ? [] : [.. clips.Select(clip => Violent[clip])]);
}

/// <summary>A metric's value and the 95 % interval of it.</summary>
public sealed record Estimate(double Value, Interval Interval);

/// <summary>Metrics of out-of-fold answers; each is the mean over the repetitions.</summary>
/// <param name="Class0Accuracy">Share of the clips of class 0, nonviolent, called so.</param>
/// <param name="Class1Accuracy">Share of the clips of class 1, violent, called so; the recall of violent.</param>
/// <param name="Precision">Of violent; of other classes the mean over them.</param>
/// <param name="Auc">Of the calibrated probabilities of all folds together; of other classes the mean over them, one against the
/// rest.</param>
/// <param name="Brier">Mean of (p − label)²; of other classes of the sum of these over them.</param>
public sealed record StudyMetrics(Estimate Accuracy, Estimate BalancedAccuracy, Estimate Class0Accuracy, Estimate Class1Accuracy,
    Estimate Precision, Estimate Auc, Estimate Brier)
{
    /// <summary>Mean over the classes; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Estimate? MacroF1 { get; init; }

    /// <summary>Share of the clips of each class, by its name, that are called so; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, Estimate>? Recalls { get; init; }
}

/// <summary>
/// Bootstrap over sources: whole sources are drawn with replacement, as many as there are, since clips of one recording resemble each
/// other; the 2.5th and 97.5th percentiles over the resamples are the interval (Davison &amp; Hinkley, Bootstrap Methods, 1997, §3.8).
/// Draws without both classes of the known pair are drawn again; of others, means are over the classes that a draw has. Every call draws
/// the same sources, so that two sets of answers to the same clips are compared draw by draw: the paired bootstrap.
/// </summary>
internal sealed class GroupBootstrap
{
    public const int Resamples = 2000;

    /// <summary>The place of macro F1 among what is measured.</summary>
    private const int MacroF1 = 7;

    private const ulong Seed = 42;

    private readonly int[] _labels;
    private readonly int[][] _weights;
    private readonly ClassList _classes;

    /// <param name="labels">From 0 on for each clip.</param>
    /// <param name="sources">What each clip was cut from.</param>
    /// <param name="classes">What the labels are of; the known pair if null.</param>
    public GroupBootstrap(ReadOnlySpan<int> labels, IReadOnlyList<string> sources, ClassList? classes = null)
    {
        _labels = labels.ToArray();
        _classes = classes ?? ClassList.Violence;
        int[][] groups = [.. Enumerable.Range(0, sources.Count).GroupBy(clip => sources[clip], StringComparer.Ordinal)
            .Select(group => group.ToArray())];
        var random = new SplitMix64(Seed);
        _weights = new int[Resamples][];
        for (int i = 0; i < Resamples; i++)
        {
            do
            {
                _weights[i] = new int[labels.Length];
                for (int draw = 0; draw < groups.Length; draw++)
                {
                    foreach (int clip in groups[random.Next(groups.Length)])
                    {
                        _weights[i][clip]++;
                    }
                }
            }
            while (_classes.IsViolence && !HasBothClasses(_weights[i]));
        }
    }

    public StudyMetrics Metrics(IReadOnlyList<Answers> repetitions)
    {
        int[] once = [.. _labels.Select(_ => 1)];
        double[] point = Mean(repetitions, once);
        double[][] draws = [.. _weights.Select(weights => Mean(repetitions, weights))];
        StudyMetrics metrics = new(Of(0), Of(1), Of(2), Of(3), Of(4), Of(5), Of(6));
        return _classes.IsViolence ? metrics : metrics with
        {
            MacroF1 = Of(MacroF1),
            Recalls = new OrderedDictionary<string, Estimate>(
                _classes.Names.Select((name, label) => KeyValuePair.Create(name, Of(MacroF1 + 1 + label)))),
        };

        Estimate Of(int metric) => new(point[metric], Bootstrap.Percentiles([.. draws.Select(draw => draw[metric])]));
    }

    /// <summary>How much better <paramref name="now"/> is than <paramref name="before"/> in balanced accuracy, paired.</summary>
    public Estimate Gain(IReadOnlyList<Answers> now, IReadOnlyList<Answers> before)
    {
        int[] once = [.. _labels.Select(_ => 1)];
        return new Estimate(Difference(once), Bootstrap.Percentiles([.. _weights.Select(Difference)]));

        double Difference(int[] weights) =>
            now.Average(answers => Measure(answers, weights)[1]) - before.Average(answers => Measure(answers, weights)[1]);
    }

    private bool HasBothClasses(int[] weights)
    {
        bool zero = false, one = false;
        for (int i = 0; i < weights.Length; i++)
        {
            zero |= weights[i] > 0 && _labels[i] == 0;
            one |= weights[i] > 0 && _labels[i] == 1;
        }

        return zero && one;
    }

    private double[] Mean(IReadOnlyList<Answers> repetitions, int[] weights)
    {
        double[] sum = [];
        foreach (Answers answers in repetitions)
        {
            double[] one = Measure(answers, weights);
            Array.Resize(ref sum, one.Length);
            for (int i = 0; i < sum.Length; i++)
            {
                sum[i] += one[i] / repetitions.Count;
            }
        }

        return sum;
    }

    /// <summary>In the order of <see cref="StudyMetrics"/>, then macro F1 and the recall of each class.</summary>
    private double[] MeasureClasses(Answers answers, int[] weights)
    {
        int[][] confusion = [.. _classes.Names.Select(_ => new int[_classes.Count])];
        int[] called = ClassScores.Called(answers.Scores, _classes, double.NaN);
        double squares = 0;
        for (int clip = 0; clip < weights.Length; clip++)
        {
            confusion[_labels[clip]][called[clip]] += weights[clip];
            ReadOnlySpan<double> answer = ClassScores.Of(answers.Scores, clip, _classes);
            for (int label = 0; label < answer.Length; label++)
            {
                double error = answer[label] - (label == _labels[clip] ? 1 : 0);
                squares += weights[clip] * error * error;
            }
        }

        ClassMetrics[] each = [.. _classes.Names.Select((name, label) => ClassificationMetrics.Of(name, confusion, label))];
        ClassMetrics[] drawn = [.. each.Where(one => one.Count > 0)];
        int clips = weights.Sum();
        return
        [
            (double)confusion.Select((row, label) => row[label]).Sum() / clips,
            drawn.Average(one => one.Recall),
            each[0].Recall,
            each[1].Recall,
            drawn.Average(one => double.IsNaN(one.Precision) ? 0 : one.Precision),
            Enumerable.Range(0, each.Length).Where(label => each[label].Count > 0 && each[label].Count < clips)
                .Select(label => Auc(ClassScores.Column(answers.Scores, _classes, label), weights, each[label].Count,
                    clips - each[label].Count, label))
                .DefaultIfEmpty(double.NaN).Average(),
            squares / clips,
            drawn.Average(one => one.F1),
            .. each.Select(one => one.Recall),
        ];
    }

    /// <summary>In the order of <see cref="StudyMetrics"/>.</summary>
    /// <param name="weights">How often each clip counts.</param>
    private double[] Measure(Answers answers, int[] weights)
    {
        if (!_classes.IsViolence)
        {
            return MeasureClasses(answers, weights);
        }

        long positives = 0, negatives = 0, truePositives = 0, trueNegatives = 0;
        double squares = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            int weight = weights[i];
            double error = answers.Scores[i] - _labels[i];
            squares += weight * error * error;
            if (_labels[i] == 1)
            {
                positives += weight;
                truePositives += answers.Violent[i] ? weight : 0;
            }
            else
            {
                negatives += weight;
                trueNegatives += answers.Violent[i] ? 0 : weight;
            }
        }

        double recall = (double)truePositives / positives, specificity = (double)trueNegatives / negatives;
        return
        [
            (double)(truePositives + trueNegatives) / (positives + negatives),
            (recall + specificity) / 2,
            specificity,
            recall,
            (double)truePositives / (truePositives + negatives - trueNegatives),
            Auc(answers.Scores, weights, positives, negatives),
            squares / (positives + negatives),
        ];
    }

    private double Auc(double[] scores, int[] weights, long positives, long negatives, int positive = ClassLabel.Violent)
    {
        int[] order = [.. Enumerable.Range(0, scores.Length)];
        double[] keys = [.. scores];
        Array.Sort(keys, order);
        double area = 0;
        long below = 0;
        for (int i = 0; i < order.Length;)
        {
            // Equal scores count half against each other.
            long positivesHere = 0, negativesHere = 0;
            double score = keys[i];
            for (; i < order.Length && keys[i] == score; i++)
            {
                int weight = weights[order[i]];
                (positivesHere, negativesHere) = _labels[order[i]] == positive
                    ? (positivesHere + weight, negativesHere)
                    : (positivesHere, negativesHere + weight);
            }

            area += positivesHere * (below + (0.5 * negativesHere));
            below += negativesHere;
        }

        return area / ((double)positives * negatives);
    }
}
