using System.Globalization;
using CudaTrainer.Bench.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Compare;

/// <summary><c>bench compare</c>: this engine against its peers, section by section.</summary>
internal static class Comparison
{
    private static readonly Dictionary<string, Action<Report, Settings>> Sections = new()
    {
        ["gemm"] = (report, settings) => GemmComparison.Run(report, settings.Rounds),
        ["vgg"] = (report, settings) => VggComparison.Run(report, settings.Folder("vgg"), settings.Rounds),
        ["step"] = (report, settings) => StepComparison.Run(report, settings.Folder("step"), settings.Rounds),
        ["fused"] = (report, settings) => FusedComparison.Run(report, settings.Folder("fused")),
        ["training"] = (report, settings) => TrainingRuns.Run(report, settings.Folder("training"), settings.Rounds),
        ["pipeline"] = (report, settings) => PipelineComparison.Run(report, settings.Folder("pipeline"), settings.Dataset, settings.Clips),
        ["curves"] = (report, settings) =>
            CostCurves.Run(report, settings.Folder("curves"), Path.ChangeExtension(settings.Output, ".png"), settings.Rounds),
    };

    /// <summary>Far larger than any cache.</summary>
    private const long MemoryProbeBytes = 1L << 30;

    public static int Run(ReadOnlySpan<string> arguments)
    {
        var settings = new Settings();
        List<string> names = [];
        for (int i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--rounds" when i + 1 < arguments.Length:
                    settings = settings with { Rounds = int.Parse(arguments[++i], CultureInfo.InvariantCulture) };
                    break;
                case "--dataset" when i + 1 < arguments.Length:
                    settings = settings with { Dataset = Path.GetFullPath(arguments[++i]) };
                    break;
                case "--clips" when i + 1 < arguments.Length:
                    settings = settings with { Clips = int.Parse(arguments[++i], CultureInfo.InvariantCulture) };
                    break;
                case "--output" when i + 1 < arguments.Length:
                    settings = settings with { Output = Path.GetFullPath(arguments[++i]) };
                    break;
                default:
                    names.Add(arguments[i]);
                    break;
            }
        }

        if (names.FirstOrDefault(name => !Sections.ContainsKey(name)) is { } unknown)
        {
            Console.Error.WriteLine(
                $"bench compare: there is no section or option '{unknown}'; the sections are {string.Join(", ", Sections.Keys)}, the " +
                    $"options --rounds N, --dataset DIR, --clips N, --output FILE.");
            return 2;
        }

        var report = new Report();
        Header(report);
        foreach ((string name, Action<Report, Settings> section) in Sections)
        {
            if (names.Count == 0 || names.Contains(name))
            {
                section(report, settings);
                report.Save(settings.Output);
            }
        }

        Console.WriteLine($"written: {settings.Output}");
        return 0;
    }

    private static void Header(Report report)
    {
        using var team = new ThreadTeam(Environment.ProcessorCount);
        (double peak, double medianPeak) = FmaPeak.Measure(team);
        double read = BandwidthProbe.Measure(team, MemoryProbeBytes).Read;
        report.Paragraph("# CudaTrainer against its peers");
        report.Paragraph(
            $"Made by `make bench` on {DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}: {Machine()}, " +
                $"{Environment.ProcessorCount} cores, SIMD level {SimdSelection.Current}, .NET {Environment.Version}. "
            + $"Together the cores reached {peak:F0} GFLOP/s of single-precision multiply-adds (median {medianPeak:F0}) and read memory at {read:F1} GB/s. Contestants run in turn in each round; "
            + "peers have as many threads as we. Every result is compared before it is timed.");
    }

    /// <summary>The processor's name.</summary>
    public static string Machine() => File.ReadLines("/proc/cpuinfo")
        .FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown processor";

    internal sealed record Settings
    {
        /// <summary>Interleaved rounds.</summary>
        public int Rounds { get; init; } = 7;

        /// <summary>Folder of videos for the pipeline; clips that we make ourselves without.</summary>
        public string? Dataset { get; init; }

        /// <summary>Clips of the pipeline.</summary>
        public int Clips { get; init; } = 24;

        public string Output { get; init; } = Path.Combine(Repository.Root, "bench", "results", "comparison.md");

        /// <summary>Where a section puts its inputs; kept for the next run.</summary>
        public string Folder(string section) => Path.Combine(Repository.Root, "artifacts", "peers", "work", section);
    }
}
