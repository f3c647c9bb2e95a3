using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Threading;
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
        using var team = new ThreadTeam(1);
        for (int clip = 0; clip < rows.Count; clip++)
        {
            Measure(team, rows, clip, statistics[clip]);
        }

        return statistics;
    }

    /// <summary>The numbers of a block, by clip.</summary>
    public Func<int, ReadOnlySpan<float>> Of(FeatureBlock block) => clip => this[clip].Slice(block.First, block.Count);

    public Span<float> this[int clip] => _values.AsSpan(clip * Width, Width);

    /// <summary>Of one clip, as the classifier sees it.</summary>
    /// <param name="statistics">[3·D], overwritten.</param>
    public static unsafe void Measure(ThreadTeam team, IFeatureRows rows, int clip, Span<float> statistics)
    {
        fixed (float* output = statistics)
        {
            if (rows.IsHalf)
            {
                TimeStatistics.Forward(team, 1, rows.Frames, rows.Dimension, (Half*)rows.Row(clip), output);
            }
            else
            {
                TimeStatistics.Forward(team, 1, rows.Frames, rows.Dimension, (float*)rows.Row(clip), output);
            }
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
