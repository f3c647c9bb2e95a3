namespace CudaTrainer.Bench.Gpu;

/// <summary>What one multiprocessor of an architecture has, from the table "Technical Specifications per Compute Capability" of the CUDA
/// C++ Programming Guide.</summary>
/// <param name="Architecture">Ten times the compute capability.</param>
/// <param name="Threads">Threads at a time.</param>
/// <param name="Blocks">Blocks at a time.</param>
/// <param name="SharedBytes">Shared memory of all blocks.</param>
/// <param name="ReservedBytes">Of it, what the system takes for each block.</param>
internal sealed record Multiprocessor(int Architecture, int Threads, int Blocks, int SharedBytes, int ReservedBytes)
{
    private const int Registers = 65_536, RegisterUnit = 256, SharedUnit = 128, Warp = 32, WarpUnit = 4;

    /// <summary>V100, T4, A100, RTX 30, RTX 40 and Ada workstation cards, H100.</summary>
    public static IReadOnlyList<Multiprocessor> All { get; } =
    [
        new(70, 2048, 32, 96 << 10, 0),
        new(75, 1024, 16, 64 << 10, 0),
        new(80, 2048, 32, 164 << 10, 1024),
        new(86, 1536, 16, 100 << 10, 1024),
        new(89, 1536, 24, 100 << 10, 1024),
        new(90, 2048, 32, 228 << 10, 1024),
    ];

    /// <summary>Blocks of a kernel that a multiprocessor runs at a time, by its registers, its shared memory and its threads; registers
    /// are given to warps in units of 256.</summary>
    public int BlocksAtATime(int threads, int registers, int sharedBytes)
    {
        int warps = (threads + Warp - 1) / Warp;
        int warpRegisters = RoundUp(Math.Max(registers, 1) * Warp, RegisterUnit);
        int byRegisters = Registers / warpRegisters / WarpUnit * WarpUnit / RoundUp(warps, WarpUnit);
        int shared = RoundUp(sharedBytes + ReservedBytes, SharedUnit);
        int byShared = shared == 0 ? Blocks : SharedBytes / shared;
        return Math.Min(Math.Min(byRegisters, byShared), Math.Min(Blocks, Threads / (warps * Warp)));
    }

    /// <summary>The share of a multiprocessor's threads that a kernel keeps, at most 1.</summary>
    public double Occupancy(int threads, int registers, int sharedBytes) =>
        (double)BlocksAtATime(threads, registers, sharedBytes) * RoundUp(threads, Warp) / Threads;

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
