using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Brings a cache's files to a new state, rewriting only those that differ.</summary>
internal sealed class CommitWriter(
    string directory, CacheDisk disk, IReadOnlyDictionary<DatasetSplit, CommittedSplit> committed, RowLog? log)
{
    /// <summary>Writes.</summary>
    /// <param name="images">Every split that is to exist.</param>
    /// <param name="markDamaged">Notes a content whose stored row turned out to be damaged.</param>
    /// <returns>Whether anything had to change.</returns>
    /// <exception cref="CacheFullException">The old files are intact.</exception>
    /// <exception cref="CacheException">A stored row is damaged; the old files are intact.</exception>
    public bool Write(IReadOnlyList<SplitImage> images, Action<string> markDamaged)
    {
        var features = images.Where(image => !image.HasSameFeatures(committed.GetValueOrDefault(image.Files.Split))).ToList();
        var others = images.SelectMany(SmallFiles).Where(file => !HasContent(file.Path, file.Bytes)).ToList();
        var deleted = SplitFiles.AllIn(directory).Where(files => images.All(image => image.Files.Split != files.Split))
            .SelectMany(files => files.All).Where(File.Exists).Concat(log is null ? [] : [log.Path]).ToList();
        if (features.Count + others.Count + deleted.Count == 0)
        {
            return false;
        }

        var needed = features.Sum(image => image.FeaturesBytes) + others.Sum(file => (long)file.Bytes.Length);
        try
        {
            if (disk.FreeBytes(directory) < needed)
            {
                throw new CacheFullException(directory, needed, disk.FreeBytes(directory));
            }

            foreach (var image in features)
            {
                WriteFeatures(image, markDamaged);
            }

            foreach (var (path, bytes) in others)
            {
                WritePending(path, bytes);
            }
        }
        catch (Exception exception)
        {
            DiscardPending();
            if (exception is IOException io && CacheDisk.IsFull(io))
            {
                throw new CacheFullException(directory, needed, disk.FreeBytes(directory), exception);
            }

            throw;
        }

        CommitLog.Commit(
            disk,
            directory,
            [.. features.Select(image => image.Files.Features).Concat(others.Select(file => file.Path))
                .Select(path => Path.GetFileName(path))],
            [.. deleted.Select(path => Path.GetFileName(path))]);
        return true;
    }

    private static IEnumerable<(string Path, byte[] Bytes)> SmallFiles(SplitImage image) =>
    [
        (image.Files.Labels, image.Labels),
        (image.Files.Videos, image.Videos),
        (image.Files.Rows, image.Content.ToBytes()),
    ];

    private static bool HasContent(string path, byte[] bytes) =>
        File.Exists(path) && new FileInfo(path).Length == bytes.Length && File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes);

    private void WriteFeatures(SplitImage image, Action<string> markDamaged)
    {
        using var file = disk.Open(image.Files.Features + CommitLog.PendingSuffix, FileMode.Create);
        var head = image.FeaturesHead;
        disk.Write(file, 0, head);
        long offset = head.Length;
        var row = new byte[image.RowBytes];
        foreach (var (clip, location, _) in image.Rows)
        {
            if (location is null)
            {
                row.AsSpan().Clear();
            }
            else
            {
                InputFile.ReadExactly(location.File, location.Path, location.Offset, row);
                if (Crc32C.Of(row) != location.Checksum)
                {
                    markDamaged(clip.ContentHash);
                    throw new CacheException(
                        $"The features of '{clip.RelativePath}' in '{location.Path}' are damaged: their checksum differs. "
                        + "Run the same command again to extract them anew; 'cudatrainer cache verify' checks all others.");
                }
            }

            disk.Write(file, offset, row);
            offset += row.Length;
        }

        disk.Flush(file);
    }

    private void WritePending(string path, byte[] bytes)
    {
        using var file = disk.Open(path + CommitLog.PendingSuffix, FileMode.Create);
        disk.Write(file, 0, bytes);
        disk.Flush(file);
    }

    private void DiscardPending()
    {
        foreach (var pending in CommitLog.PendingFiles(directory))
        {
            try
            {
                disk.Delete(pending);
            }
            catch (IOException)
            {
                // The error that led here matters more; the next session deletes it.
            }
        }
    }
}
