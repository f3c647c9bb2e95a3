using System.Text.Json;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Replaces several files of a cache as one: either none of them or, even after an interruption, all.</summary>
/// <remarks>
/// The new contents are written to the disk under temporary names first. Then <c>commit.json</c>, written atomically, makes the commit
/// a fact; the renames and deletions it lists can be repeated any number of times, and are by whoever opens the cache next.
/// </remarks>
internal static class CacheCommit
{
    public const string FileName = "commit.json";

    /// <summary>Ends the names of contents that wait for their commit.</summary>
    public const string PendingSuffix = ".new";

    private const string FormatName = "cudatrainer cache commit 1";

    public static bool IsPending(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>Brings a cache's files to a new state, rewriting only those that differ.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The cache's folder.</param>
    /// <param name="images">Every split that is to exist.</param>
    /// <param name="committed">The splits that do.</param>
    /// <returns>Whether anything had to change.</returns>
    /// <exception cref="DamagedRowException">A stored row is damaged; the old files are intact.</exception>
    /// <exception cref="IOException">The disk is full; the old files are intact.</exception>
    public static bool Write(CacheDisk disk, string directory, IReadOnlyList<SplitImage> images,
        IReadOnlyDictionary<DatasetSplit, CommittedSplit> committed)
    {
        List<(string Path, IEnumerable<ReadOnlyMemory<byte>> Content)> changed =
        [
            .. images.Where(image => !image.HasSameFeatures(committed.GetValueOrDefault(image.Files.Split)))
                .Select(image => (image.Files.Features, image.Features)),
            .. images.SelectMany(image => image.SmallFiles).Where(file => !HasContent(file.Path, file.Bytes))
                .Select(file => (file.Path, (IEnumerable<ReadOnlyMemory<byte>>)[file.Bytes])),
        ];
        List<string> deleted = [.. SplitFiles.AllIn(directory)
            .Where(files => images.All(image => image.Files.Split != files.Split)).SelectMany(files => files.All).Where(File.Exists)];
        if (changed.Count + deleted.Count == 0)
        {
            return false;
        }

        try
        {
            foreach ((string path, IEnumerable<ReadOnlyMemory<byte>> content) in changed)
            {
                disk.Write(path + PendingSuffix, content, isDurable: true);
            }
        }
        catch (Exception exception) when (exception is IOException or DamagedRowException)
        {
            foreach (string pending in PendingFiles(directory))
            {
                disk.Delete(pending);
            }

            throw;
        }

        byte[] list = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, IEnumerable<string?>>
        {
            ["format"] = [FormatName],
            ["replace"] = changed.Select(file => Path.GetFileName(file.Path)),
            ["delete"] = deleted.Select(Path.GetFileName),
        });
        disk.Write(Path.Combine(directory, FileName), [list], isDurable: true);
        Finish(disk, directory);
        return true;
    }

    /// <summary>Completes a commit that was interrupted, and removes contents that never were committed.</summary>
    /// <exception cref="CacheException">The list is not one of ours.</exception>
    public static void Finish(CacheDisk disk, string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (File.Exists(path))
        {
            (string[] replaced, string[] deleted) = Read(path);
            foreach (string target in replaced.Select(name => Path.Combine(directory, name)))
            {
                if (File.Exists(target + PendingSuffix))
                {
                    disk.Rename(target + PendingSuffix, target);
                }
            }

            foreach (string target in deleted.Select(name => Path.Combine(directory, name)))
            {
                disk.Delete(target);
            }

            disk.FlushFolder(directory);
            disk.Delete(path);
            disk.FlushFolder(directory);
        }

        foreach (string pending in PendingFiles(directory))
        {
            disk.Delete(pending);
        }
    }

    /// <summary>Contents that wait for their commit, or never got that far.</summary>
    public static IReadOnlyList<string> PendingFiles(string directory) =>
        [.. SplitFiles.AllIn(directory).SelectMany(files => files.All).Select(path => path + PendingSuffix).Where(File.Exists)];

    private static bool HasContent(string path, byte[] bytes) =>
        File.Exists(path) && new FileInfo(path).Length == bytes.Length && File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes);

    private static (string[] Replaced, string[] Deleted) Read(string path)
    {
        try
        {
            Dictionary<string, string[]>? list = StrictJson.Deserialize<Dictionary<string, string[]>>(File.ReadAllBytes(path));
            HashSet<string> names = [.. SplitFiles.AllIn("").SelectMany(files => files.All)];
            if (list is not null && list["format"] is [FormatName] && list["replace"].All(names.Contains)
                && list["delete"].All(name => names.Contains(name) || EarlierLog.IsName(name)))
            {
                return (list["replace"], list["delete"]);
            }
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException)
        {
            // Explained below, like any other content.
        }

        throw new CacheException(
            $"'{path}' is not a list of changes written by this cache. Move it away, then run 'cudatrainer cache verify'.");
    }
}
