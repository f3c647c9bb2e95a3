using System.Diagnostics;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Devices;

public static class DeviceLapClock
{
    extension(LapClock)
    {
        /// <summary>The clock of a device's compute queue.</summary>
        public static LapClock For(IDevice device, TraceTrack track) => device is CudaDevice cuda
            ? new CudaLapClock(cuda, track)
            : new HostLapClock(track);
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
