using System.Diagnostics;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Devices;

/// <summary>
/// Finds out with how many threads of a team a piece of work that is repeated, such as a training step, is fastest: where a model is small
/// its hand-overs from thread to thread cost more than they save. Results have the same bits with any number.
/// </summary>
internal sealed class ThreadChoice
{
    /// <summary>Repetitions before the first that counts.</summary>
    private const int Warm = 4;

    /// <summary>Repetitions by each number of threads, in turns; their median counts.</summary>
    private const int Rounds = 7;

    /// <summary>Seconds from which on hand-overs do not matter, and trying fewer threads costs more than it can save.</summary>
    private const double Long = 0.01;

    /// <summary>How much slower fewer threads may be: they leave processors to what goes on beside, and wait for nobody.</summary>
    private const double Margin = 1.25;

    /// <summary>Seconds from the first repetition at which it is tried: until code is compiled for good, what is found is passing.</summary>
    private static readonly double[] Trials = [0, 0.5, 2];

    private readonly ThreadTeam _team;
    private readonly int[] _counts;
    private readonly double[][] _seconds;
    private readonly Func<long> _clock;
    private int _chosen;
    private int _repetition = -Warm;
    private int _trial;
    private long _first;
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
        _chosen = team.Size;
        IsMade = counts.Count == 1;
    }

    /// <summary>Whether the team stays as it is.</summary>
    public bool IsMade { get; private set; }

    /// <summary>The work begins.</summary>
    public void Begin()
    {
        if (IsMade)
        {
            return;
        }

        _began = _clock();
        _first = _first == 0 ? _began : _first;
        bool isTried = _repetition > 0 || Stopwatch.GetElapsedTime(_first, _began).TotalSeconds >= Trials[_trial];
        _team.Active = isTried && _repetition >= 0 ? _counts[_repetition % _counts.Length] : _chosen;
        _repetition = isTried ? _repetition : Math.Min(_repetition, -1);
    }

    /// <summary>The work has been done.</summary>
    public void End()
    {
        if (IsMade)
        {
            return;
        }

        double seconds = Stopwatch.GetElapsedTime(_began, _clock()).TotalSeconds;
        _team.Active = _chosen;
        if (_repetition >= 0)
        {
            _seconds[_repetition % _counts.Length][_repetition / _counts.Length] = seconds;
        }

        _repetition++;
        IsMade = _repetition == 0 && seconds > Long;
        if (_repetition == Rounds * _counts.Length)
        {
            _team.Active = _chosen = Fewest();
            _repetition = 0;
            _trial++;
            IsMade = _trial == Trials.Length;
        }
    }

    /// <summary>The fewest threads whose median is near the least; steps allocate nothing.</summary>
    private int Fewest()
    {
        double least = double.PositiveInfinity;
        foreach (double[] seconds in _seconds)
        {
            Array.Sort(seconds);
            least = Math.Min(least, seconds[Rounds / 2]);
        }

        int i = _counts.Length - 1;
        while (_seconds[i][Rounds / 2] > Margin * least)
        {
            i--;
        }

        return _counts[i];
    }
}
