using CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Data.Video;

/// <summary>What moves in a video, in numbers: docs/motion.md.</summary>
public static class MotionFeatures
{
    /// <summary>How many numbers describe a pair of successive pictures.</summary>
    public const int PerPair = MotionDescriptor.Features;

    /// <summary>How many numbers describe an interval of time: the means over its pairs.</summary>
    public const int PerStep = PerPair;

    /// <summary>Changes whenever the same video gives other numbers.</summary>
    public const string Identity = "motion-flow 2";

    /// <summary>How time is divided; part of the cache's key.</summary>
    internal const string Sampling = "equal intervals of 15 pairs a second";

    /// <summary>The picture that motion is looked for in; part of the cache's key.</summary>
    internal const string Resize = "112 rows area";

    /// <summary>What messages and reports call these features.</summary>
    public const string Description = "motion (optical flow and differences, 15 pictures a second)";

    /// <summary>
    /// Means of the pairs in equal intervals of time, weighted by the time that a pair shares with an interval;
    /// intervals without a pair repeat the nearest.
    /// </summary>
    /// <param name="starts">When each pair begins, in seconds.</param>
    /// <param name="ends">When each pair ends; pairs are in order and do not overlap.</param>
    /// <param name="pairs">[pairs, <see cref="PerPair"/>].</param>
    /// <param name="from">Where the first interval begins.</param>
    /// <param name="to">Where the last ends.</param>
    /// <param name="steps">[intervals, <see cref="PerStep"/>], overwritten; zeros where there is no pair at all.</param>
    /// <exception cref="ArgumentException">The lengths do not fit.</exception>
    public static void Steps(ReadOnlySpan<double> starts, ReadOnlySpan<double> ends, ReadOnlySpan<float> pairs, double from, double to,
        Span<float> steps)
    {
        if (ends.Length != starts.Length || pairs.Length != starts.Length * PerPair || steps.Length % PerStep != 0)
        {
            throw new ArgumentException(
                $"{starts.Length} starts, {ends.Length} ends and {pairs.Length} features of {PerPair} a pair do not fit, or " +
                    $"{steps.Length} is no multiple of {PerStep}.");
        }

        steps.Clear();
        int count = steps.Length / PerStep, first = 0;
        int filled = 0; // steps in front of this one have numbers of their own or of a neighbour
        for (int step = 0; step < count; step++)
        {
            double begin = from + ((to - from) * step / count), end = from + ((to - from) * (step + 1) / count);
            while (first < starts.Length && ends[first] <= begin)
            {
                first++;
            }

            int last = first;
            double weight = 0;
            for (; last < starts.Length && starts[last] < end; last++)
            {
                weight += Math.Min(ends[last], end) - Math.Max(starts[last], begin);
            }

            if (!(weight > 0))
            {
                continue;
            }

            Span<float> numbers = Step(steps, step);
            for (int i = 0; i < PerPair; i++)
            {
                double sum = 0;
                for (int pair = first; pair < last; pair++)
                {
                    sum += (Math.Min(ends[pair], end) - Math.Max(starts[pair], begin)) * Feature(pairs, pair, i);
                }

                numbers[i] = (float)(sum / weight);
            }

            // Steps without a pair take the nearest that has one; of two as near the earlier.
            for (int empty = filled; empty < step; empty++)
            {
                bool takesEarlier = filled > 0 && empty - (filled - 1) <= step - empty;
                Step(steps, takesEarlier ? filled - 1 : step).CopyTo(Step(steps, empty));
            }

            filled = step + 1;
        }

        for (int empty = filled; filled > 0 && empty < count; empty++)
        {
            Step(steps, filled - 1).CopyTo(Step(steps, empty));
        }
    }

    private static Span<float> Step(Span<float> steps, int step) => steps.Slice(step * PerStep, PerStep);

    /// <summary>What the first pair of a scene lacks is that of the pair after it, or 0.</summary>
    private static double Feature(ReadOnlySpan<float> pairs, int pair, int i)
    {
        int place = (pair * PerPair) + i;
        float value = float.IsNaN(pairs[place]) && place + PerPair < pairs.Length ? pairs[place + PerPair] : pairs[place];
        return float.IsNaN(value) ? 0 : value;
    }
}
