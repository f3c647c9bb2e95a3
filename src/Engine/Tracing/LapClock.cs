using System.Diagnostics;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Tracing;

/// <summary>
/// Times work that is queued on a device piece after piece: each lap lasts from the one before to the moment at which what was queued so
/// far is done.
/// </summary>
public abstract class LapClock : IDisposable
{
    /// <summary>The clock of a device's compute queue.</summary>
    public static LapClock For(IDevice device, TraceTrack track) => device is CudaDevice cuda
        ? new CudaLapClock(cuda, track)
        : new HostLapClock(track);

    /// <summary>The first lap begins.</summary>
    public abstract void Begin();

    /// <summary>A lap ends and the next begins.</summary>
    public abstract void Lap(string name, SpanKind kind = SpanKind.Compute);

    /// <summary>Hands the laps to the track. All that was queued is done.</summary>
    public abstract void Collect();

    public abstract void Dispose();
}

/// <summary>For devices that are done with an op when it returns.</summary>
internal sealed class HostLapClock(TraceTrack track) : LapClock
{
    private long _last;

    public override void Begin() => _last = Stopwatch.GetTimestamp();

    public override void Lap(string name, SpanKind kind = SpanKind.Compute)
    {
        long now = Stopwatch.GetTimestamp();
        track.Add(name, kind, _last, now);
        _last = now;
    }

    public override void Collect()
    {
    }

    public override void Dispose()
    {
    }
}

/// <summary>
/// By events in the compute stream, which tell what lies between them; the last one is put at the moment at which the host has found all
/// work done.
/// </summary>
internal sealed class CudaLapClock(CudaDevice device, TraceTrack track) : LapClock
{
    private readonly List<CudaEvent> _events = [];
    private readonly List<(string Name, SpanKind Kind)> _laps = [];

    public override void Begin()
    {
        _laps.Clear();
        Record(0);
    }

    public override void Lap(string name, SpanKind kind = SpanKind.Compute)
    {
        _laps.Add((name, kind));
        Record(_laps.Count);
    }

    public override void Collect()
    {
        if (_laps.Count == 0)
        {
            return;
        }

        long end = Stopwatch.GetTimestamp();
        CudaEvent last = _events[_laps.Count];
        for (int i = 0; i < _laps.Count; i++)
        {
            track.Add(_laps[i].Name, _laps[i].Kind, end - Before(_events[i]), end - Before(_events[i + 1]));
        }

        _laps.Clear();

        long Before(CudaEvent mark) => (long)(last.MillisecondsSince(mark) * Stopwatch.Frequency / 1e3);
    }

    public override void Dispose()
    {
        foreach (CudaEvent mark in _events)
        {
            mark.Dispose();
        }
    }

    private void Record(int index)
    {
        if (index == _events.Count)
        {
            _events.Add(new CudaEvent(device.Context, timing: true));
        }

        device.ComputeStream.Record(_events[index]);
    }
}
