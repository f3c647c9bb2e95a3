using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Scanning;

public sealed record DataScanOptions
{
    public string Folder { get; init; } = string.Empty;

    [Setting(SettingGroup.Data, "CSV with columns path,class,source that says which clips come from one source; sources.csv in the " +
        "dataset is found by itself",
        Placeholder = "FILE", Kind = "CSV file")]
    public string? Groups { get; init; }

    [Setting(SettingGroup.Data, "Classes put together from folders, as in training", Kind = "list", Accepts = FeatureOptions.ClassForm)]
    public string? Classes { get; init; }

    [Setting(SettingGroup.Data, "CSV with columns path,class that labels clips, as in training", Placeholder = "FILE", Kind = "CSV file")]
    public string? Labels { get; init; }

    [Setting(SettingGroup.Data, "A video of fewer frames is short: training would repeat them", AtLeast = 1, AtMost = 4096)]
    public int Frames { get; init; } = new FeatureOptions().Frames;

    [Setting(SettingGroup.Data, "Seconds after which decoding one file is given up", Above = 0)]
    public double DecodeTimeout { get; init; } = new FeatureOptions().DecodeTimeout;

    [Setting(SettingGroup.Precision, "Files decoded at the same time, 0 = one per core", AtLeast = 0, AtMost = 1024)]
    public int Workers { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate() => [.. OptionValidation.OfSettings(this), .. OptionValidation.OfClasses(Classes)];
}

/// <summary>One file of a folder of videos.</summary>
/// <param name="Path">Below the folder, with forward slashes.</param>
/// <param name="Class">By the folder it lies in, or the table; null outside the class folders, or without a row.</param>
/// <param name="Verdict"><see cref="DataScan.Ok"/>, <see cref="DataScan.Short"/>, <see cref="DataScan.Duplicate"/>, or what is wrong, as
/// the feature cache's tables say it.</param>
/// <param name="Detail">What was found; empty when all is well.</param>
/// <param name="DuplicateOf">The first file of the same content.</param>
/// <param name="Frames">That decode.</param>
/// <param name="FrameRate">Frames per second; 0 when unknown.</param>
/// <param name="Seconds">From the first frame to the end of the last, by the time stamps.</param>
/// <param name="Container">FFmpeg's name, such as <c>matroska,webm</c>.</param>
/// <param name="Source">What it was cut from; null when no table says so.</param>
public sealed record ScannedFile(
    string Path, string? Class, string Verdict, string Detail, string? DuplicateOf, long Frames, int Width, int Height, double FrameRate,
        double Seconds, string Codec, long Bytes, string Container, string? Source)
{
    /// <summary>Whether it decodes to its end.</summary>
    internal bool IsUsable => Verdict is DataScan.Ok or DataScan.Short or DataScan.Duplicate;
}

/// <summary>Decodes every video of a folder to its end and says what is wrong with it. Changes nothing.</summary>
public static class DataScan
{
    public const string Ok = "ok", Short = "short", Duplicate = "duplicate";

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);

    /// <returns>One entry per file with a video's extension, sorted by path.</returns>
    /// <exception cref="DatasetException">The folder, or one in it, cannot be listed, or a table is missing.</exception>
    /// <exception cref="FileFormatException">A table is unusable.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public static IReadOnlyList<ScannedFile> Run(DataScanOptions options, IRunObserver observer, CancellationToken stop)
    {
        string root = Path.GetFullPath(options.Folder);
        if (!Directory.Exists(root))
        {
            throw new DatasetException($"The folder '{options.Folder}' does not exist.");
        }

        var walker = new FolderWalker(root, stop);
        FolderEntry[] entries = [.. walker.FindVideos(walker.Root, null).OrderBy(entry => entry.RelativePath, StringComparer.Ordinal)];
        LabelTable? table = options.Labels is null ? null
            : LabelTable.Open(options.Labels, root, entries.Select(entry => entry.RelativePath).ToHashSet(StringComparer.Ordinal),
                OptionValidation.ClassesIn(options.Classes, out _));
        FolderLayout? layout = table is null ? LayoutOf(root, options, stop) : null;
        Dictionary<string, string?> classes = entries.ToDictionary(entry => entry.RelativePath,
            entry => table is not null ? (table[entry.RelativePath] is { } label ? table.Classes[label] : null)
                : layout is null ? ClassOf(entry.RelativePath)
                : ClassOf(entry.RelativePath, layout), StringComparer.Ordinal);
        SourceTable? sources = ReadSources(root, classes, table?.Classes ?? layout?.Classes ?? ClassList.Violence, options, observer);
        string?[] tables = [sources?.Path, table?.Path];
        walker.Ignored.RemoveAll(file => tables.Contains(walker.AbsolutePath(file.RelativePath)));
        walker.Ignored.AddRange(table is null ? OutsideClasses(classes)
            : from entry in classes
              where entry.Value is null
              select new IgnoredFile(entry.Key, "no label: a training leaves it out"));
        observer.Tell(walker);
        var files = new ScannedFile[entries.Length];
        int done = 0, failures = 0;
        InParallel(entries.Length, "scan", i =>
        {
            string path = entries[i].RelativePath;
            files[i] = Decode(entries[i], walker.AbsolutePath(path), options, stop) with
            {
                Class = classes[path],
                Source = sources?[path],
            };
            if (files[i].Verdict is not (Ok or Short))
            {
                Interlocked.Increment(ref failures);
            }
        });
        MarkDuplicates();
        return files;

        void InParallel(int count, string stage, Action<int> work)
        {
            done = 0;
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Workers > 0 ? options.Workers : Environment.ProcessorCount, CancellationToken = stop };
            Task task = Task.Run(
                () => System.Threading.Tasks.Parallel.For(0, count, parallel, i =>
                {
                    work(i);
                    Interlocked.Increment(ref done);
                }),
                CancellationToken.None);
            while (Task.WaitAny([task], ProgressInterval) != 0)
            {
                observer.Progress(new StageProgress(stage, Volatile.Read(ref done), count, "files", Failures: Volatile.Read(ref failures)));
            }

            try
            {
                task.GetAwaiter().GetResult();
            }
            catch (AggregateException exception)
            {
                // Every worker fails alike: the video library is missing.
                ExceptionDispatchInfo.Throw(exception.Flatten().InnerExceptions[0]);
            }
        }

        // Only files of one size can be equal, so that few are read again.
        void MarkDuplicates()
        {
            int[][] candidates = [.. Enumerable.Range(0, files.Length).Where(i => files[i].Verdict is Ok or Short)
                .GroupBy(i => files[i].Bytes).Where(group => group.Count() > 1).Select(group => group.ToArray())];
            int[] toHash = [.. candidates.SelectMany(group => group)];
            var hashes = new ConcurrentDictionary<int, string>();
            InParallel(toHash.Length, "compare", i =>
            {
                if (TryHash(walker.AbsolutePath(files[toHash[i]].Path), stop) is { } hash)
                {
                    hashes[toHash[i]] = hash;
                }
            });
            foreach (IGrouping<string, int> equal in toHash.Where(hashes.ContainsKey).GroupBy(i => hashes[i]))
            {
                ScannedFile first = files[equal.Min()];
                foreach (int i in equal.Where(i => files[i] != first))
                {
                    string other = files[i].Class == first.Class ? string.Empty : $", which is {first.Class ?? "of no class"}";
                    files[i] = files[i] with { Verdict = Duplicate, DuplicateOf = first.Path, Detail = $"of {first.Path}{other}" };
                }
            }
        }
    }

    private static string? TryHash(string path, CancellationToken stop)
    {
        try
        {
            return FileHash.Sha256(path, stop);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            // It was readable a moment ago; without a hash it is no duplicate.
            return null;
        }
    }

    private static ScannedFile Decode(FolderEntry entry, string path, DataScanOptions options, CancellationToken stop)
    {
        // One tiny picture: what counts is that the decoder comes to the end.
        var reading = new VideoReadOptions { Width = 1, Height = 1, TimeLimit = TimeSpan.FromSeconds(options.DecodeTimeout) };
        Span<byte> picture = stackalloc byte[3];
        VideoReadResult result = VideoReader.TryRead(path, 1, picture, reading, stop);
        VideoInfo info = result.Info;
        (string verdict, string detail) = !result.Succeeded ? (VideoFaults.StatusOf(result.Fault), result.Reason)
            : info.DecodedFrames < options.Frames ? (Short, $"{info.DecodedFrames} frames, fewer than the {options.Frames} that are sampled")
            : (Ok, string.Empty);
        return new ScannedFile(
            entry.RelativePath, null, verdict, detail, null, info.DecodedFrames, info.Width, info.Height,
            info.FrameRate, info.Duration.TotalSeconds, info.Codec ?? string.Empty, entry.Facts.Bytes,
            info.Container ?? string.Empty, null);
    }

    /// <summary>Folders, or videos, that are looked at here and that a training would ignore.</summary>
    private static IEnumerable<IgnoredFile> OutsideClasses(Dictionary<string, string?> classes) =>
        classes.Values.All(name => name is null) ? [] : classes.Where(entry => entry.Value is null)
            .Select(entry => entry.Key.LastIndexOf('/') is > 0 and int end
                ? new IgnoredFile(entry.Key[..(end + 1)], "not a class folder: a training leaves its videos out")
                : new IgnoredFile(entry.Key, "outside the class folders: a training leaves it out"))
            .Distinct();

    /// <summary>The class folders of a data set of other classes than the known pair; null for that, and for what is no data set.</summary>
    /// <exception cref="DatasetException">Classes are asked for that the folder does not have.</exception>
    private static FolderLayout? LayoutOf(string root, DataScanOptions options, CancellationToken stop)
    {
        ClassMerge? merge = options.Classes is { } text ? ClassMerge.Parse(text) : null;
        try
        {
            var layout = FolderLayout.Detect(root, new FolderWalker(root, stop), merge);
            return merge is null && layout.Classes.IsViolence ? null : layout;
        }
        catch (DatasetException) when (merge is null)
        {
            // Any folder may be scanned, whether it could be trained on or not.
            return null;
        }
    }

    /// <summary>Before anything is decoded, so that a slip in the table costs no time.</summary>
    private static SourceTable? ReadSources(string root, Dictionary<string, string?> found, ClassList classes, DataScanOptions options,
        IRunObserver observer)
    {
        string inFolder = Path.Combine(root, SourceTable.DefaultName);
        string? file = options.Groups ?? (File.Exists(inFolder) ? inFolder : null);
        if (file is null)
        {
            return null;
        }

        if (!File.Exists(file))
        {
            throw new DatasetException($"The table of sources '{file}' does not exist. Check {SettingName.Of(nameof(options.Groups))}.");
        }

        var labels = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string path, string? name) in found)
        {
            if (name is not null && classes.TryParse(name, out int label))
            {
                labels[path] = label;
            }
        }

        var table = SourceTable.Read(file, root, labels, classes, OptionValidation.ClassesIn(options.Classes, out _));
        foreach (string warning in table.Warnings)
        {
            observer.Message(Severity.Warning, warning);
        }

        return table;
    }

    /// <summary>By the class folder that it lies in.</summary>
    private static string? ClassOf(string relativePath, FolderLayout layout) => layout.ClassFolders
        .FirstOrDefault(folder => relativePath.StartsWith(folder.Folder.RelativePath + "/", StringComparison.Ordinal)) is { } found
            ? layout.Classes[found.Label]
            : null;

    /// <summary>By the outermost folder that is named like a class, as datasets are read.</summary>
    private static string? ClassOf(string relativePath)
    {
        foreach (string folder in relativePath.Split('/')[..^1])
        {
            if (ClassLabel.TryParse(folder, out int label))
            {
                return ClassLabel.Name(label);
            }
        }

        return null;
    }
}
