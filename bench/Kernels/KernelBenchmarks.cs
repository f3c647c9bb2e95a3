using BenchmarkDotNet.Attributes;

namespace CudaTrainer.Bench.Kernels;

/// <summary>Every kernel of the catalog by one thread and by all; each is checked before it is timed.</summary>
public class KernelBenchmarks
{
    private PreparedKernel? _prepared;

    public static IEnumerable<KernelCase> Kernels => KernelCatalog.Matching(Filter);

    public static IEnumerable<int> ThreadCounts { get; } = [.. new[] { 1, Environment.ProcessorCount }.Distinct()];

    [ParamsSource(nameof(Kernels))]
    public KernelCase? Kernel { get; set; }

    [ParamsSource(nameof(ThreadCounts))]
    public int Threads { get; set; }

    /// <summary>Part of the names of the kernels to run.</summary>
    internal static string Filter { get; set; } = string.Empty;

    /// <summary>The kernel that ended the run early, and why.</summary>
    internal static (string Where, Exception Exception)? Failure { get; private set; }

    [GlobalSetup]
    public void Setup()
    {
        try
        {
            _prepared = Kernel!.Prepare(Threads);
            _prepared.Check();
        }
        catch (Exception exception)
        {
            // BenchmarkDotNet only logs it.
            Failure = ($"{Kernel}, threads: {Threads}", exception);
            throw;
        }
    }

    [GlobalCleanup]
    public void Cleanup() => _prepared?.Dispose();

    [Benchmark]
    public void Run() => _prepared!.Run();
}
