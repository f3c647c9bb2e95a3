using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.Extraction;

/// <summary>What an extraction left in the cache.</summary>
public sealed record ExtractionResult
{
    public required RunOutcome Outcome { get; init; }

    /// <summary>Of this process among several; 0 reports.</summary>
    public int Rank { get; init; }

    public required string CacheDir { get; init; }

    /// <summary>What the splits hold; empty when interrupted.</summary>
    public IReadOnlyList<SplitRow> Splits { get; init; } = [];

    /// <summary>Clips whose features were in the cache.</summary>
    public int Hits { get; init; }

    /// <summary>Clips that were extracted.</summary>
    public int Misses { get; init; }

    /// <summary>Clips that were left out, with the reason.</summary>
    public IReadOnlyList<string> Failed { get; init; } = [];

    public required string Backbone { get; init; }

    /// <summary>Wall time of each stage in seconds.</summary>
    public required IReadOnlyDictionary<string, double> Stages { get; init; }

    /// <summary>Wall time of all stages.</summary>
    public double Seconds => Stages.Values.Sum();

    /// <summary>Backbone throughput of this run; 0 when nothing had to be extracted.</summary>
    public double FramesPerSecond { get; init; }
}

/// <summary>
/// From a folder of videos to features in the cache, view by view: scan, split, hash, extract what is missing, commit. Of several
/// processes, rank 0 does so and tells the others what is missing; each adds its share to the cache, which rank 0 commits. What a process
/// that died has added, the next run uses.
/// </summary>
/// <param name="devices">Of this process; each runs the backbone on a share of the clips.</param>
/// <param name="processes">Null for one process.</param>
/// <param name="trace">Where extraction is recorded, if given.</param>
internal sealed class FeaturePipeline(FeatureOptions options, IReadOnlyList<IDevice> devices, BackboneChoice backbone,
    IRunObserver observer, StageClock clock, ProcessGroup? processes = null, TraceRecorder? trace = null)
{
    /// <summary>Of the first devices, from the first view that needs them to the end of the run.</summary>
    private readonly List<IFrameNetwork> _networks = [];

    /// <summary>Backbone throughput of this run; 0 when nothing had to be extracted.</summary>
    public double FramesPerSecond { get; private set; }

    /// <summary>What the splits hold after the run.</summary>
    public IReadOnlyList<SplitRow> Splits { get; private set; } = [];

    /// <returns>Of the clips as they are, with what was reused and extracted of all views; null on ranks that only helped.</returns>
    /// <exception cref="OperationCanceledException">Stopped; every finished row is kept for the next run.</exception>
    public CacheSummary? Run(CancellationToken stop, VideoDataset? found = null)
    {
        try
        {
            if (processes is { IsLead: false })
            {
                for (int view = 0; view < options.Views; view++)
                {
                    Help(view, stop);
                }

                return null;
            }

            VideoDataset dataset = found ?? clock.Time("scan", () => Scan(options, options.CacheDir, observer, stop));
            observer.Tell(dataset);
            CacheSummary plain = Run(dataset, 0, stop);
            observer.List(Severity.Warning, [.. plain.Failed.Select(failed => $"left out: {failed}")]);
            observer.List(Severity.Warning, plain.Warnings);
            Splits = [.. dataset.Table.Rows.Select(row =>
            {
                CachedSplit stored = plain.Splits.First(split => split.Split == row.Split);
                return SplitRow.Of(row.Split.Name(), dataset.Classes, stored.Rows, row.Sources, stored.Failed.Total);
            })];
            observer.Dataset(Splits);
            for (int view = 1; view < options.Views; view++)
            {
                CacheSummary other = Run(dataset, view, stop);
                plain = plain with { Reused = plain.Reused + other.Reused, Extracted = plain.Extracted + other.Extracted };
            }

            return plain;
        }
        finally
        {
            foreach (IFrameNetwork network in _networks)
            {
                network.Dispose();
            }

            _networks.Clear();
        }
    }

    /// <summary>One view of all clips.</summary>
    private CacheSummary Run(VideoDataset dataset, int view, CancellationToken stop)
    {
        using var caches = new StreamCaches(options, backbone, view);
        foreach (FeatureCache cache in caches.All)
        {
            observer.List(Severity.Info, cache.Notes);
        }

        IReadOnlyList<MissingStream> missing = caches.Plan(dataset, out IReadOnlyList<CachePlan> plans);
        observer.List(Severity.Info, [.. plans.SelectMany(plan => plan.Notes)]);
        int broken = plans.Max(plan => plan.KnownFailures);
        string which = view == 0 ? "features" : $"features of view {view} ({ClipView.All[view].Name})";
        observer.Message(
            Severity.Info,
                $"{which}: {plans.Min(plan => plan.Reused)} of {plans[0].Clips} clips are cached, {missing.Count} to " +
                    $"extract{(broken > 0 ? $", {broken} known to be broken" : string.Empty)}");
        if (processes is not null)
        {
            processes.Broadcast(JsonSerializer.Serialize(
                [.. missing.Select(item => new MissingClip(item.Clip.Path, item.Clip.RelativePath, item.Clip.ContentHash, item.Stream))],
                    MissingJson.Default.MissingClipArray));
        }

        if (missing.Count > 0)
        {
            clock.Time("extract", () => Extract(caches, view, ShareOf(missing), stop));
            if (processes is not null)
            {
                processes.Meet();
                foreach (FeatureCache cache in caches.All)
                {
                    cache.Refresh();
                }
            }
        }

        CacheSummary summary = clock.Time("commit", () => caches.Commit(dataset));
        processes?.Meet();
        return summary;
    }

    /// <summary>Threads that decode in one process: as many as asked for, else its share of the cores.</summary>
    internal static int DecodeThreads(int asked, int cores, int processesHere) => asked > 0
        ? DeviceChoice.MostDecoders(asked)
        : Math.Max(1, cores / processesHere);

    /// <summary>What a rank other than 0 does.</summary>
    private void Help(int view, CancellationToken stop)
    {
        MissingClip[] missing = JsonSerializer.Deserialize(processes!.Broadcast(null), MissingJson.Default.MissingClipArray)!;
        if (missing.Length > 0)
        {
            clock.Time("extract", () =>
            {
                // Rank 0 made the cache's folder before it told what is missing.
                using var caches = new StreamCaches(options, backbone, view, helps: true);
                return Extract(caches, view,
                    ShareOf([.. missing.Select(clip => new MissingStream(new Clip(clip.Path, clip.RelativePath, 0, clip.RelativePath, clip.ContentHash), clip.Stream))]), stop);
            });
            processes.Meet();
        }

        // Until rank 0 has written the cache.
        processes.Meet();
    }

    /// <summary>Every size-th clip, so that long and short clips, which often stand together, mix.</summary>
    private MissingStream[] ShareOf(IReadOnlyList<MissingStream> missing) =>
        processes is null ? [.. missing] : [.. missing.Where((_, i) => i % processes.Size == processes.Rank)];

    /// <summary>The clips of the folder that the options name, and their splits. Files are hashed, not decoded.</summary>
    /// <param name="index">Folder where hashes are remembered; null for nowhere.</param>
    /// <param name="known">The model's classes where all clips are measured together: <see cref="DatasetOptions.Known"/>.</param>
    internal static VideoDataset Scan(FeatureOptions options, string? index, IRunObserver observer, CancellationToken stop,
        ClassList? known = null)
    {
        ClassMerge? classes = OptionValidation.ClassesIn(options.Classes, out string? fault);
        if (fault is not null)
        {
            throw new RunException(fault, $"Give {SettingName.Of(nameof(options.Classes))} that names classes and their folders.");
        }

        return DatasetScanner.Scan(
            options.Datasets.Count > 0
                ? options.Datasets
                : throw new RunException("There is no dataset to read.",
                    $"Give {SettingName.Of(nameof(TrainingOptions.DatasetPath))} DIR, or " +
                        $"{SettingName.Of(nameof(TrainingOptions.FeaturesDir))} DIR for features that exist already."),
            new DatasetOptions
            {
                Split = new SplitFractions(options.Split[0], options.Split[1], options.Split.Count > 2 ? options.Split[2] : 0),
                GroupsFile = options.Groups,
                Classes = classes,
                LabelsFile = options.Labels,
                Known = known,
                Seed = options.Seed,
                IndexDirectory = index,
                HashProgress = (done, total) => observer.Progress(new StageProgress("hash", done, total, "files")),
            },
            stop);
    }

    private int Extract(StreamCaches caches, int view, IReadOnlyList<MissingStream> missing, CancellationToken stop)
    {
        if (missing.Count == 0)
        {
            return 0;
        }

        using CancellationTokenSource ends = CancellationTokenSource.CreateLinkedTokenSource(stop,
            processes?.Lost ?? CancellationToken.None);
        try
        {
            // Each clip is decoded once, for whatever it lacks.
            int finished = 0;
            foreach (IGrouping<FeatureStream, MissingStream> group in missing.GroupBy(item => item.Stream))
            {
                ExtractUntil(caches, view, group.Key, [.. group.Select(item => item.Clip)], finished, missing.Count, ends.Token);
                finished += group.Count();
            }

            return missing.Count;
        }
        catch (OperationCanceledException)
        {
            processes?.ThrowIfLost();
            throw;
        }
    }

    /// <param name="finished">Clips before these.</param>
    /// <param name="total">Clips in all.</param>
    /// <param name="ends">Asked to stop, or another process was lost.</param>
    private void ExtractUntil(StreamCaches caches, int view, FeatureStream stream, IReadOnlyList<Clip> missing, int finished, int total,
        CancellationToken ends)
    {
        if (stream.HasRgb() && _networks.Count == 0)
        {
            observer.Message(Severity.Info, $"loading the backbone ({backbone.FramesDescription})");
        }

        // Motion needs no device.
        IDevice[] used = [.. devices.Take(stream.HasRgb() ? missing.Count : 1)];
        int workers = Math.Max(1,
            DecodeThreads(options.Workers, Environment.ProcessorCount, processes?.LocalSize ?? 1) / (stream.HasRgb() ? devices.Count : 1));
        List<FeatureExtractor> extractors = [];
        List<string> remarks = [];
        foreach (IDevice device in used)
        {
            if (stream.HasRgb() && _networks.Count == extractors.Count)
            {
                _networks.Add(backbone.Load(device, ends)!);
                if (_networks is [OnnxFrameNetwork { Place: { } place }])
                {
                    observer.Message(Severity.Info, place);
                }

                _networks[^1].Laps = trace is null ? null : LapClock.For(device, trace.Track("extract", device.Name));
            }

            extractors.Add(new FeatureExtractor(
                device,
                stream.HasRgb() ? _networks[extractors.Count].Forward : null,
                new ExtractorOptions(options.Frames, workers, TimeSpan.FromSeconds(options.DecodeTimeout), stream,
                    trace)
                {
                    View = ClipView.All[view],
                    Shape = backbone.Shape,
                    VerifiesContent = true,
                }));
        }

        new MultiDeviceExtractor(extractors).Run(missing, Deliver, Report, ends);
        observer.List(Severity.Warning, remarks);

        void Deliver(Clip clip, ReadOnlySpan<float> rgb, ReadOnlySpan<float> motion, VideoFault fault, string reason,
            VideoInfo info)
        {
            if (fault == VideoFault.None)
            {
                caches.Append(clip.ContentHash, rgb, motion, info);
                if (reason.Length > 0)
                {
                    lock (remarks)
                    {
                        remarks.Add($"'{clip.RelativePath}' {reason}");
                    }
                }

                return;
            }

            caches.AppendFailure(clip.ContentHash, stream, VideoFaults.StatusOf(fault), reason);
            if (options.OnCorrupt == CorruptPolicy.Fail)
            {
                throw new RunException($"'{clip.Path}': {reason} ({VideoFaults.StatusOf(fault)}).",
                    $"Repair or remove the file, or use {SettingName.Of(nameof(TrainingOptions.OnCorrupt))} skip.");
            }
        }

        void Report(ExtractionProgress p)
        {
            FramesPerSecond = p.FramesPerSecond;
            observer.Progress(new StageProgress("extract", finished + p.Videos, total, "videos", p.FramesPerSecond, "frames/s",
                p.Remaining, p.Failures));
        }
    }
}

/// <summary>What rank 0 tells the others of a clip.</summary>
internal sealed record MissingClip(string Path, string RelativePath, string ContentHash, FeatureStream Stream);

[JsonSerializable(typeof(MissingClip[]))]
internal sealed partial class MissingJson : JsonSerializerContext;
