using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>What was removed.</summary>
/// <param name="Removed">Paths.</param>
/// <param name="Bytes">Their size.</param>
/// <param name="Kept">Files that look like the cache's but are not, with the reason.</param>
public sealed record CacheClearing(IReadOnlyList<string> Removed, long Bytes, IReadOnlyList<IgnoredFile> Kept);

/// <summary>Repairs and empties a cache: <c>cache verify --repair</c> and <c>cache clear</c>.</summary>
public static class CacheMaintenance
{
    /// <summary>Notes every damaged row so that the next extraction makes it anew.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="CacheException">Another process writes to the cache, or its files are not usable.</exception>
    public static int MarkDamaged(string directory, CancellationToken cancellation = default)
    {
        directory = CacheInspector.Existing(directory);
        using var writerLock = CacheLock.Take(directory);
        CommitLog.Finish(CacheDisk.Real, directory);
        var marked = 0;
        foreach (var files in SplitFiles.AllIn(directory))
        {
            using var split = CommittedSplit.Open(files);
            var damaged = split?.FindDamagedRows(cancellation: cancellation) ?? [];
            if (damaged.Count == 0)
            {
                continue;
            }

            using var log = RowLog.Open(CacheDisk.Real, directory, split!.Content.Key, split.Content.RowBytes);
            foreach (var hash in damaged.Select(row => split.Content.Rows[row].ContentHash).Where(hash => !log.Rows.ContainsKey(hash))
                .Distinct())
            {
                log.AppendDamaged(hash);
                marked++;
            }

            log.Flush();
        }

        return marked;
    }

    /// <summary>Removes a cache's files, never anyone else's.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="staleOnly">Only what the stored splits do not need: leftovers, and unfinished extractions of other features.</param>
    /// <exception cref="CacheException">The folder does not exist, or another process writes to it.</exception>
    public static CacheClearing Clear(string directory, bool staleOnly)
    {
        directory = CacheInspector.Existing(directory);
        using var writerLock = CacheLock.Take(directory);
        var removed = new List<string>(AtomicFile.DeleteStale(directory));
        var kept = new List<IgnoredFile>();
        var bytes = 0L;
        if (staleOnly)
        {
            CommitLog.Finish(CacheDisk.Real, directory);
        }

        foreach (var path in staleOnly ? StaleFiles(directory) : OwnFiles(directory, kept))
        {
            bytes += CacheInspector.Size(path);
            File.Delete(path);
            removed.Add(path);
        }

        return new CacheClearing(removed, bytes, kept);
    }

    /// <summary>Every file that is the cache's.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="foreign">Receives files that have the name of one but are not.</param>
    internal static IReadOnlyList<string> OwnFiles(string directory, List<IgnoredFile> foreign)
    {
        var own = new List<string>();
        foreach (var files in SplitFiles.AllIn(directory))
        {
            var present = files.All.Where(File.Exists);
            if (CommittedSplit.AreOurs(files, out var reason))
            {
                own.AddRange(present);
            }
            else
            {
                foreign.AddRange(present.Select(path => new IgnoredFile(Path.GetFileName(path), reason)));
            }
        }

        foreach (var path in RowLog.AllIn(directory))
        {
            if (RowLog.IsLog(path))
            {
                own.Add(path);
            }
            else
            {
                foreign.Add(new IgnoredFile(Path.GetFileName(path), "not a list of extracted features, or damaged at its beginning"));
            }
        }

        own.AddRange(CommitLog.PendingFiles(directory));
        own.AddRange(new[] { CommitLog.FileName, ContentHashIndex.FileName }
            .Select(name => Path.Combine(directory, name)).Where(File.Exists));
        return own;
    }

    private static IReadOnlyList<string> StaleFiles(string directory)
    {
        var current = new HashSet<string>(StringComparer.Ordinal);
        foreach (var files in SplitFiles.AllIn(directory))
        {
            using var split = CacheInspector.TryOpen(files, []);
            if (split is not null)
            {
                current.Add(RowLog.PathIn(directory, split.Content.Key));
            }
        }

        // Without any split, each of them may be the one that an extraction wants to continue.
        return current.Count == 0 ? [] : [.. RowLog.AllIn(directory).Where(path => !current.Contains(path) && RowLog.IsLog(path))];
    }
}
