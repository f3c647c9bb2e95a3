namespace CudaTrainer.Data.Video;

/// <summary>What moves in a video, in numbers: docs/motion.md.</summary>
public static class MotionFeatures
{
    /// <summary>How many numbers describe a pair of successive pictures.</summary>
    public const int PerPair = 174;

    /// <summary>How many numbers describe an interval of time: the means over its pairs, then the standard deviations.</summary>
    public const int PerStep = 2 * PerPair;

    /// <summary>Changes whenever the same video gives other numbers.</summary>
    public const string Identity = "motion-flow 1";

    /// <summary>How time is divided; part of the cache's key.</summary>
    internal const string Sampling = "equal intervals of 15 pairs a second";

    /// <summary>The picture that motion is looked for in; part of the cache's key.</summary>
    internal const string Resize = "112 rows area";

    /// <summary>What messages and reports call these features.</summary>
    public const string Description = "motion (optical flow and differences, 15 pictures a second)";

    /// <summary>
    /// Means and standard deviations of the pairs in equal intervals of time, weighted by the time that a pair shares with an interval;
    /// intervals without a pair repeat the nearest.
    /// </summary>
    /// <param name="starts">When each pair begins, in seconds.</param>
    /// <param name="ends">When each pair ends; pairs are in order and do not overlap.</param>
    /// <param name="pairs">[pairs, <see cref="PerPair"/>].</param>
    /// <param name="from">Where the first interval begins.</param>
    /// <param name="to">Where the last ends.</param>
    /// <param name="steps">[intervals, <see cref="PerStep"/>], overwritten; zeros where there is no pair at all.</param>
    /// <exception cref="ArgumentException">The lengths do not fit.</exception>
    /// <exception cref="VideoException">The native library is missing.</exception>
    public static unsafe void Steps(ReadOnlySpan<double> starts, ReadOnlySpan<double> ends, ReadOnlySpan<float> pairs, double from,
        double to, Span<float> steps)
    {
        if (ends.Length != starts.Length || pairs.Length != starts.Length * PerPair || steps.Length % PerStep != 0)
        {
            throw new ArgumentException(
                $"{starts.Length} starts, {ends.Length} ends and {pairs.Length} features of {PerPair} a pair do not fit, or " +
                    $"{steps.Length} is no multiple of {PerStep}.");
        }

        fixed (double* start = starts, end = ends)
        fixed (float* features = pairs, result = steps)
        {
            VideoLibrary.Require("motion").MotionSteps(start, end, features, starts.Length, from, to, steps.Length / PerStep, result);
        }
    }
}
