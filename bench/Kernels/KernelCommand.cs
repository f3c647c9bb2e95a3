using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Engines;
using BenchmarkDotNet.EventProcessors;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using CudaTrainer.Bench.Compare;
using CudaTrainer.Kernels.Cpu.Simd;
using Perfolizer.Horology;
using Perfolizer.Mathematics.OutlierDetection;

namespace CudaTrainer.Bench.Kernels;

/// <summary><c>bench kernels</c>: the machine's peaks, then every kernel's time against them.</summary>
internal static class KernelCommand
{
    /// <param name="filter">Part of the names of the kernels to run; empty = all.</param>
    /// <returns>The exit code.</returns>
    public static int Run(string filter)
    {
        int cases = KernelCatalog.Matching(filter).Count() * KernelBenchmarks.ThreadCounts.Count();
        if (cases == 0)
        {
            Console.Error.WriteLine(
                $"bench kernels: no kernel has '{filter}' in its name; the kernels are\n  " +
                    $"{string.Join("\n  ", KernelCatalog.Matching(string.Empty))}");
            return 2;
        }

        KernelBenchmarks.Filter = filter;
        Dictionary<int, MachinePeak> peaks = KernelBenchmarks.ThreadCounts.ToDictionary(threads => threads, MachinePeak.Measure);
        var log = new AccumulationLogger();
        Summary summary = BenchmarkRunner.Run<KernelBenchmarks>(Configuration(peaks, cases, log));
        if (KernelBenchmarks.Failure is var (where, exception))
        {
            Console.Error.WriteLine($"bench kernels: {where}: {(exception is WrongResultException ? exception.Message : exception)}");
            return 1;
        }

        if (summary.Reports.Length < cases || summary.Reports.Any(report => !report.Success))
        {
            Console.Error.WriteLine($"{log.GetLog()}\nbench kernels: BenchmarkDotNet failed; its log is above.");
            return 1;
        }

        Console.WriteLine($"SIMD level {SimdSelection.Current.ToString().ToLowerInvariant()}; measured peaks:");
        foreach ((int threads, MachinePeak peak) in peaks)
        {
            Console.WriteLine($"  {threads} {(threads == 1 ? "thread" : "threads")}: {peak}");
        }

        MarkdownExporter.Console.ExportToLog(summary, ConsoleLogger.Default);
        return 0;
    }

    private static ManualConfig Configuration(Dictionary<int, MachinePeak> peaks, int cases, ILogger log)
    {
        // Kernels without AggressiveOptimization run often enough in four warm-up iterations to be compiled a second time.
        Job job = Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithStrategy(RunStrategy.Throughput)
            .WithIterationTime(TimeInterval.FromMilliseconds(40))
            .WithMinInvokeCount(1)
            .WithUnrollFactor(1)
            .WithWarmupCount(4)
            .WithIterationCount(7)
            .WithEvaluateOverhead(false)
            .WithOutlierMode(OutlierMode.DontRemove)
            .WithGcForce(false);
        return ManualConfig.CreateEmpty()
            .AddJob(job)
            .AddLogger(log)
            .AddEventProcessor(new Progress(cases, peaks))
            .AddColumnProvider(DefaultColumnProviders.Params)
            .AddColumn(KernelColumn.All(peaks))
            .AddExporter(MarkdownExporter.GitHub)
            .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(64))
            .WithArtifactsPath(Path.Combine(Repository.Root, "artifacts", "benchmarks"))
            .WithOptions(ConfigOptions.StopOnFirstError | ConfigOptions.DisableLogFile);
    }

    /// <summary>
    /// Says what is being timed, and probes the peaks again behind the last: anything else that ran during the first probe would make all
    /// kernels look good.
    /// </summary>
    private sealed class Progress(int cases, Dictionary<int, MachinePeak> peaks) : EventProcessor
    {
        private int _started;

        public override void OnStartRunBenchmark(BenchmarkCase benchmarkCase)
        {
            (object kernel, object threads) = (benchmarkCase.Parameters[nameof(KernelBenchmarks.Kernel)],
                benchmarkCase.Parameters[nameof(KernelBenchmarks.Threads)]);
            Console.Error.WriteLine($"{++_started}/{cases} {kernel}, threads: {threads}");
        }

        public override void OnEndRunBenchmark(BenchmarkCase benchmarkCase, BenchmarkReport report)
        {
            if (_started == cases)
            {
                foreach ((int threads, MachinePeak peak) in peaks)
                {
                    peaks[threads] = peak.Or(MachinePeak.Measure(threads));
                }
            }
        }
    }
}
