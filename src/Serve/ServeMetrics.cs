using System.Diagnostics.Metrics;
using Prometheus;

namespace CudaTrainer.Serve;

/// <summary>What the server counts, and the text that Prometheus reads of it and of every other meter of the program.</summary>
internal sealed class ServeMetrics : IDisposable
{
    /// <summary>Meters of the program, wherever they are declared, have names that begin so.</summary>
    private const string OwnMeters = "CudaTrainer.";

    /// <summary>Of .NET itself: requests by route and status, and what the process takes.</summary>
    private const string Requests = "Microsoft.AspNetCore.Hosting", Process = "dotnet.process.";

    private static readonly double[] WorkSeconds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600];

    private readonly Meter _meter = new(OwnMeters + "Serve");
    private readonly Counter<long> _uploads, _videos, _frames, _logins;
    private readonly Histogram<double> _work;
    private readonly CollectorRegistry _registry = Metrics.NewCustomRegistry();
    private readonly MeterExport _export;

    public ServeMetrics(VideoQueue queue)
    {
        _uploads = _meter.CreateCounter<long>("uploads_total", null, "Uploads by result: accepted, or the code of the refusal");
        _videos = _meter.CreateCounter<long>("videos_total", null, "Videos by answer: done, or the code of the failure");
        _frames = _meter.CreateCounter<long>("frames_decoded_total", null, "Frames decoded of videos with an answer");
        _logins = _meter.CreateCounter<long>("logins_total", null, "Tokens by result: right, wrong, or unheard after too many wrong ones");
        _work = _meter.CreateHistogram("work_seconds", null, "Seconds of work on a video", null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = WorkSeconds });
        _meter.CreateObservableGauge("queue_waiting", () => queue.Facts.Waiting, null, "Videos that wait or arrive");
        _meter.CreateObservableGauge("queue_running", () => queue.Facts.Running, null, "Videos at work");
        _export = new MeterExport(_registry, IsExported);
    }

    /// <param name="result"><c>accepted</c>, or why not.</param>
    public void CountUpload(string result) => _uploads.Add(1, KeyValuePair.Create<string, object?>("result", result));

    public void CountVideo(string result, double seconds, long frames)
    {
        _videos.Add(1, KeyValuePair.Create<string, object?>("result", result));
        _work.Record(seconds);
        _frames.Add(frames);
    }

    public void CountLogin(AccessTokens.Verdict verdict) => _logins.Add(1, KeyValuePair.Create<string, object?>("result",
        verdict switch { { IsHeard: false } => "unheard", { Owner: null } => "wrong", _ => "right" }));

    /// <summary>In Prometheus's text format.</summary>
    public async Task<byte[]> Export(CancellationToken stop)
    {
        using MemoryStream text = new();
        await _registry.CollectAndExportAsTextAsync(text, stop);
        return text.ToArray();
    }

    public void Dispose()
    {
        _export.Dispose();
        _meter.Dispose();
    }

    /// <summary>Of several servers in a process each tells what is its own.</summary>
    private bool IsExported(Instrument instrument) => instrument.Meter.Name == _meter.Name
        ? instrument.Meter == _meter
        : instrument.Meter.Name.StartsWith(OwnMeters, StringComparison.Ordinal) || instrument.Meter.Name == Requests
            || instrument.Name.StartsWith(Process, StringComparison.Ordinal);
}
