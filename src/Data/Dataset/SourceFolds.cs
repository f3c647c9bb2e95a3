namespace CudaTrainer.Data.Dataset;

/// <summary>
/// Divides clips so that all clips of a source stay together and each part has both classes in proportions as near to the whole's as the
/// sources allow. What part a source goes to follows from sources, labels and seed, not from the order of the clips.
/// </summary>
internal static class SourceFolds
{
    /// <summary>The most parts that can have both classes without sharing a source.</summary>
    /// <param name="labels">0 or 1 for each clip of the data set.</param>
    /// <param name="sources">What each was cut from.</param>
    /// <param name="clips">Those to divide.</param>
    public static int Most(ReadOnlySpan<int> labels, IReadOnlyList<string> sources, ReadOnlySpan<int> clips) =>
        GroupSplitter.MaximumSplits([.. Count(labels, sources, clips).Values]);

    /// <summary>Gives each clip a part.</summary>
    /// <param name="labels">0 or 1 for each clip of the data set.</param>
    /// <param name="sources">What each was cut from.</param>
    /// <param name="clips">Those to divide.</param>
    /// <param name="shares">Of each part, positive, adding up to one; at most <see cref="Most"/>.</param>
    /// <param name="seed">Equal seeds give equal parts.</param>
    /// <returns>The part of each of <paramref name="clips"/>.</returns>
    public static int[] Assign(ReadOnlySpan<int> labels, IReadOnlyList<string> sources, ReadOnlySpan<int> clips,
        ReadOnlySpan<double> shares, int seed)
    {
        SortedDictionary<string, ClassCounts> counts = Count(labels, sources, clips);
        int[] parts = GroupSplitter.Assign([.. counts.Values], shares, (uint)seed);
        var partOf = counts.Keys.Zip(parts).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        int[] result = new int[clips.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = partOf[sources[clips[i]]];
        }

        return result;
    }

    private static SortedDictionary<string, ClassCounts> Count(ReadOnlySpan<int> labels, IReadOnlyList<string> sources,
        ReadOnlySpan<int> clips)
    {
        SortedDictionary<string, ClassCounts> counts = new(StringComparer.Ordinal);
        foreach (int clip in clips)
        {
            counts[sources[clip]] = counts.GetValueOrDefault(sources[clip]) + ClassCounts.Of([labels[clip]]);
        }

        return counts;
    }
}
