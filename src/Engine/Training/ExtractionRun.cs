using CudaTrainer.Engine.Data.Cache;

namespace CudaTrainer.Engine.Training;

/// <summary>Videos to features in the cache, and nothing else.</summary>
public static class ExtractionRun
{
    /// <summary>Runs to the end, or until <paramref name="stop"/>; what was extracted by then is kept.</summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static ExtractionResult Execute(FeatureOptions options, IRunObserver observer, CancellationToken stop)
    {
        using DeviceChoice device = DeviceChoice.OpenOne(options.Device, options.Threads);
        using BackboneChoice backbone = BackboneChoice.Open(options);
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("backbone", backbone.Source.Description),
            new HeaderLine("data", $"videos in {options.DatasetPath}, cache in {options.CacheDir}"),
        ]);
        var clock = new StageClock();
        var pipeline = new FeaturePipeline(options, device.Device, backbone, observer, clock);
        CacheSummary? summary = null;
        try
        {
            summary = pipeline.Run(stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            observer.Message(Severity.Warning, "stopped; what was extracted is kept");
        }

        return new ExtractionResult
        {
            Outcome = summary is null ? RunOutcome.Interrupted : RunOutcome.Completed,
            CacheDir = options.CacheDir,
            Splits = pipeline.Splits,
            Hits = summary?.Reused ?? 0,
            Misses = summary?.Extracted ?? 0,
            Failed = [.. summary?.Failed.Select(failed => failed.ToString()) ?? []],
            Backbone = backbone.Source.Description,
            Stages = clock.Seconds,
            FramesPerSecond = pipeline.FramesPerSecond,
        };
    }
}
