using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Linear;

/// <summary>
/// What the classifier <c>linear</c> looks at: of each clip and feature the mean over time, the standard deviation over time and the mean
/// absolute difference between successive frames. [clips, 3·D], in the order of the op <c>TimeStatistics</c>.
/// </summary>
internal sealed class ClipStatistics
{
    public const int PerFeature = 3;

    private readonly float[] _values;

    private ClipStatistics(int count, int width)
    {
        (Count, Width) = (count, width);
        _values = new float[checked(count * width)];
    }

    public int Count { get; }

    /// <summary>3·D.</summary>
    public int Width { get; }

    public static ClipStatistics Of(IFeatureRows rows)
    {
        var statistics = new ClipStatistics(rows.Count, PerFeature * rows.Dimension);
        System.Threading.Tasks.Parallel.For(0, rows.Count, clip => Measure(rows, clip, statistics[clip]));
        return statistics;
    }

    public Span<float> this[int clip] => _values.AsSpan(clip * Width, Width);

    /// <summary>Mean, deviation and difference of every feature of a clip.</summary>
    /// <param name="statistics">[3·D].</param>
    public static unsafe void Measure(IFeatureRows rows, int clip, Span<float> statistics)
    {
        int frames = rows.Frames, dimension = rows.Dimension;
        float[] features = new float[frames * dimension];
        if (rows.IsHalf)
        {
            var halves = new ReadOnlySpan<Half>((void*)rows.Row(clip), features.Length);
            for (int i = 0; i < features.Length; i++)
            {
                features[i] = (float)halves[i];
            }
        }
        else
        {
            new ReadOnlySpan<float>((void*)rows.Row(clip), features.Length).CopyTo(features);
        }

        Span<float> means = statistics[..dimension], deviations = statistics.Slice(dimension, dimension),
            differences = statistics[(2 * dimension)..];
        for (int d = 0; d < dimension; d++)
        {
            double sum = 0, squares = 0, changes = 0;
            for (int t = 0; t < frames; t++)
            {
                sum += features[(t * dimension) + d];
            }

            double mean = sum / frames;
            for (int t = 0; t < frames; t++)
            {
                double off = features[(t * dimension) + d] - mean;
                squares += off * off;
                changes += t == 0 ? 0 : Math.Abs((double)features[(t * dimension) + d] - features[((t - 1) * dimension) + d]);
            }

            means[d] = (float)mean;
            deviations[d] = (float)Math.Sqrt(squares / frames);
            differences[d] = frames > 1 ? (float)(changes / (frames - 1)) : 0;
        }
    }

    /// <summary>Scales every number to mean 0 and deviation 1 over the clips; one that hardly differs between them becomes 0.</summary>
    /// <returns>[3·D] each, x → (x − mean)·scale.</returns>
    public (double[] Mean, double[] Scale) Standardize()
    {
        double[] mean = new double[Width], scale = new double[Width];
        for (int clip = 0; clip < Count; clip++)
        {
            ReadOnlySpan<float> row = this[clip];
            for (int d = 0; d < Width; d++)
            {
                mean[d] += (double)row[d] / Count;
            }
        }

        for (int clip = 0; clip < Count; clip++)
        {
            ReadOnlySpan<float> row = this[clip];
            for (int d = 0; d < Width; d++)
            {
                double off = row[d] - mean[d];
                scale[d] += off * off / Count;
            }
        }

        for (int d = 0; d < Width; d++)
        {
            // What differs by no more than the rounding of its own size is rounding.
            double deviation = Math.Sqrt(scale[d]), rounding = 1e-5 * Math.Abs(mean[d]);
            scale[d] = deviation > rounding && deviation > 1e-20 ? 1 / deviation : 0;
        }

        for (int clip = 0; clip < Count; clip++)
        {
            Span<float> row = this[clip];
            for (int d = 0; d < Width; d++)
            {
                row[d] = (float)((row[d] - mean[d]) * scale[d]);
            }
        }

        return (mean, scale);
    }
}
