using System.Diagnostics;

namespace CudaTrainer.Bench;

/// <summary>Best and median wall time of repeated runs.</summary>
internal readonly record struct Timing(double Best, double Median)
{
    /// <summary>Runs once to warm up, then until both <paramref name="rounds"/> and <paramref name="seconds"/> are reached.</summary>
    public static Timing Measure(Action action, int rounds = 7, double seconds = 0.5)
    {
        action();
        var times = new List<double>();
        for (double total = 0; times.Count < rounds || total < seconds;)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            total += times[^1];
        }

        times.Sort();
        return new Timing(times[0], times[times.Count / 2]);
    }
}
