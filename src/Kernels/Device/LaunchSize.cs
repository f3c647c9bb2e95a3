using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Device;

/// <summary>Sizes that launchers have in common. None depends on the GPU, so that no result does.</summary>
internal static class LaunchSize
{
    /// <summary>Threads of a block of an elementwise kernel.</summary>
    public const int Threads = 256;

    /// <summary>Shared memory that a kernel may use without asking.</summary>
    public const int SharedBytes = 48 * 1024;

    /// <summary>Several times the blocks that run at once on any GPU; what is beyond, the kernels' loops reach.</summary>
    public const int MaxBlocks = 4096;

    public static int BytesOf(CudaType type) => type == CudaType.Float32 ? sizeof(float) : sizeof(short);

    /// <summary>Elements of a 16-byte access.</summary>
    public static int Lanes(CudaType type) => 16 / BytesOf(type);

    /// <summary>Blocks for a kernel whose threads stride through <paramref name="items"/>.</summary>
    public static Grid Strided(long items, int itemsPerBlock = Threads) => new((int)Math.Min(DivideUp(items, itemsPerBlock), MaxBlocks));

    /// <summary>Blocks for a kernel whose threads stride through <paramref name="count"/> elements in groups of 16 bytes.</summary>
    public static Grid Groups(long count, CudaType type) => Strided(DivideUp(count, Lanes(type)));

    public static long DivideUp(long value, long divisor) => (value + divisor - 1) / divisor;

    /// <summary>1 when a kernel may use 16-byte accesses for everything that begins at one of these addresses, else 0.</summary>
    public static int Aligned(nint a, nint b = 0, nint c = 0) => ((a | b | c) & 15) == 0 ? 1 : 0;
}
