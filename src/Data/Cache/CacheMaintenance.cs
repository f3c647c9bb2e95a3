using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>What was removed.</summary>
/// <param name="Removed">Paths.</param>
/// <param name="Bytes">Their size.</param>
/// <param name="Kept">Files that look like the cache's but are not, with the reason.</param>
public sealed record CacheClearing(IReadOnlyList<string> Removed, long Bytes, IReadOnlyList<IgnoredFile> Kept);

/// <summary>Repairs and empties a cache: what <c>cache verify</c> and <c>cache clear</c> do.</summary>
public static class CacheMaintenance
{
    /// <summary>Notes every damaged row so that the next extraction makes it anew.</summary>
    /// <returns>How many.</returns>
    /// <exception cref="CacheException">Another process writes to the cache, or its files are not usable.</exception>
    public static int MarkDamaged(string directory, CancellationToken cancellation = default)
    {
        directory = CacheInspector.Existing(directory);
        using FolderLock writerLock = CacheLock.Take(directory);
        CacheCommit.Finish(CacheDisk.Real, directory);
        int marked = 0;
        foreach (CommittedSplit split in SplitFiles.AllIn(directory).Select(CommittedSplit.Open).OfType<CommittedSplit>())
        {
            ClipFolder clips = ClipFolder.Read(CacheDisk.Real, directory, split.Content.Key);
            foreach (string hash in split.FindDamagedRows(cancellation: cancellation)
                .Select(row => split.Content.Rows[row].ContentHash).Distinct().Except(clips.Rows.Keys))
            {
                clips.AddLost(hash);
                marked++;
            }
        }

        return marked;
    }

    /// <summary>
    /// Removes the files of a cache and of those within it (streams, views), never anyone else's, and the folders that are empty then.
    /// </summary>
    /// <param name="directory">The folder.</param>
    /// <param name="staleOnly">Only what the stored splits do not need: leftovers, and features put aside or not finished.</param>
    /// <exception cref="CacheException">The folder does not exist, or another process writes to it.</exception>
    public static CacheClearing Clear(string directory, bool staleOnly)
    {
        CacheClearing[] clearings = [.. Within(CacheInspector.Existing(directory)).Reverse().Select(cache => ClearOne(cache, staleOnly))];
        return new CacheClearing([.. clearings.SelectMany(clearing => clearing.Removed)], clearings.Sum(clearing => clearing.Bytes),
            [.. clearings.SelectMany(clearing => clearing.Kept)]);
    }

    /// <summary>Removes features that were put aside, or not finished, of a cache and of those within it.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="before">Only those that were put aside before; null for whenever.</param>
    /// <param name="mostBytes">Only as many, the oldest first, as leaves no more than this put aside; null for all.</param>
    /// <param name="contents">Only of videos of these contents; null for any.</param>
    /// <exception cref="CacheException">The folder does not exist, or another process writes to it.</exception>
    public static CacheClearing Prune(string directory, DateTime? before, long? mostBytes, IReadOnlySet<string>? contents)
    {
        string[] caches = [.. Within(CacheInspector.Existing(directory))];
        List<FolderLock> locks = [];
        try
        {
            locks.AddRange(caches.Select(CacheLock.Take));
            FileInfo[] aside = [.. caches.SelectMany(ClipFolder.AllIn).SelectMany(ClipFolder.ClipsOf).Select(path => new FileInfo(path))
                .OrderBy(file => file.LastWriteTimeUtc).ThenBy(file => file.FullName, StringComparer.Ordinal)];
            long left = aside.Sum(file => file.Length), freed = 0;
            List<string> removed = [];
            foreach (FileInfo file in aside)
            {
                if ((before is null || file.LastWriteTimeUtc < before) && (mostBytes is null || left > mostBytes)
                    && (contents is null || contents.Contains(Path.GetFileNameWithoutExtension(file.Name))))
                {
                    left -= file.Length;
                    freed += file.Length;
                    file.Delete();
                    removed.Add(file.FullName);
                }
            }

            foreach (string folder in caches.SelectMany(ClipFolder.AllIn).Where(folder => !ClipFolder.ClipsOf(folder).Any()))
            {
                removed.AddRange(ClipFolder.FilesOf(folder));
                foreach (string file in ClipFolder.FilesOf(folder))
                {
                    File.Delete(file);
                }

                DeleteIfEmpty(folder);
            }

            return new CacheClearing(removed, freed, []);
        }
        finally
        {
            locks.ForEach(held => held.Dispose());
        }
    }

    /// <summary>A cache's folder, then those of the caches within it, however deep.</summary>
    private static IEnumerable<string> Within(string directory) => Directory.EnumerateDirectories(directory)
        .Where(folder => new FileInfo(folder).LinkTarget is null && IsCache(folder)).Order(StringComparer.Ordinal).SelectMany(Within)
        .Prepend(directory);

    private static bool IsCache(string folder) => File.Exists(Path.Combine(folder, CacheLock.FileName))
        || SplitFiles.AllIn(folder).Any(files => RowsFile.LooksLikeOurs(files.Rows));

    private static void DeleteIfEmpty(string folder)
    {
        if (!Directory.EnumerateFileSystemEntries(folder).Any())
        {
            Directory.Delete(folder);
        }
    }

    private static CacheClearing ClearOne(string directory, bool staleOnly)
    {
        using FolderLock writerLock = CacheLock.Take(directory);
        List<string> removed = [.. AtomicFile.DeleteStale(directory), .. ClipFolder.AllIn(directory).SelectMany(AtomicFile.DeleteStale)];
        List<IgnoredFile> kept = [];
        if (staleOnly)
        {
            CacheCommit.Finish(CacheDisk.Real, directory);
        }

        long bytes = 0;
        foreach (string path in staleOnly ? StaleFiles(directory) : OwnFiles(directory, kept))
        {
            bytes += CacheInspector.Size(path);
            File.Delete(path);
            removed.Add(path);
        }

        foreach (string folder in ClipFolder.AllIn(directory))
        {
            DeleteIfEmpty(folder);
        }

        if (!staleOnly && kept.Count == 0)
        {
            File.Delete(Path.Combine(directory, CacheLock.FileName));
            DeleteIfEmpty(directory);
        }

        return new CacheClearing(removed, bytes, kept);
    }

    /// <summary>Every file that is the cache's.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="foreign">Receives files that have the name of one but are not.</param>
    internal static IReadOnlyList<string> OwnFiles(string directory, List<IgnoredFile> foreign)
    {
        List<string> own = [];
        foreach (SplitFiles files in SplitFiles.AllIn(directory))
        {
            IEnumerable<string> present = files.All.Where(File.Exists);
            if (CommittedSplit.AreOurs(files, out string reason))
            {
                own.AddRange(present);
            }
            else
            {
                foreign.AddRange(present.Select(path => new IgnoredFile(Path.GetFileName(path), reason)));
            }
        }

        return
        [
            .. own,
            .. ClipFolder.AllIn(directory).SelectMany(ClipFolder.FilesOf),
            .. EarlierLog.AllIn(directory),
            .. CacheCommit.PendingFiles(directory),
            .. new[] { CacheCommit.FileName, ContentHashIndex.FileName, ClipPictures.FileName }
                .Select(name => Path.Combine(directory, name)).Where(File.Exists),
        ];
    }

    private static IReadOnlyList<string> StaleFiles(string directory)
    {
        HashSet<string> current =
            [.. CacheInspector.OpenSplits(directory, []).Select(split => ClipFolder.PathIn(directory, split.Content.Key))];

        // Without any split, each of them may be the one that an extraction wants to continue.
        IEnumerable<string> stale = current.Count == 0 ? [] : ClipFolder.AllIn(directory).Where(path => !current.Contains(path));
        return [.. stale.SelectMany(ClipFolder.FilesOf), .. EarlierLog.AllIn(directory)];
    }
}
