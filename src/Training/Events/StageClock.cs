using System.Diagnostics;

namespace CudaTrainer.Training.Events;

/// <summary>Wall time of each stage of a run, in the order in which they first ran.</summary>
internal sealed class StageClock
{
    private readonly Dictionary<string, double> _seconds = [];

    public IReadOnlyDictionary<string, double> Seconds => _seconds;

    /// <summary>Runs <paramref name="work"/> and adds its time to <paramref name="stage"/>.</summary>
    public T Time<T>(string stage, Func<T> work)
    {
        long began = Stopwatch.GetTimestamp();
        try
        {
            return work();
        }
        finally
        {
            _seconds[stage] = _seconds.GetValueOrDefault(stage) + Stopwatch.GetElapsedTime(began).TotalSeconds;
        }
    }
}
