namespace CudaTrainer.Bench.Compare;

/// <param name="Name">What the table calls it.</param>
/// <param name="Run">Does the work once and returns its seconds.</param>
internal sealed record Contestant(string Name, Func<double> Run);

/// <summary>Seconds of several rounds.</summary>
internal readonly record struct Seconds(double Best, double Median)
{
    public static Seconds Of(IEnumerable<double> times)
    {
        double[] sorted = [.. times.Order()];
        double middle = (sorted[sorted.Length / 2] + sorted[(sorted.Length - 1) / 2]) / 2;
        return new Seconds(sorted[0], middle);
    }

    /// <summary>The same for each of <paramref name="count"/> equal parts.</summary>
    public Seconds Per(double count) => new(Best / count, Median / count);
}

/// <summary>Times contestants in turn, so that the machine's moods hit all alike.</summary>
internal static class Interleaved
{
    /// <summary>Time for threads that still spin after their work to go to sleep.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(60);

    /// <returns>Each contestant's times, in the order given; a first round does not count.</returns>
    public static Seconds[] Measure(IReadOnlyList<Contestant> contestants, int rounds)
    {
        List<double>[] times = contestants.Select(_ => new List<double>()).ToArray();
        for (int round = -1; round < rounds; round++)
        {
            for (int i = 0; i < contestants.Count; i++)
            {
                Thread.Sleep(Rest);
                double seconds = contestants[i].Run();
                if (round >= 0)
                {
                    times[i].Add(seconds);
                }
            }
        }

        return [.. times.Select(Seconds.Of)];
    }
}
