using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Learning;

/// <summary>A classifier's answers on a split, in the order of its rows.</summary>
/// <param name="Labels">From 0 on.</param>
/// <param name="Scores">[clips, <see cref="ClassList.Scores"/>]: of the known pair p(violent), else the probability of each class.</param>
/// <param name="Loss">Mean of the training loss, class weights included.</param>
/// <param name="Losses">That of each clip.</param>
/// <param name="Attention">[clips, T], how much each frame counted; empty for a model without attention, or where nobody asked for
/// it.</param>
public sealed record Evaluation(int[] Labels, double[] Scores, double Loss, float[] Losses, float[] Attention)
{
    /// <summary>What the labels stand for.</summary>
    public ClassList Classes { get; init; } = ClassList.Violence;

    /// <param name="threshold">Of the known pair; nothing to other classes.</param>
    public ClassificationMetrics MetricsAt(double threshold) =>
        MetricsBy(new DecisionRule(threshold));

    internal ClassificationMetrics MetricsBy(DecisionRule rule) => ClassificationMetrics.Compute(Classes, Labels, Scores, rule, Loss);

    /// <summary>
    /// The threshold with the best balanced accuracy on this split; NaN for other classes than the known pair, where the largest
    /// probability decides.
    /// </summary>
    public double BestThreshold() => Classes.IsViolence ? RankMetrics.BestThreshold(Labels, Scores) : double.NaN;
}

/// <summary>Answers to clips of several splits put together, and taken apart by data set.</summary>
internal static class Evaluations
{
    /// <summary>What the figures of one data set in a split are called.</summary>
    public static string Key(string split, string dataset) => $"{split}/{dataset}";

    /// <summary>The split that a name means, and the data set if it is a <see cref="Key"/>.</summary>
    public static (string Split, string? Dataset) Parts(string name) =>
        name.Split('/', 2) is [var split, var dataset] ? (split, dataset) : (name, null);

    /// <summary>The answers to all clips of several splits.</summary>
    /// <param name="parts">One or more, of one classifier.</param>
    public static Evaluation Join(IReadOnlyList<Evaluation> parts)
    {
        int[] labels = [.. parts.SelectMany(part => part.Labels)];
        return new Evaluation(
            labels, [.. parts.SelectMany(part => part.Scores)], parts.Sum(part => part.Loss * part.Labels.Length) / labels.Length,
            [.. parts.SelectMany(part => part.Losses)], [])
        {
            Classes = parts[0].Classes,
        };
    }

    /// <summary>The answers to the clips of each data set, in the order of their names; none where there is one alone.</summary>
    /// <param name="datasets">Of each clip; nulls for one alone.</param>
    public static IEnumerable<(string Dataset, Evaluation Evaluation)> ByDataset(Evaluation all, IReadOnlyList<string?> datasets) =>
        from clip in Enumerable.Range(0, datasets.Count)
        where datasets[clip] is not null
        group clip by datasets[clip] into clips
        orderby clips.Key
        select (clips.Key, Part(all, [.. clips]));

    private static Evaluation Part(Evaluation all, int[] clips)
    {
        int width = all.Classes.Scores;
        float[] losses = all.Losses.Length == 0 ? [] : [.. clips.Select(clip => all.Losses[clip])];
        return new Evaluation(
            [.. clips.Select(clip => all.Labels[clip])],
            [.. clips.SelectMany(clip => Enumerable.Range(clip * width, width).Select(place => all.Scores[place]))],
            losses.Length == 0 ? double.NaN : losses.Average(loss => (double)loss), losses, [])
        {
            Classes = all.Classes,
        };
    }
}

/// <summary>Runs a learner over a whole split, batch by batch, without training it.</summary>
internal sealed class Evaluator : IDisposable
{
    /// <summary>Clips at a time on a processor, where more are not faster but take memory; answers do not depend on it.</summary>
    private const int LargestHostBatch = 16;

    private readonly ReplicaGroup _replicas;
    private readonly IFeatureRows _rows;
    private readonly int _batchSize;
    private readonly BatchLoader _loader;
    private readonly int[] _order;

    public Evaluator(ReplicaGroup replicas, IFeatureRows rows, int batchSize, FeatureScaler? scaler = null)
    {
        _replicas = replicas;
        _rows = rows;
        _batchSize = replicas.Lead.Device.SharesHostMemory ? Math.Min(batchSize, LargestHostBatch) : batchSize;
        _loader = replicas.NewLoader(rows, _batchSize, scaler);
        _order = EpochOrder.Of(rows.Count, seed: 0, epoch: 0, shuffle: false);
    }

    /// <param name="withAttention">Also asks a model that has attention for it, which costs a copy from the device a batch.</param>
    public Evaluation Run(bool withAttention = false)
    {
        int frames = withAttention && _replicas.Lead.Model.HasAttention ? _rows.Frames : 0;
        int width = _rows.Classes.Scores, numbers = width * _rows.Count;
        float[] answers = new float[checked((1 + width + frames) * _rows.Count)];
        Span<float> scores = answers.AsSpan(0, numbers), losses = answers.AsSpan(numbers, _rows.Count),
            attention = answers.AsSpan(numbers + _rows.Count);
        _loader.Start(_order);
        for (int start = 0; start < _rows.Count; start += _batchSize)
        {
            SplitBatch batch = _loader.Next();
            _replicas.Evaluate(batch, losses.Slice(start, batch.Count), scores.Slice(start * width, batch.Count * width),
                attention.Slice(start * frames, batch.Count * frames));
            _loader.Return(batch);
        }

        _replicas.AddUp(answers);
        double[] probabilities = new double[numbers];
        for (int i = 0; i < probabilities.Length; i++)
        {
            probabilities[i] = scores[i];
        }

        int bad = Array.FindIndex(probabilities, double.IsNaN);
        if (bad >= 0)
        {
            throw new RunException(
                $"The classifier's answer for '{_rows.NameOf(bad / width)}' is not a number.",
                    "Its features are too large to compute with, or the classifier's weights are; check the features.");
        }

        double sum = 0;
        foreach (float loss in losses)
        {
            sum += loss;
        }

        return new Evaluation(_rows.Labels.ToArray(), probabilities, sum / _rows.Count, losses.ToArray(), attention.ToArray())
        {
            Classes = _rows.Classes,
        };
    }

    public void Dispose() => _loader.Dispose();
}
