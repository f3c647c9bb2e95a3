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
        var problems = new List<string>();
        var splits = new List<CachedSplitInfo>();
        foreach (var files in SplitFiles.AllIn(directory))
        {
            using var split = TryOpen(files, problems);
            if (split is not null)
            {
                var content = split.Content;
                splits.Add(new CachedSplitInfo(
                    files.Split, content.Rows.Count, content.Rows.Count(row => row.IsZeros), content.Failures.Count, files.All.Sum(Size),
                        content.Key));
            }
        }

        if (CommitLog.IsPending(directory))
        {
            problems.Add($"A change of '{directory}' was interrupted: the next 'extract' or 'train' finishes it.");
        }

        var partial = ReadPartial(directory, problems);
        var stored = splits.Select(split => split.Key).Concat(partial.Select(log => log.Key)).FirstOrDefault();
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
        var problems = new List<string>();
        var splits = SplitFiles.AllIn(directory).Select(files => TryOpen(files, problems)).OfType<CommittedSplit>().ToList();
        try
        {
            var total = splits.Sum(split => split.Content.Rows.Count);
            var done = 0;
            foreach (var split in splits)
            {
                VerifySmallFiles(split, problems);
                foreach (var row in split.FindDamagedRows(() => progress?.Invoke(++done, total), cancellation))
                {
                    problems.Add($"'{split.Files.Features}', row {row}: the checksum differs. {Remedy(split, row)}");
                }
            }

            var partial = ReadPartial(directory, problems);
            return new CacheVerification(
                total + partial.Sum(log => log.Rows), splits.Sum(split => Size(split.Files.Features))
                    + partial.Sum(log => log.Bytes), problems);
        }
        finally
        {
            splits.ForEach(split => split.Dispose());
        }
    }

    internal static string Existing(string directory)
    {
        directory = Path.GetFullPath(directory);
        return System.IO.Directory.Exists(directory)
            ? directory
            : throw new CacheException($"The cache folder '{directory}' does not exist. Check --cache-dir.");
    }

    internal static CommittedSplit? TryOpen(SplitFiles files, List<string> problems)
    {
        try
        {
            var split = CommittedSplit.Open(files);
            problems.AddRange(split?.Problems ?? []);
            return split;
        }
        catch (Exception exception) when (exception is CacheException or FileFormatException or IOException or UnauthorizedAccessException)
        {
            problems.Add(exception.Message);
            return null;
        }
    }

    private static void VerifySmallFiles(CommittedSplit split, List<string> problems)
    {
        foreach (var (path, checksum) in ((string, uint)[])
            [(split.Files.Labels, split.Content.LabelsChecksum), (split.Files.Videos, split.Content.VideosChecksum)])
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

    private static string Remedy(CommittedSplit split, int row) => split.Content.Rows[row].IsZeros
        ? "It should be zeros."
        : $"The video's content is {split.Content.Rows[row].ContentHash[..12]}….";

    private static List<PartialExtractionInfo> ReadPartial(string directory, List<string> problems)
    {
        var found = new List<PartialExtractionInfo>();
        foreach (var path in RowLog.AllIn(directory))
        {
            if (RowLog.TryRead(path) is not var (log, key))
            {
                problems.Add($"'{path}' is not a list of extracted features, or its beginning is damaged.");
                continue;
            }

            using (log)
            {
                found.Add(new PartialExtractionInfo(path, log.Rows.Count, log.Failures.Count, Size(path), key));
                if (log.BytesLost > 0)
                {
                    problems.Add($"'{path}': {log.BytesLost} bytes belong to no whole row. They were being written when the extraction was stopped, or are damaged.");
                }
            }
        }

        return found;
    }

    internal static long Size(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;
}
