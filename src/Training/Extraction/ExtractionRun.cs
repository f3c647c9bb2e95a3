using CudaTrainer.Data.Cache;
using CudaTrainer.Engine;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.Extraction;

/// <summary>Videos to features in the cache, and nothing else.</summary>
public static class ExtractionRun
{
    /// <summary>Runs to the end, or until <paramref name="stop"/>; what was extracted by then is kept.</summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static ExtractionResult Execute(FeatureOptions options, IRunObserver observer, CancellationToken stop)
    {
        if (options.Distributed == DistributedMode.None)
        {
            return Execute(options, observer, null, stop);
        }

        using ProcessGroup processes = ProcessGroup.Open();
        return processes.Run(() => Execute(options, processes.IsLead ? observer : new SilentObserver(), processes, stop));
    }

    private static ExtractionResult Execute(FeatureOptions options, IRunObserver observer, ProcessGroup? processes, CancellationToken stop)
    {
        using DeviceChoice device = processes is null
            ? DeviceChoice.OpenWhole(options.Device, options.Threads)
            : DeviceChoice.OpenShare(options.Device, options.Threads, null, processes);
        using BackboneChoice backbone = BackboneChoice.Open(options);
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("backbone", backbone.Description),
            new HeaderLine("data", $"videos in {options.DatasetText}, cache in {options.CacheDir}"),
        ]);
        var clock = new StageClock();
        var pipeline = new FeaturePipeline(options, device.Devices, backbone, observer, clock, processes);
        CacheSummary? summary = null;
        RunOutcome outcome = RunOutcome.Completed;
        try
        {
            summary = pipeline.Run(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            processes?.Fail("it was interrupted");
            outcome = RunOutcome.Interrupted;
            observer.Message(Severity.Warning, "stopped; what was extracted is kept");
        }

        return new ExtractionResult
        {
            Outcome = outcome,
            Rank = processes?.Rank ?? 0,
            CacheDir = options.CacheDir,
            Splits = pipeline.Splits,
            Hits = summary?.Reused ?? 0,
            Misses = summary?.Extracted ?? 0,
            Failed = [.. summary?.Failed.Select(failed => failed.ToString()) ?? []],
            Backbone = backbone.Description,
            Stages = clock.Seconds,
            FramesPerSecond = pipeline.FramesPerSecond,
        };
    }
}
