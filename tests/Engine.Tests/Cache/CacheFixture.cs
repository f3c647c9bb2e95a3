using System.Security.Cryptography;
using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>A cache's folder, made-up datasets, and features that are a function of the content.</summary>
internal sealed class CacheFixture : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static FeatureKey Key { get; } = new() { Frames = 2, Dimension = 3, Preprocessing = "torch", Backbone = "test 1" };

    public string Directory => _folder.File("cache");

    public string File(string name) => Path.Combine(Directory, name);

    /// <summary>A clip whose content is <paramref name="content"/>.</summary>
    public static Clip Clip(string name, int label, string content, string? fault = null) => new(
        $"/data/{name}", name, label, $"source of {name}", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content))))
    {
        Bytes = content.Length,
        Fault = fault,
    };

    /// <summary>Clips named by their content, the odd ones violent.</summary>
    public static IReadOnlyList<Clip> Clips(params IEnumerable<int> contents) =>
        [.. contents.Select(content => Clip($"{content:000}.mp4", content % 2, $"content {content}"))];

    public static VideoDataset Dataset(
        IReadOnlyList<Clip> train, IReadOnlyList<Clip>? validation = null, IReadOnlyList<Clip>? test = null) =>
        new("/data", train, validation ?? Clips(100, 101), test ?? []);

    public static float[] Features(string contentHash, FeatureKey? key = null)
    {
        var random = new SplitMix64(Convert.ToUInt64(contentHash[..16], 16));
        return [.. Enumerable.Range(0, (key ?? Key).RowElements).Select(_ => (float)random.NextDouble())];
    }

    public FeatureCache Open(FeatureKey? key = null, CacheDisk? disk = null) =>
        FeatureCache.Open(Directory, key ?? Key, disk ?? new FaultyDisk());

    /// <summary>Extracts whatever is missing, but for contents that fail.</summary>
    /// <returns>How many clips were planned.</returns>
    public static int Extract(FeatureCache cache, VideoDataset dataset, IReadOnlyDictionary<string, string>? failures = null)
    {
        CachePlan plan = cache.Plan(dataset);
        foreach (Clip clip in plan.Missing)
        {
            if (failures?.GetValueOrDefault(clip.RelativePath) is { } status)
            {
                cache.AppendFailure(clip.ContentHash, status, $"details of {clip.RelativePath}");
            }
            else
            {
                cache.Append(clip.ContentHash, Features(clip.ContentHash, cache.Key));
            }
        }

        return plan.Missing.Count;
    }

    /// <summary>A whole session.</summary>
    /// <returns>How many clips were extracted, and the summary.</returns>
    public (int Planned, CacheSummary Summary) Run(
        VideoDataset dataset, IReadOnlyDictionary<string, string>? failures = null, CorruptPolicy policy = CorruptPolicy.Skip,
        double maxCorrupt = 1, CacheDisk? disk = null, FeatureKey? key = null)
    {
        using FeatureCache cache = Open(key, disk);
        int planned = Extract(cache, dataset, failures);
        return (planned, cache.Commit(dataset, policy, maxCorrupt));
    }

    /// <summary>Every file that matters and the hash of its content.</summary>
    public SortedDictionary<string, string> Snapshot() => new(
        Save().ToDictionary(file => file.Key, file => Convert.ToHexStringLower(SHA256.HashData(file.Value))), StringComparer.Ordinal);

    /// <summary>The same after what was put aside for other datasets is removed.</summary>
    public SortedDictionary<string, string> SnapshotOfDataset()
    {
        CacheMaintenance.Prune(Directory, before: null, mostBytes: null, contents: null);
        return Snapshot();
    }

    /// <summary>Every file that matters and its content.</summary>
    public SortedDictionary<string, byte[]> Save()
    {
        IEnumerable<string> files = System.IO.Directory.EnumerateFiles(Directory, "*", SearchOption.AllDirectories)
            .Where(path => Path.GetFileName(path) != CacheLock.FileName);
        return new SortedDictionary<string, byte[]>(
            files.ToDictionary(path => Path.GetRelativePath(Directory, path), System.IO.File.ReadAllBytes), StringComparer.Ordinal);
    }

    /// <summary>The files that an undisturbed session leaves.</summary>
    public static SortedDictionary<string, string> Undisturbed(VideoDataset dataset, IReadOnlyDictionary<string, string>? failures = null)
    {
        using var fixture = new CacheFixture();
        fixture.Run(dataset, failures);
        return fixture.Snapshot();
    }

    public void Corrupt(string name, long offset)
    {
        byte[] bytes = System.IO.File.ReadAllBytes(File(name));
        bytes[offset] ^= 0x40;
        System.IO.File.WriteAllBytes(File(name), bytes);
    }

    /// <summary>Offset of a row in a features file.</summary>
    public long RowOffset(string name, int row, FeatureKey? key = null)
    {
        (_, long[] shape) = NpyFile.ReadHeader(File(name));
        return new FileInfo(File(name)).Length - ((shape[0] - row) * (key ?? Key).RowBytes);
    }

    public void Reset()
    {
        if (System.IO.Directory.Exists(Directory))
        {
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }

    /// <summary>Puts back what <see cref="Save"/> returned.</summary>
    public void Restore(SortedDictionary<string, byte[]> files)
    {
        Reset();
        System.IO.Directory.CreateDirectory(Directory);
        foreach ((string name, byte[] content) in files)
        {
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(File(name))!);
            System.IO.File.WriteAllBytes(File(name), content);
        }
    }

    public void Dispose() => _folder.Dispose();
}
