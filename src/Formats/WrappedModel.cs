namespace CudaTrainer.Formats;

/// <summary>
/// Finds a network in a file whose names say how it was wrapped when it was saved: <c>module.</c> (DataParallel), <c>_orig_mod.</c>
/// (torch.compile), the name of a dict or of a module that held it, or several of these. One rule for all formats.
/// </summary>
internal static class WrappedModel
{
    private const int ListedPrefixes = 4;

    /// <summary>Parts that wrappers put anywhere into a name: torch.compile, FSDP, activation checkpointing.</summary>
    private static readonly string[] Inserted = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

    /// <summary>
    /// Where programs keep the network itself, when there are copies of it in the file (averages, teachers), the surest first.
    /// </summary>
    private static readonly string[] Usual = ["state_dict", "model_state_dict", "model", "module", "net", "network"];

    /// <summary>The network alone, under the names that are expected; the archive itself if it has them as they are.</summary>
    /// <param name="archive">Stays the owner of the file; disposing either disposes it.</param>
    /// <param name="expected">Names of the network's tensors. What does not fit them is for the caller to find.</param>
    /// <exception cref="FileFormatException">There are several such networks and nothing says which is meant.</exception>
    public static ITensorArchive Unwrap(ITensorArchive archive, IReadOnlySet<string> expected)
    {
        var plain = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string name in archive.Entries.Keys)
        {
            string shorter = string.Join('.', name.Split('.').Where(part => !Inserted.Contains(part)));
            if (!plain.TryAdd(shorter, name))
            {
                throw new FileFormatException(archive.Path, $"two tensors are named '{shorter}'");
            }
        }

        string prefix = FindPrefix(archive.Path, plain.Keys, expected);
        return prefix.Length == 0 && plain.All(pair => pair.Key == pair.Value)
            ? archive
            : new View(archive, prefix, plain.Where(pair => pair.Key.StartsWith(prefix, StringComparison.Ordinal))
                .ToDictionary(pair => pair.Key[prefix.Length..], pair => pair.Value, StringComparer.Ordinal));
    }

    /// <summary>For descriptions and errors: <c>, under 'net.'</c>, or nothing.</summary>
    public static string PlaceOf(ITensorArchive archive) => archive is View { Prefix.Length: > 0 } view ? $", under '{view.Prefix}'" : "";

    /// <summary>What stands before most of the expected names.</summary>
    private static string FindPrefix(string path, IEnumerable<string> names, IReadOnlySet<string> expected)
    {
        var found = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string name in names)
        {
            for (int start = 0; start >= 0 && start < name.Length; start = NextPart(name, start))
            {
                if (expected.Contains(name[start..]))
                {
                    found[name[..start]] = found.GetValueOrDefault(name[..start]) + 1;
                }
            }
        }

        if (found.Count == 0)
        {
            return "";
        }

        int most = found.Values.Max();
        string[] best = [.. found.Keys.Where(prefix => found[prefix] == most)
            .OrderBy(Rank).ThenBy(prefix => prefix, StringComparer.Ordinal)];
        return best.Length == 1 || Rank(best[0]) < Rank(best[1])
            ? best[0]
            : throw new FileFormatException(path,
                $"it holds several such networks, under {string.Join(", ", best.Take(ListedPrefixes).Select(prefix => $"'{prefix}'"))}",
                "Save the state_dict of the one that is meant.");
    }

    private static int NextPart(string name, int start) => name.IndexOf('.', start) is >= 0 and int dot ? dot + 1 : -1;

    private static int Rank(string prefix)
    {
        int index = Array.IndexOf(Usual, prefix.Split('.')[0]);
        return prefix.Length == 0 ? -1 : index < 0 ? Usual.Length : index;
    }

    private sealed class View(ITensorArchive archive, string prefix, Dictionary<string, string> names) : ITensorArchive
    {
        public string Path => archive.Path;

        public string Prefix => prefix;

        public IReadOnlyDictionary<string, TensorEntry> Entries { get; } =
            names.ToDictionary(pair => pair.Key, pair => archive.Entries[pair.Value], StringComparer.Ordinal);

        public IReadOnlyDictionary<string, string> Metadata => archive.Metadata;

        public void Read(string name, Span<float> destination) => archive.Read(
            names.TryGetValue(name, out string? own) ? own : throw new FileFormatException(Path, $"there is no tensor '{name}'"),
            destination);

        public void Dispose() => archive.Dispose();
    }
}
