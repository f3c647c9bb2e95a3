using CudaTrainer.Engine.Nn;

namespace CudaTrainer.Engine.Training;

/// <summary>
/// Standardises features, x → (x − mean)·scale, by the training clips. Features of a random backbone are almost constant from frame to frame: without this, the
/// common part saturates the gates of the first layer and drowns what differs.
/// </summary>
/// <remarks>
/// The classifier that is saved takes raw features: the affine map is folded into the first layer's weights and biases, W·((x − m)·s) + b = (W·s)·x + (b − (W·s)·m).
/// </remarks>
public sealed class FeatureScaler
{
    /// <summary>Standard deviations below this share of their quadratic mean count as noise and are not blown up.</summary>
    private const double SmallestDeviation = 0.1;

    private FeatureScaler(float[] mean, float[] scale)
    {
        Mean = mean;
        Scale = scale;
    }

    /// <summary>[D].</summary>
    public float[] Mean { get; }

    /// <summary>[D].</summary>
    public float[] Scale { get; }

    /// <summary>Mean and standard deviation of each feature over all frames of all clips, in a fixed order.</summary>
    internal static unsafe FeatureScaler Fit(IFeatureRows rows)
    {
        int dimension = rows.Dimension;
        double[] sum = new double[dimension], squares = new double[dimension];
        for (int i = 0; i < rows.Count; i++)
        {
            for (int t = 0; t < rows.Frames; t++)
            {
                nint frame = rows.Row(i) + ((nint)t * dimension * (rows.IsHalf ? 2 : 4));
                for (int d = 0; d < dimension; d++)
                {
                    double value = rows.IsHalf ? (double)((Half*)frame)[d] : ((float*)frame)[d];
                    sum[d] += value;
                    squares[d] += value * value;
                }
            }
        }

        double count = (double)rows.Count * rows.Frames;
        double[] variance = [.. sum.Zip(squares, (s, q) => Math.Max(0, (q / count) - (s / count * (s / count))))];
        double floor = SmallestDeviation * Math.Sqrt(variance.Average());
        return new FeatureScaler(
            [.. sum.Select(s => (float)(s / count))],
            [.. variance.Select(v => (float)(1 / Math.Max(Math.Sqrt(v), Math.Max(floor, 1e-12))))]);
    }

    internal static FeatureScaler From(float[] mean, float[] scale) => new(mean, scale);

    /// <summary>Standardises one row [T, D] in place.</summary>
    internal void Apply(Span<float> row)
    {
        for (int start = 0; start < row.Length; start += Mean.Length)
        {
            Span<float> frame = row.Slice(start, Mean.Length);
            for (int d = 0; d < frame.Length; d++)
            {
                frame[d] = (frame[d] - Mean[d]) * Scale[d];
            }
        }
    }

    /// <summary>Makes a model that was trained on standardised features take raw ones.</summary>
    internal void FoldInto(Classifier model)
    {
        foreach (var (weight, bias) in model.InputProjections)
        {
            float[] w = weight.Value.Read<float>(), b = bias.Value.Read<float>();
            for (int j = 0; j < b.Length; j++)
            {
                double shift = 0;
                for (int d = 0; d < Mean.Length; d++)
                {
                    ref float entry = ref w[(j * Mean.Length) + d];
                    entry *= Scale[d];
                    shift += (double)entry * Mean[d];
                }

                b[j] = (float)(b[j] - shift);
            }

            weight.Value.Write((ReadOnlySpan<float>)w);
            bias.Value.Write((ReadOnlySpan<float>)b);
        }
    }
}
