using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Mathematics;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using CudaTrainer.Bench.Compare;

namespace CudaTrainer.Bench.Kernels;

/// <summary>A column computed from a kernel's work and times.</summary>
/// <param name="name">Heading.</param>
/// <param name="legend">What it says.</param>
/// <param name="value">From the kernel, the threads and the times in nanoseconds.</param>
internal sealed class KernelColumn(string name, string legend, Func<KernelCase, int, Statistics, string> value) : IColumn
{
    public string Id => name;

    public string ColumnName => name;

    public string Legend => legend;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    /// <param name="peaks">By number of threads.</param>
    public static IColumn[] All(IReadOnlyDictionary<int, MachinePeak> peaks) =>
    [
        new KernelColumn("ms median", "Milliseconds of a run, median of the iterations",
            (_, _, times) => Report.Number(times.Median / 1e6)),
        new KernelColumn("ms best", "Milliseconds of a run, the best iteration; the columns behind are from it",
            (_, _, times) => Report.Number(times.Min / 1e6)),
        new KernelColumn("GFLOP/s", "Operations of the definition, also where the algorithm needs fewer",
            (kernel, _, times) => Rate(kernel.Work.Operations, times)),
        new KernelColumn("GB/s", "Each input byte once and each output byte once", (kernel, _, times) => Rate(kernel.Work.Bytes, times)),
        new KernelColumn("bound by", "What limits a perfect kernel: multiply-adds or a level of memory",
            (kernel, threads, _) => peaks[threads].Bound(kernel.Work).Resource),
        new KernelColumn("% of peak", "Speed of it, by operations really done (Winograd: a quarter), of the measured peak",
            (kernel, threads, times) =>
            $"{100 * peaks[threads].Bound(kernel.Work).Seconds / (times.Min / 1e9):F0}"),
    ];

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        summary[benchmarkCase]?.ResultStatistics is { } times
            ? value((KernelCase)benchmarkCase.Parameters[nameof(KernelBenchmarks.Kernel)],
                (int)benchmarkCase.Parameters[nameof(KernelBenchmarks.Threads)], times)
            : "–";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    /// <summary>10⁹ a second, which is one a nanosecond.</summary>
    private static string Rate(double amount, Statistics times) => amount == 0 ? "–" : Report.Number(amount / times.Min);
}
