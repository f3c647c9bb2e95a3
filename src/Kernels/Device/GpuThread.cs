using ILGPU;

namespace CudaTrainer.Kernels.Device;

/// <summary>Where a thread stands in its launch, for code inside kernels.</summary>
internal static class GpuThread
{
    /// <summary>Threads of a warp, on every GPU so far.</summary>
    public const int WarpSize = 32;

    /// <summary>The thread's number in its block.</summary>
    public static int Index => Group.IdxX;

    /// <summary>The thread's place in its warp, in a block of one dimension.</summary>
    public static int Lane => Group.IdxX & (WarpSize - 1);

    /// <summary>The number of the thread's warp, in a block of one dimension.</summary>
    public static int Warp => Group.IdxX / WarpSize;

    public static int Block => Grid.IdxX;

    /// <summary>The block's number in the second dimension of the grid.</summary>
    public static int BlockY => Grid.IdxY;

    public static int Blocks => Grid.DimX;

    public static int BlocksY => Grid.DimY;

    /// <summary>The first item of the thread in a loop in which all threads of a one-dimensional launch stride through items.</summary>
    public static long FirstItem => ((long)Grid.IdxX * Group.DimX) + Group.IdxX;

    /// <summary>How far apart the thread's items are.</summary>
    public static long ItemStride => (long)Grid.DimX * Group.DimX;

    /// <summary>Waits for all threads of the block; what they wrote to memory is there afterwards.</summary>
    public static void Barrier() => Group.Barrier();
}
