using System.Diagnostics;
using System.Globalization;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Bench.Speed;

/// <summary><c>bench speed</c>: the table of what is to be reached, each figure with its peer or its bound measured beside it.</summary>
internal static class SpeedCommand
{
    private static readonly Dictionary<string, Func<string, int, string?, IEnumerable<Goal>>> Parts = new()
    {
        ["step"] = (work, rounds, _) => StepGoals.Measure(work, rounds),
        ["vgg"] = (_, rounds, _) => VggGoals.Measure(rounds),
        ["small"] = (work, rounds, _) => SmallModelGoals.Measure(work, rounds),
        ["program"] = ProgramGoals.Measure,
    };

    /// <param name="dataset">A folder of real clips; null for drawn ones.</param>
    /// <param name="names">Some of the parts; all if empty.</param>
    /// <param name="output">Where the table is written.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string? dataset, IReadOnlyList<string> names, string output, int rounds = 7)
    {
        if (names.FirstOrDefault(name => !Parts.ContainsKey(name)) is { } unknown)
        {
            Console.Error.WriteLine($"bench speed: there is no part '{unknown}'; the parts are {string.Join(", ", Parts.Keys)}.");
            return 2;
        }

        long began = Stopwatch.GetTimestamp();
        var report = new Report();
        List<IReadOnlyList<string>> rows = [];
        foreach ((string name, Func<string, int, string?, IEnumerable<Goal>> measure) in Parts)
        {
            if (names.Count == 0 || names.Contains(name))
            {
                string work = Path.Combine(Repository.Root, "artifacts", "peers", "work", "speed", name);
                rows.AddRange(measure(work, rounds, dataset).Select(Row));
            }
        }

        report.Paragraph("# Speed: goals and what was measured");
        report.Paragraph(string.Create(CultureInfo.InvariantCulture,
            $"Made by `scripts/bench.sh speed` on {DateTime.UtcNow:yyyy-MM-dd} in {Stopwatch.GetElapsedTime(began).TotalMinutes:F0} " +
                $"minutes: {Comparison.Machine()}, {Environment.ProcessorCount} cores, SIMD level {SimdSelection.Current}. Medians of " +
                $"{rounds} rounds in which contestants take turns; results are compared before anything is timed; peers have as many " +
                $"threads as we."));
        report.Table(["what", "goal", "measured", "reached", "what bounds it"], rows);
        report.Save(output);
        Console.WriteLine($"written: {output}");
        return 0;
    }

    private static string[] Row(Goal goal)
    {
        string reached = goal.IsReached switch { true => "yes", false => "no", null => "–" };
        string[] row = [goal.What, goal.Wanted, goal.Measured, reached, goal.IsReached == false ? goal.Bound : ""];
        Console.WriteLine(string.Join(" | ", row));
        return row;
    }
}
