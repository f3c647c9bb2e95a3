using System.Diagnostics;
using System.Globalization;

namespace CudaTrainer.Live.Watching;

/// <summary>How much of the machine this process used since the last look, and how much nobody did. Shares of all processors.</summary>
internal sealed class MachineUse
{
    private long _looked = Stopwatch.GetTimestamp();
    private TimeSpan _own = Environment.CpuUsage.TotalTime;
    private (double Idle, double All) _total = Total();

    /// <summary>Since the last call, or the beginning.</summary>
    public (double Own, double Idle) Look()
    {
        TimeSpan own = Environment.CpuUsage.TotalTime;
        (double Idle, double All) total = Total();
        double share = (own - _own) / (Stopwatch.GetElapsedTime(_looked) * Environment.ProcessorCount),
            ticks = total.All - _total.All,
            idle = ticks > 0 ? (total.Idle - _total.Idle) / ticks : 1 - share;
        (_looked, _own, _total) = (Stopwatch.GetTimestamp(), own, total);
        return (share, Math.Clamp(idle, 0, Math.Max(0, 1 - share)));
    }

    /// <summary>Of all processors since the machine began, in ticks; 0 where the system does not say.</summary>
    private static (double Idle, double All) Total()
    {
        try
        {
            using var file = new StreamReader("/proc/stat");
            double[] ticks = [.. (file.ReadLine() ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
                .Select(text => double.Parse(text, CultureInfo.InvariantCulture))];
            return ticks.Length > 4 ? (ticks[3] + ticks[4], ticks.Sum()) : default;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            return default;
        }
    }
}
