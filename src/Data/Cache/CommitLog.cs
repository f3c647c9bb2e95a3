using System.Text;
using System.Text.Json;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Replaces several files as one: either none of them or, even after an interruption, all.</summary>
/// <remarks>
/// The new contents are written and flushed under temporary names first. Then this log, written atomically, makes the commit a
/// fact; the renames and deletions it lists can be repeated any number of times, and are by whoever opens the cache next.
/// </remarks>
internal static class CommitLog
{
    public const string FileName = "commit.json";

    /// <summary>Ends the names of contents that wait for their commit.</summary>
    public const string PendingSuffix = ".new";

    private const string FormatName = "cudatrainer cache commit 1";

    public static bool IsPending(string directory) => File.Exists(Path.Combine(directory, FileName));

    /// <summary>Commits.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The cache's folder.</param>
    /// <param name="replaced">Names whose pending content takes their place.</param>
    /// <param name="deleted">Names that go away.</param>
    public static void Commit(CacheDisk disk, string directory, IReadOnlyList<string> replaced, IReadOnlyList<string> deleted)
    {
        // The pending contents must be found after a power cut that spares the log.
        disk.FlushFolder(directory);
        var json = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<string, IReadOnlyList<string>>
        {
            ["format"] = [FormatName],
            ["replace"] = replaced,
            ["delete"] = deleted,
        });
        disk.WriteWhole(Path.Combine(directory, FileName), json);
        Finish(disk, directory);
    }

    /// <summary>Completes a commit that was interrupted, and removes contents that never were committed.</summary>
    /// <exception cref="CacheException">The log is not one of ours.</exception>
    public static void Finish(CacheDisk disk, string directory)
    {
        var path = Path.Combine(directory, FileName);
        if (File.Exists(path))
        {
            var (replaced, deleted) = Read(path);
            foreach (var target in replaced.Select(name => Path.Combine(directory, name)))
            {
                if (File.Exists(target + PendingSuffix))
                {
                    disk.Rename(target + PendingSuffix, target);
                }
            }

            foreach (var target in deleted.Select(name => Path.Combine(directory, name)))
            {
                disk.Delete(target);
            }

            disk.FlushFolder(directory);
            disk.Delete(path);
            disk.FlushFolder(directory);
        }

        foreach (var pending in PendingFiles(directory))
        {
            disk.Delete(pending);
        }
    }

    /// <summary>Contents that wait for their commit, or never got that far.</summary>
    public static IEnumerable<string> PendingFiles(string directory) =>
        SplitFiles.AllIn(directory).SelectMany(files => files.All).Select(path => path + PendingSuffix).Where(File.Exists);

    private static (IReadOnlyList<string> Replaced, IReadOnlyList<string> Deleted) Read(string path)
    {
        try
        {
            var log = JsonSerializer.Deserialize<Dictionary<string, string[]>>(File.ReadAllText(path, Encoding.UTF8));
            var names = SplitFiles.AllIn("").SelectMany(files => files.All).ToHashSet(StringComparer.Ordinal);
            if (log is not null
                && log["format"] is [FormatName]
                && log["replace"].All(names.Contains)
                && log["delete"].All(name => names.Contains(name) || (RowLog.IsLogName(name) && Path.GetFileName(name) == name)))
            {
                return (log["replace"], log["delete"]);
            }
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or FileFormatException)
        {
            // Explained below, like any other content.
        }

        throw new CacheException(
            $"'{path}' is not a list of changes written by this cache. Move it away, then run 'cudatrainer cache verify'.");
    }
}
