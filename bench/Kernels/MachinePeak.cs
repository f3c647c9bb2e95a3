using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Bench.Kernels;

/// <summary>What a team of threads can do at most on this machine at the SIMD level in force, measured.</summary>
/// <param name="GigaFlops">Multiply-adds on registers, two operations each.</param>
/// <param name="Memory">Nearest first.</param>
internal sealed record MachinePeak(double GigaFlops, IReadOnlyList<MemoryLevel> Memory)
{
    public static MachinePeak Measure(int threads)
    {
        using var team = new ThreadTeam(threads);
        long own = CacheSize(2, 1 << 20) * threads, shared = Math.Max(CacheSize(3, 32 << 20), 2 * own);
        double flops = FmaPeak.Measure(team).Best;
        return new(flops, [Level("L2", own / 2), Level("L3", shared / 2), Level("memory", Math.Max(4 * shared, 256 << 20))]);

        MemoryLevel Level(string name, long bytes)
        {
            (double read, double update) = BandwidthProbe.Measure(team, bytes);
            return new MemoryLevel(name, bytes, read, update);
        }
    }

    /// <summary>The better of each figure: what one probe or the other reached, the machine can do.</summary>
    public MachinePeak Or(MachinePeak other) => new(
        Math.Max(GigaFlops, other.GigaFlops),
        [.. Memory.Zip(other.Memory,
            (a, b) => a with { ReadRate = Math.Max(a.ReadRate, b.ReadRate), UpdateRate = Math.Max(a.UpdateRate, b.UpdateRate) })]);

    /// <summary>The roofline of a kernel: what it waits for if all else is perfect, and the seconds it then takes.</summary>
    public (string Resource, double Seconds) Bound(Work work)
    {
        double arithmetic = work.Executed / GigaFlops / 1e9;
        MemoryLevel level = Memory.FirstOrDefault(level => work.Bytes <= level.Capacity) ?? Memory[^1];
        double traffic = work.Bytes / level.Rate(work) / 1e9;
        return arithmetic >= traffic ? ("FMA", arithmetic) : (level.Name, traffic);
    }

    public override string ToString() =>
        $"FMA {GigaFlops:F0} GFLOP/s; GB/s read / update: {string.Join(", ", Memory.Select(level => $"{level.Name} {level.ReadRate:F0} / {level.UpdateRate:F0}"))}";

    /// <summary>As Linux reports it for the first core.</summary>
    private static long CacheSize(int level, long otherwise)
    {
        string file = $"/sys/devices/system/cpu/cpu0/cache/index{level}/size";
        return File.Exists(file) && long.TryParse(File.ReadAllText(file).Trim().TrimEnd('K'), out long kilobytes)
            ? kilobytes << 10
            : otherwise;
    }
}

/// <summary>A cache, or main memory.</summary>
/// <param name="Capacity">Bytes that were probed, half of a cache: with so many, a kernel that runs again and again finds its data
/// there.</param>
/// <param name="ReadRate">GB/s of reading.</param>
/// <param name="UpdateRate">GB/s of reading and writing two to one.</param>
internal sealed record MemoryLevel(string Name, double Capacity, double ReadRate, double UpdateRate)
{
    /// <summary>The rate that a kernel's mixture of reads and writes comes closer to.</summary>
    public double Rate(Work work) => work.Written > work.Bytes / 6 ? UpdateRate : ReadRate;
}
