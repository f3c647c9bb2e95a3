using System.Diagnostics;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Training.Features;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// Looks at some steps of a run: which part of each takes how long on every replica of this process, and how long it waits for its batch.
/// </summary>
internal sealed class StepProfile(TraceRecorder trace, StepRange range, ReplicaGroup replicas, BatchLoader loader) : IDisposable
{
    public const string Stage = "train";

    private readonly TraceTrack _steps = trace.Track(Stage, "steps");
    private readonly TraceTrack _loading = trace.Track(Stage, "batch loader");
    private readonly LapClock[] _clocks = [
        .. replicas.Replicas.Select((learner, i) => LapClock.For(learner.Device, trace.Track(Stage, learner.Device.Name, counts: i == 0)))];
    private long _began;
    private bool _isOn;

    /// <param name="step">From 0 over all epochs.</param>
    public void BeginStep(long step)
    {
        if (range.Contains(step) != _isOn)
        {
            _isOn = !_isOn;
            loader.Track = _isOn ? _loading : null;
            for (int i = 0; i < _clocks.Length; i++)
            {
                replicas.Replicas[i].Laps = _isOn ? _clocks[i] : null;
            }
        }

        _began = Stopwatch.GetTimestamp();
    }

    /// <summary>The step's batch is there; what was needed for it before the last step ended is not part of the wait.</summary>
    public void GotBatch()
    {
        if (_isOn)
        {
            _steps.Add("waiting for data", SpanKind.Wait, _began);
        }
    }

    public void EndStep(long step)
    {
        if (_isOn)
        {
            _steps.Add($"step {step}", SpanKind.Whole, _began);
        }
    }

    public void Dispose()
    {
        foreach (LapClock clock in _clocks)
        {
            clock.Dispose();
        }
    }
}
