using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Training;

/// <summary>A classifier's answers on a split, in the order of its rows.</summary>
/// <param name="Labels">0 or 1.</param>
/// <param name="Scores">p(violent).</param>
/// <param name="Loss">Mean of the training loss, class weights included.</param>
public sealed record Evaluation(int[] Labels, double[] Scores, double Loss)
{
    public ClassificationMetrics MetricsAt(double threshold) => ClassificationMetrics.Compute(Labels, Scores, threshold, Loss);

    /// <summary>The threshold with the best balanced accuracy on this split.</summary>
    public double BestThreshold() => RankMetrics.BestThreshold(Labels, Scores);
}

/// <summary>Runs a learner over a whole split, batch by batch, without training it.</summary>
internal sealed class Evaluator : IDisposable
{
    private readonly Learner _learner;
    private readonly IFeatureRows _rows;
    private readonly int _batchSize;
    private readonly BatchLoader _loader;
    private readonly int[] _order;

    public Evaluator(IDevice device, Learner learner, IFeatureRows rows, int batchSize, FeatureScaler? scaler = null)
    {
        _learner = learner;
        _rows = rows;
        _batchSize = batchSize;
        _loader = new BatchLoader(device, rows, batchSize, learner.FeatureType == DType.Float16, scaler);
        _order = EpochOrder.Of(rows.Count, seed: 0, epoch: 0, shuffle: false);
    }

    public Evaluation Run()
    {
        double[] scores = new double[_rows.Count];
        float[] losses = new float[_rows.Count];
        _loader.Start(_order);
        for (int start = 0; start < _rows.Count; start += _batchSize)
        {
            HostBatch batch = _loader.Next();
            _learner.Evaluate(batch, losses.AsSpan(start, batch.Count), scores.AsSpan(start, batch.Count));
            _loader.Return(batch);
        }

        int bad = Array.FindIndex(scores, double.IsNaN);
        if (bad >= 0)
        {
            throw new RunException(
                $"The classifier's answer for '{_rows.NameOf(bad)}' is not a number.", "Its features are too large to compute with, or the classifier's weights are; check the features.");
        }

        double sum = 0;
        foreach (float loss in losses)
        {
            sum += loss;
        }

        return new Evaluation(_rows.Labels.ToArray(), scores, sum / _rows.Count);
    }

    public void Dispose() => _loader.Dispose();
}
