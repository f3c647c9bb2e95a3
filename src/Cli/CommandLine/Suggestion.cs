namespace CudaTrainer.Cli.CommandLine;

/// <summary>The name somebody probably meant.</summary>
internal static class Suggestion
{
    /// <summary>The candidate with the fewest edits from <paramref name="typed"/>, or null if none is near.</summary>
    public static string? Nearest(string typed, IEnumerable<string> candidates)
    {
        string wanted = Key(typed);
        string? best = null;
        int fewest = int.MaxValue;
        foreach (string candidate in candidates)
        {
            string key = Key(candidate);
            int edits = Edits(wanted, key);
            if (wanted.Length >= 3 && key.StartsWith(wanted, StringComparison.Ordinal))
            {
                edits = Math.Min(edits, 2);
            }

            if (edits < fewest)
            {
                (best, fewest) = (candidate, edits);
            }
        }

        return fewest <= Math.Max(2, wanted.Length / 3) ? best : null;
    }

    /// <summary>A sentence to append to an error: empty when nothing is near.</summary>
    public static string DidYouMean(string typed, IEnumerable<string> candidates) =>
        Nearest(typed, candidates) is { } nearest ? $"; did you mean {nearest}?" : "";

    /// <summary>Case, hyphens and underscores are what people mistype most; they do not count.</summary>
    internal static string Key(string name) =>
        string.Concat(name.Where(char.IsLetterOrDigit).Select(char.ToLowerInvariant));

    /// <summary>Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.</summary>
    internal static int Edits(string a, string b)
    {
        int[,] distance = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            distance[i, 0] = i;
        }

        for (int j = 0; j <= b.Length; j++)
        {
            distance[0, j] = j;
        }

        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                int substitution = distance[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                int best = Math.Min(substitution, Math.Min(distance[i - 1, j], distance[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    best = Math.Min(best, distance[i - 2, j - 2] + 1);
                }

                distance[i, j] = best;
            }
        }

        return distance[a.Length, b.Length];
    }
}
