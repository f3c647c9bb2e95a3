using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Studies;

/// <summary>What a classifier said about every clip, in one repetition of a cross-validation.</summary>
/// <param name="Scores">Calibrated p(violent) for each clip.</param>
/// <param name="Violent">Whether each clip was called violent, by the threshold of its fold.</param>
internal sealed record Answers(double[] Scores, bool[] Violent);

/// <summary>A metric's value and the 95 % interval of it.</summary>
public sealed record Estimate(double Value, Interval Interval);

/// <summary>Metrics of out-of-fold answers; each is the mean over the repetitions.</summary>
/// <param name="Class0Accuracy">Share of nonviolent clips called so.</param>
/// <param name="Class1Accuracy">Share of violent clips called so; the recall of violent.</param>
/// <param name="Precision">Of violent.</param>
/// <param name="Auc">Of the calibrated probabilities of all folds together.</param>
/// <param name="Brier">Mean of (p − label)².</param>
public sealed record StudyMetrics(Estimate Accuracy, Estimate BalancedAccuracy, Estimate Class0Accuracy, Estimate Class1Accuracy,
    Estimate Precision, Estimate Auc, Estimate Brier);

/// <summary>
/// Bootstrap over sources: whole sources are drawn with replacement, as many as there are, since clips of one recording resemble each
/// other; the 2.5th and 97.5th percentiles over the resamples are the interval (Davison &amp; Hinkley, Bootstrap Methods, 1997, §3.8).
/// Draws without both classes are drawn again. Every call draws the same sources, so that two sets
/// of answers to the same clips are compared draw by draw: the paired bootstrap.
/// </summary>
internal sealed class GroupBootstrap
{
    public const int Resamples = 2000;

    private const ulong Seed = 42;

    private readonly int[] _labels;
    private readonly int[][] _weights;

    /// <param name="labels">0 or 1 for each clip.</param>
    /// <param name="sources">What each clip was cut from.</param>
    public GroupBootstrap(ReadOnlySpan<int> labels, IReadOnlyList<string> sources)
    {
        _labels = labels.ToArray();
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
            while (!HasBothClasses(_weights[i]));
        }
    }

    public StudyMetrics Metrics(IReadOnlyList<Answers> repetitions)
    {
        int[] once = [.. _labels.Select(_ => 1)];
        double[] point = Mean(repetitions, once);
        double[][] draws = [.. _weights.Select(weights => Mean(repetitions, weights))];
        return new StudyMetrics(Of(0), Of(1), Of(2), Of(3), Of(4), Of(5), Of(6));

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
        double[] sum = new double[7];
        foreach (Answers answers in repetitions)
        {
            double[] one = Measure(answers, weights);
            for (int i = 0; i < sum.Length; i++)
            {
                sum[i] += one[i] / repetitions.Count;
            }
        }

        return sum;
    }

    /// <summary>In the order of <see cref="StudyMetrics"/>.</summary>
    /// <param name="weights">How often each clip counts.</param>
    private double[] Measure(Answers answers, int[] weights)
    {
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

    private double Auc(double[] scores, int[] weights, long positives, long negatives)
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
                (positivesHere, negativesHere) = _labels[order[i]] == 1
                    ? (positivesHere + weight, negativesHere)
                    : (positivesHere, negativesHere + weight);
            }

            area += positivesHere * (below + (0.5 * negativesHere));
            below += negativesHere;
        }

        return area / ((double)positives * negatives);
    }
}
