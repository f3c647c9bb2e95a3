using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Looks at a cache without changing it: <c>cache info</c> and <c>cache verify</c>.</summary>
public static class CacheInspector
{
    /// <summary>Says what a cache holds, without reading the features.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="wanted">A key to compare with; null for none.</param>
    /// <exception cref="CacheException">The folder does not exist.</exception>
    public static CacheInfo Info(string directory, FeatureKey? wanted = null)
    {
        directory = Existing(directory);
        List<string> problems = [];
        IReadOnlyList<CachedSplitInfo> splits = [.. OpenSplits(directory, problems).Select(split => new CachedSplitInfo(
            split.Files.Split, split.Content.Rows.Count, split.Content.Rows.Count(row => row.IsZeros), split.Content.Failures.Count,
            split.Files.All.Sum(Size), split.Content.Key))];
        if (CacheCommit.IsPending(directory))
        {
            problems.Add($"A change of '{directory}' was interrupted: the next 'extract' or 'train' finishes it.");
        }

        IReadOnlyList<PartialExtractionInfo> partial = ReadPartial(directory, problems);
        IReadOnlyList<KeyValuePair<string, string>>? stored =
            splits.Select(split => split.Key).Concat(partial.Select(clips => clips.Key)).FirstOrDefault();
        return new CacheInfo(
            directory,
            splits,
            partial,
            ContentHashIndex.Open(directory).Count,
            CacheMaintenance.OwnFiles(directory, []).Sum(Size),
            wanted is null || stored is null ? [] : wanted.DifferencesFrom(stored),
            problems,
            CacheLock.CurrentHolder(directory));
    }

    /// <summary>Reads everything and compares it with the checksums.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="progress">Called with (rows read, rows in all).</param>
    /// <param name="cancellation">Stops reading.</param>
    /// <exception cref="CacheException">The folder does not exist.</exception>
    public static CacheVerification Verify(string directory, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        directory = Existing(directory);
        List<string> problems = [];
        IReadOnlyList<CommittedSplit> splits = OpenSplits(directory, problems);
        int total = splits.Sum(split => split.Content.Rows.Count), done = 0;
        foreach (CommittedSplit split in splits)
        {
            VerifySmallFile(split.Files.Labels, split.Content.LabelsChecksum);
            VerifySmallFile(split.Files.Videos, split.Content.VideosChecksum);
            foreach (int row in split.FindDamagedRows(() => progress?.Invoke(++done, total), cancellation))
            {
                RowEntry entry = split.Content.Rows[row];
                string hash = entry.ContentHash[..Math.Min(12, entry.ContentHash.Length)];
                string content = entry.IsZeros ? "It should be zeros." : $"The video's content is {hash}….";
                problems.Add($"'{split.Files.Features}', row {row}: the checksum differs. {content}");
            }
        }

        IReadOnlyList<PartialExtractionInfo> partial = ReadPartial(directory, problems);
        return new CacheVerification(total + partial.Sum(clips => clips.Rows),
            splits.Sum(split => Size(split.Files.Features)) + partial.Sum(clips => clips.Bytes), problems);

        void VerifySmallFile(string path, uint checksum)
        {
            if (!File.Exists(path))
            {
                problems.Add($"'{path}' is missing. The next 'extract' or 'train' writes it again.");
            }
            else if (Crc32C.Of(File.ReadAllBytes(path)) != checksum)
            {
                problems.Add($"'{path}': the checksum differs. The next 'extract' or 'train' writes it again.");
            }
        }
    }

    internal static string Existing(string directory)
    {
        directory = Path.GetFullPath(directory);
        return Directory.Exists(directory)
            ? directory
            : throw new CacheException($"The cache folder '{directory}' does not exist. Check {SettingName.Of("CacheDir")}.");
    }

    /// <summary>The splits that can be read.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="problems">Receives what is wrong with them and the others.</param>
    internal static IReadOnlyList<CommittedSplit> OpenSplits(string directory, List<string> problems)
    {
        List<CommittedSplit> splits = [];
        foreach (SplitFiles files in SplitFiles.AllIn(directory))
        {
            try
            {
                if (CommittedSplit.Open(files) is { } split)
                {
                    splits.Add(split);
                    problems.AddRange(split.Problem is { } problem ? [problem] : []);
                }
            }
            catch (Exception exception) when (exception is CacheException or FileFormatException or IOException
                or UnauthorizedAccessException)
            {
                problems.Add(exception.Message);
            }
        }

        return splits;
    }

    internal static long Size(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    private static IReadOnlyList<PartialExtractionInfo> ReadPartial(string directory, List<string> problems)
    {
        List<PartialExtractionInfo> found = [];
        foreach (string path in ClipFolder.AllIn(directory))
        {
            if (ClipFolder.TryRead(path) is not { } clips)
            {
                problems.Add($"'{path}' is not a folder of extracted features, or its key.json is damaged.");
                continue;
            }

            found.Add(new PartialExtractionInfo(path, clips.Rows.Count, clips.Failures.Count, clips.Files.Sum(Size), clips.Key));
            problems.AddRange(clips.Unusable.Select(file => $"'{file}' is damaged. The next 'extract' or 'train' makes it again."));
        }

        problems.AddRange(EarlierLog.AllIn(directory).Select(EarlierLog.Describe));
        return found;
    }
}
