using System.Diagnostics;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Devices;

/// <summary>
/// Finds out with how many threads of a team a piece of work that is repeated, such as a training step, is fastest: where a model is small
/// its hand-overs from thread to thread cost more than they save. Results have the same bits with any number.
/// </summary>
internal sealed class ThreadChoice
{
    /// <summary>Repetitions before the first that counts: until then code is still compiled in the background.</summary>
    private const int Warm = 20;

    /// <summary>Repetitions by each number of threads, in turns; their median counts.</summary>
    private const int Rounds = 7;

    /// <summary>Seconds from which on hand-overs do not matter, and trying fewer threads costs more than it can save.</summary>
    private const double Long = 0.01;

    /// <summary>How much slower fewer threads may be: they leave processors to what goes on beside.</summary>
    private const double Margin = 1.03;

    private readonly ThreadTeam _team;
    private readonly int[] _counts;
    private readonly double[][] _seconds;
    private readonly Func<long> _clock;
    private int _repetition = -Warm;
    private long _began;

    /// <param name="clock">Time stamps of <see cref="Stopwatch"/>; of the machine if null.</param>
    public ThreadChoice(ThreadTeam team, Func<long>? clock = null)
    {
        _team = team;
        _clock = clock ?? Stopwatch.GetTimestamp;
        List<int> counts = [];
        for (int count = team.Size; count > 0; count /= 2)
        {
            counts.Add(count);
        }

        _counts = [.. counts];
        _seconds = [.. counts.Select(_ => new double[Rounds])];
        IsMade = counts.Count == 1;
    }

    /// <summary>Whether the team stays as it is.</summary>
    public bool IsMade { get; private set; }

    /// <summary>The work begins.</summary>
    public void Begin()
    {
        if (!IsMade)
        {
            _team.Active = _counts[Math.Max(0, _repetition) % _counts.Length];
            _began = _clock();
        }
    }

    /// <summary>The work has been done.</summary>
    public void End()
    {
        if (IsMade)
        {
            return;
        }

        double seconds = Stopwatch.GetElapsedTime(_began, _clock()).TotalSeconds;
        _team.Active = _team.Size;
        if (_repetition >= 0)
        {
            _seconds[_repetition % _counts.Length][_repetition / _counts.Length] = seconds;
        }

        _repetition++;
        IsMade = (_repetition == 0 && seconds > Long) || _repetition == Rounds * _counts.Length;
        if (_repetition == Rounds * _counts.Length)
        {
            double[] medians = [.. _seconds.Select(times => times.Order().ElementAt(Rounds / 2))];
            _team.Active = _counts.Where((_, i) => medians[i] <= Margin * medians.Min()).Min();
        }
    }
}
