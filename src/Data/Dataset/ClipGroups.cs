namespace CudaTrainer.Data.Dataset;

/// <summary>Finds which clips must stay together: those of one source, and those with the same content.</summary>
internal static class ClipGroups
{
    /// <summary>Joins clips into groups, numbered in the order of their first clip.</summary>
    /// <param name="clips">The clips.</param>
    /// <param name="counts">Clips of each class in each group.</param>
    /// <param name="ties">What else keeps clips together; null for nothing.</param>
    /// <returns>The group of each clip.</returns>
    public static int[] Find(IReadOnlyList<Clip> clips, out ClassCounts[] counts, DatasetTies? ties = null)
    {
        // Union-find; the smaller index is always the root, so that numbering follows the clips' order.
        int[] parent = Enumerable.Range(0, clips.Count).ToArray();
        var firstOfSource = new Dictionary<string, int>(StringComparer.Ordinal);
        var firstOfContent = new Dictionary<string, int>(StringComparer.Ordinal);
        var firstOfTie = new Dictionary<int, int>();
        for (int i = 0; i < clips.Count; i++)
        {
            Join(firstOfSource, clips[i].Source, i);
            if (clips[i].HasContent)
            {
                Join(firstOfContent, clips[i].ContentHash, i);
            }

            if (ties is not null)
            {
                Join(firstOfTie, ties[clips[i]], i);
            }
        }

        int[] groupOf = new int[clips.Count];
        var groups = new List<ClassCounts>();
        for (int i = 0; i < clips.Count; i++)
        {
            int root = Root(i);
            if (root == i)
            {
                groupOf[i] = groups.Count;
                groups.Add(default);
            }

            groupOf[i] = groupOf[root];
            groups[groupOf[i]] += ClassCounts.Of([clips[i].Label]);
        }

        counts = [.. groups];
        return groupOf;

        void Join<TKey>(Dictionary<TKey, int> first, TKey key, int clip)
            where TKey : notnull
        {
            if (!first.TryAdd(key, clip))
            {
                (int a, int b) = (Root(first[key]), Root(clip));
                parent[Math.Max(a, b)] = Math.Min(a, b);
            }
        }

        int Root(int clip)
        {
            while (parent[clip] != clip)
            {
                parent[clip] = parent[parent[clip]];
                clip = parent[clip];
            }

            return clip;
        }
    }
}
