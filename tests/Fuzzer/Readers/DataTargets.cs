using System.Text;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Fuzzer.Readers;

/// <summary>The files of a feature cache, with checksums that fit.</summary>
internal static class CacheFiles
{
    private const string ChecksumStart = "\"crc32c\": \"", LabelsChecksumStart = "\"labels_crc32c\": \"", HashesEnd = "sha256 ";
    private const int ChecksumDigits = 8, ClipEndBytes = 8;

    /// <summary>What a cache writes, with a split committed and, below <c>clips</c>, clips extracted since.</summary>
    public static IReadOnlyList<(string Name, byte[] Content)> Make()
    {
        string folder = Directory.CreateTempSubdirectory("cudatrainer-fuzz-").FullName;
        try
        {
            var key = new FeatureKey { Frames = 2, Dimension = 3, Preprocessing = "torch", Backbone = "b" };
            using (var cache = FeatureCache.Open(folder, key))
            {
                var dataset = new VideoDataset("/data", Clips(0, 4), Clips(4, 2), []);
                Extract(cache, dataset);
                cache.Commit(dataset, CorruptPolicy.Skip, maxCorrupt: 1);
                Extract(cache, new VideoDataset("/data", Clips(10, 3), Clips(4, 2), []));
            }

            return
            [
                .. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                    .Select(path => (NameOf(Path.GetRelativePath(folder, path)), File.ReadAllBytes(path))),
            ];
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Sets the checksums of every file right.</summary>
    public static byte[] Mend(byte[] bundle)
    {
        byte[] labels = Bundle.Files(bundle).LastOrDefault(file => file.Name == "train_labels.npy").Content ?? [];
        return Bundle.Change(bundle, (name, content) => name switch
        {
            "train_rows.json" => Checksummed(Checksummed(content, LabelsChecksumStart, Crc32C.Of(labels)), ChecksumStart, null),
            "content_hashes.txt" => Hashed(content),
            _ when name.EndsWith(".clip", StringComparison.Ordinal) => Clip(content),
            _ => content,
        });
    }

    public static byte[] Hashed(byte[] content)
    {
        string text = Encoding.UTF8.GetString(content);
        int end = text.LastIndexOf(HashesEnd, StringComparison.Ordinal);
        return end < 0 ? content : Encoding.UTF8.GetBytes($"{text[..end]}{HashesEnd}{FileHash.OfText(text[..end])}\n");
    }

    /// <summary>Moves the folder of clips to where the cache looks for it.</summary>
    public static void PlaceClips(string folder)
    {
        string clips = Path.Combine(folder, "clips"), key = Path.Combine(clips, "key.json");
        if (File.Exists(key) && KeyFields.FromJson(File.ReadAllBytes(key)) is { } fields)
        {
            Directory.Move(clips, ClipFolder.PathIn(folder, fields));
        }
    }

    private static string NameOf(string path) =>
        path.StartsWith("clips-", StringComparison.Ordinal) ? $"clips/{Path.GetFileName(path)}" : path;

    private static byte[] Checksummed(byte[] content, string start, uint? checksum)
    {
        string text = Encoding.UTF8.GetString(content);
        int at = text.LastIndexOf(start, StringComparison.Ordinal), digits = at + start.Length;
        if (at < 0 || text.Length < digits + ChecksumDigits)
        {
            return content;
        }

        uint value = checksum ?? Crc32C.Of(Encoding.UTF8.GetBytes(text[..at]));
        return Encoding.UTF8.GetBytes($"{text[..digits]}{value:x8}{text[(digits + ChecksumDigits)..]}");
    }

    private static byte[] Clip(byte[] content)
    {
        content = [.. content];
        if (content.Length >= ClipEndBytes)
        {
            uint checksum = Crc32C.Of(content.AsSpan(0, content.Length - ClipEndBytes));
            BitConverter.TryWriteBytes(content.AsSpan(content.Length - sizeof(uint)), checksum);
        }

        return content;
    }

    private static Clip[] Clips(int first, int count) => [.. Enumerable.Range(first, count).Select(i =>
        new Clip($"/data/{i}.mp4", $"{i}.mp4", i % 2, $"source {i}", FileHash.OfText($"content {i}")) { Bytes = 10 })];

    private static void Extract(FeatureCache cache, VideoDataset dataset)
    {
        foreach (Clip clip in cache.Plan(dataset).Missing)
        {
            if (clip.RelativePath is "3.mp4" or "12.mp4")
            {
                cache.AppendFailure(clip.ContentHash, "zero frames", "details");
            }
            else
            {
                cache.Append(clip.ContentHash, [1, 2, 3, 4, 5, 6]);
            }
        }
    }
}

/// <summary>A split's features, as training opens them.</summary>
internal sealed class FeaturesTarget() : FuzzTarget("features")
{
    private static readonly string[] Names = ["train_features.npy", "train_labels.npy", "train_rows.json", "train_videos.csv"];

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. Names.Select(name => Encoding.ASCII.GetBytes($"\n=== {name}\n")),
        .. WordsOf("\"frames\":\"", "\"dimension\":\"", "\"dtype\":\"float16\"", "\"views\":\"", "\"rows\": [", "\"zeros\"", "null",
            "[]", "'shape': (",
            "'<f2'", "path,class,source,status\n", ","),
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        List<(string Name, byte[] Content)> files = [.. CacheFiles.Make().Where(file => Names.Contains(file.Name))];
        yield return Bundle.Of(files);
        yield return Bundle.Of(files.Where(file => file.Name is "train_features.npy" or "train_labels.npy"));
    }

    public override byte[] Mend(byte[] input) => CacheFiles.Mend(input);

    public override void Read(byte[] input, string folder)
    {
        Bundle.Unpack(input, folder, Names.Contains);
        using var set = FeatureSet.Open(folder, DatasetSplit.Train);
        _ = set.FindNonFinite();
        _ = RunSurroundings(set);
    }

    public override bool IsDocumented(Exception exception) => exception is FileFormatException or CacheException;

    private static object RunSurroundings(FeatureSet set) => SplitSummary.Of(set);
}

/// <summary>Everything that a cache may leave in its folder, as <c>cache info</c>, <c>cache verify</c> and the next extraction read
/// it.</summary>
internal sealed class CacheTarget() : FuzzTarget("cache")
{
    private static readonly string[] Names =
    [
        "train_features.npy", "train_labels.npy", "train_rows.json", "train_videos.csv", "commit.json", "content_hashes.txt", "lock",
        "rows-1.partial", "clips/key.json", "clips/a.clip", "clips/b.clip",
    ];

    private static readonly string Commit =
        """{"format":["cudatrainer cache commit 1"],"replace":["train_rows.json"],"delete":["test_rows.json","rows-1.partial"]}""";

    public override IReadOnlyList<byte[]> Words { get; } =
    [
        .. Names.Select(name => Encoding.ASCII.GetBytes($"\n=== {name}\n")),
        .. WordsOf("\"frames\":\"", "\"dimension\":\"", "\"views\":\"", "\"dtype\":\"float16\"", "\"rows\": [", "null", "[]", "[null]",
            "\"replace\":", "\"delete\":",
            "row \0\0\0\0", "fail\0\0\0\0", "lost\0\0\0\0", "CTROWS\0\x01", "\\ud800"),
    ];

    public override IEnumerable<byte[]> Seeds()
    {
        IReadOnlyList<(string Name, byte[] Content)> files = CacheFiles.Make();
        int clip = 0;
        yield return Bundle.Of(files.Where(file => Names.Contains(file.Name)));
        yield return Bundle.Of([
            .. files.Where(file => file.Name == "clips/key.json"),
            .. files.Where(file => file.Name.EndsWith(".clip", StringComparison.Ordinal)).Take(2).Select(file =>
                ($"clips/{"ab"[clip++]}.clip", file.Content)),
            ("commit.json", Encoding.ASCII.GetBytes(Commit))]);
    }

    public override byte[] Mend(byte[] input) => CacheFiles.Mend(input);

    public override void Read(byte[] input, string folder)
    {
        Bundle.Unpack(input, folder, Names.Contains);
        CacheFiles.PlaceClips(folder);
        if (input.Length % 2 == 0)
        {
            _ = CacheInspector.Info(folder, new FeatureKey { Frames = 2, Dimension = 3, Preprocessing = "torch", Backbone = "b" });
        }
        else
        {
            _ = CacheInspector.Verify(folder);
        }

        CacheCommit.Finish(CacheDisk.Real, folder);
    }

    public override bool IsDocumented(Exception exception) => exception is CacheException;
}

/// <summary>The list of known files: a damaged one is read as empty, so nothing is ever thrown.</summary>
internal sealed class HashesTarget() : FuzzTarget("hashes")
{
    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("cudatrainer content hashes 1\n", "sha256 ", " ", "\n", "\r", "0",
        "-", "9223372036854775808");

    public override IEnumerable<byte[]> Seeds() =>
    [
        CacheFiles.Hashed(Encoding.ASCII.GetBytes(
            $"cudatrainer content hashes 1\n{new string('a', 64)} 10 1700000000000000000 /data/a b.mp4\nsha256 ")),
    ];

    public override byte[] Mend(byte[] input) => CacheFiles.Hashed(input);

    public override void Read(byte[] input, string folder)
    {
        FileOf(input, folder, ContentHashIndex.FileName);
        var index = ContentHashIndex.Open(folder);
        _ = index.Find("/data/a b.mp4", default!);
    }

    public override bool IsDocumented(Exception exception) => false;
}

internal sealed class PicturesTarget() : FuzzTarget("pictures")
{
    private static readonly string Content = new('a', 64);

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf("cudatrainer pictures 1\n", " ", "\n", "\r", "NaN", "1e999", "-", ",");

    public override IEnumerable<byte[]> Seeds() =>
    [
        Encoding.ASCII.GetBytes($"cudatrainer pictures 1\n{Content} 100.5 50 0.7 0.05 25 480 2.5\n"),
    ];

    public override void Read(byte[] input, string folder)
    {
        FileOf(input, folder, ClipPictures.FileName);
        _ = ClipPictures.OpenToWrite(folder).Find(Content);
    }

    public override bool IsDocumented(Exception exception) => false;
}

internal sealed class CsvTarget() : FuzzTarget("csv")
{
    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("path,label,p_violent,loss\n", "\"", "\"\"", ";", "\t", ",", "\r", "\r\n", "\xef\xbb\xbf", "\xff\xfe", "\0\0\xfe\xff",
            "violent", "NaN", " ");

    public override IEnumerable<byte[]> Seeds() =>
    [
        "path,label,p_violent,loss\n\"a, \"\"b\"\".mp4\",violent,0.5,1\r\nc.mp4,nonviolent,1e-3,NaN\n"u8.ToArray(),
            "a;b\r1;2\r"u8.ToArray(),
        [.. Encoding.Unicode.Preamble, .. Encoding.Unicode.GetBytes("a\tb\n1\t2\n")],
    ];

    public override void Read(byte[] input, string folder)
    {
        string path = FileOf(input, folder);
        _ = CsvFile.Read(path);
        if (input.AsSpan().StartsWith("path,"u8))
        {
            _ = PredictionFile.Read(path);
        }
    }
}

internal sealed class SourcesTarget() : FuzzTarget("sources")
{
    private static readonly Dictionary<string, int> Labels = new()
    {
        ["violence/a.mp4"] = 1,
        ["violence/b.mp4"] = 1,
        ["nonviolence/c.mp4"] = 0
    };

    public override IReadOnlyList<byte[]> Words { get; } =
        WordsOf("path,class,source\n", "violence/a.mp4", "\\", "../", "./", "/", "\"", ",", ";", "\n", "violent", "nonviolent",
            "\xef\xbf\xbd", "//", "~");

    public override IEnumerable<byte[]> Seeds() =>
    [
        "path,class,source\nviolence/a.mp4,violent,film 1\nviolence\\b.mp4,1,film 1\nnonviolence/c.mp4,,\nother.mp4,x,y\n"u8.ToArray(),
        "Source;PATH\nf;./violence/../violence/a.mp4\n"u8.ToArray(),
    ];

    public override void Read(byte[] input, string folder) =>
        _ = SourceTable.Read(FileOf(input, folder, "sources.csv"), folder, Labels).Warnings.Count;
}
