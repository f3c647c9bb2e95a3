using System.Diagnostics;

namespace CudaTrainer.Engine.Tracing;

/// <summary>
/// Times work that is queued on a device piece after piece: each lap lasts from the one before to the moment at which what was queued so
/// far is done.
/// </summary>
public abstract class LapClock : IDisposable
{
    /// <summary>The first lap begins.</summary>
    public abstract void Begin();

    /// <summary>A lap ends and the next begins.</summary>
    public abstract void Lap(string name, SpanKind kind = SpanKind.Compute);

    /// <summary>Hands the laps to the track. All that was queued is done.</summary>
    public abstract void Collect();

    public abstract void Dispose();
}

/// <summary>For devices that are done with an op when it returns.</summary>
public sealed class HostLapClock(TraceTrack track) : LapClock
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
