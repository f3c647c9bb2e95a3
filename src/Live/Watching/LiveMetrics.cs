using System.Diagnostics.Metrics;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Watching;

/// <summary>What is measured of cameras, for whoever listens to <see cref="MeterName"/>.</summary>
internal sealed class LiveMetrics : IDisposable
{
    public const string MeterName = "CudaTrainer.Live";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _windows;
    private readonly Histogram<double> _latency;

    /// <param name="cameras">Of the moment.</param>
    /// <param name="of">One window of so many is computed.</param>
    public LiveMetrics(Func<IReadOnlyList<CameraStatus>> cameras, Func<int> of)
    {
        _windows = _meter.CreateCounter<long>("windows_total", description: "Windows that were answered");
        _latency = _meter.CreateHistogram<double>("latency_seconds", null, "From a window's last frame to its answer",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10] });
        Each("frames_total", "Frames decoded", status => status.Frames);
        Each("frames_left_out_total", "Frames left out because nobody took them in time", status => status.LeftOut);
        Each("packets_passed_over_total", "Packets passed over because they came late", status => status.PassedOver);
        Each("windows_skipped_total", "Windows left out because the machine does not keep up", status => status.Skipped);
        Each("connections_total", "Times that it was connected to", status => status.Connections);
        _meter.CreateObservableGauge("up", () => cameras().Select(status =>
            Of(status, status.State == CameraState.Live ? 1 : 0)), description: "1 while a camera delivers");
        _meter.CreateObservableGauge("score", () => cameras().Where(status => status.Answer is not null)
            .Select(status => Of(status, status.Answer!.Score)), description: "The latest probability of a camera");
        _meter.CreateObservableGauge("drift", () => cameras().SelectMany(status => status.Drift.Select(one => new Measurement<int>(1,
            new KeyValuePair<string, object?>("camera", status.Name), new KeyValuePair<string, object?>("quantity", one.Class ?? one.Quantity)))),
            description: "1 for each way in which a camera has left what the model fits");
        _meter.CreateObservableGauge("thinning", () => of(), description: "One window of so many is computed");

        void Each(string name, string description, Func<CameraStatus, long> value) => _meter.CreateObservableCounter(name,
            () => cameras().Select(status => Of(status, value(status))), description: description);
    }

    public void Answered(LiveAnswer answer)
    {
        var camera = new KeyValuePair<string, object?>("camera", answer.Camera);
        _windows.Add(1, camera);
        _latency.Record(answer.Latency, camera);
    }

    public void Dispose() => _meter.Dispose();

    private static Measurement<TValue> Of<TValue>(CameraStatus status, TValue value)
        where TValue : struct => new(value, new KeyValuePair<string, object?>("camera", status.Name));
}
