namespace CudaTrainer.Bench.Compare;

/// <summary><c>bench compare</c>: this engine against its peers and its goals, section by section.</summary>
internal static class Comparison
{
    private static readonly Dictionary<string, Action<Report, Settings>> Sections = new()
    {
        ["gemm"] = (report, settings) => GemmComparison.Run(report, settings.Rounds),
        ["vgg"] = (report, settings) => VggComparison.Run(report, Path.Combine(settings.Work, "vgg"), settings.Rounds),
        ["step"] = (report, settings) => StepComparison.Run(report, Path.Combine(settings.Work, "step"), settings.Rounds),
    };

    public static int Run(ReadOnlySpan<string> arguments)
    {
        var settings = new Settings(Path.Combine(Repository.Root, "artifacts", "peers", "work"), 7);
        List<string> names = [];
        for (int i = 0; i < arguments.Length; i++)
        {
            if (arguments[i] == "--rounds" && i + 1 < arguments.Length)
            {
                settings = settings with { Rounds = int.Parse(arguments[++i]) };
            }
            else
            {
                names.Add(arguments[i]);
            }
        }

        if (names.FirstOrDefault(name => !Sections.ContainsKey(name)) is { } unknown)
        {
            Console.Error.WriteLine($"bench compare: there is no section '{unknown}'; the sections are {string.Join(", ", Sections.Keys)}.");
            return 2;
        }

        var report = new Report();
        foreach (var (name, section) in Sections)
        {
            if (names.Count == 0 || names.Contains(name))
            {
                section(report, settings);
            }
        }

        return 0;
    }

    /// <param name="Work">Where inputs for the peers are put; kept for the next run.</param>
    /// <param name="Rounds">Interleaved rounds.</param>
    internal sealed record Settings(string Work, int Rounds);
}
