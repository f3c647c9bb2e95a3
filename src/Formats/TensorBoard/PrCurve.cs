namespace CudaTrainer.Formats.TensorBoard;

/// <summary>
/// Precision and recall over thresholds as TensorBoard's pr_curves plugin wants them (tensorboard/plugins/pr_curve/summary.py).
/// </summary>
internal static class PrCurve
{
    /// <summary>True positives, false positives, true negatives, false negatives, precision, recall.</summary>
    public const int Rows = 6;

    /// <summary>Evenly from 0 to 1.</summary>
    public const int Thresholds = 201;

    /// <summary>Field number of PrCurvePluginData.num_thresholds.</summary>
    public const int ThresholdsField = 2;

    /// <summary>Keeps precision and recall from being 0/0, as in the plugin.</summary>
    private const float LeastCount = 1e-7f;

    /// <param name="labels">0 or 1.</param>
    /// <param name="scores">In [0, 1]; a clip counts as positive at each threshold that its score reaches.</param>
    /// <returns>[<see cref="Rows"/>, <see cref="Thresholds"/>].</returns>
    public static float[] Compute(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores)
    {
        float[] curve = new float[Rows * Thresholds];
        Span<float> truePositives = Row(0), falsePositives = Row(1), trueNegatives = Row(2), falseNegatives = Row(3), precision = Row(4),
            recall = Row(5);
        for (int i = 0; i < labels.Length; i++)
        {
            int last = Math.Clamp((int)Math.Floor(scores[i] * (Thresholds - 1)), 0, Thresholds - 1);
            (labels[i] == 1 ? truePositives : falsePositives)[last]++;
        }

        for (int i = Thresholds - 2; i >= 0; i--)
        {
            truePositives[i] += truePositives[i + 1];
            falsePositives[i] += falsePositives[i + 1];
        }

        for (int i = 0; i < Thresholds; i++)
        {
            trueNegatives[i] = falsePositives[0] - falsePositives[i];
            falseNegatives[i] = truePositives[0] - truePositives[i];
            precision[i] = truePositives[i] / Math.Max(LeastCount, truePositives[i] + falsePositives[i]);
            recall[i] = truePositives[i] / Math.Max(LeastCount, truePositives[0]);
        }

        return curve;

        Span<float> Row(int row) => curve.AsSpan(row * Thresholds, Thresholds);
    }
}
