using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Launches of the kernels that divide a matrix by <c>columns.cuh</c>; the numbers are those of <c>ColumnBlock</c> there.</summary>
internal static class ColumnBlocks
{
    public const int Threads = 256;

    private const int Columns = 16;

    /// <summary>A block for all rows of its columns, from the first sum to the last store: no result depends on the number of blocks.</summary>
    public static Grid Owning(int columns) => new((int)LaunchSize.DivideUp(columns, Columns));

    /// <summary>For kernels that need not see all rows of a column: more blocks, among which <c>gridDim.y</c> divides the rows.</summary>
    /// <param name="rowsPerThread">Rows that a thread has at least before there is another block.</param>
    public static Grid Spread(int rows, int columns, CudaType type, int rowsPerThread)
    {
        Grid grid = Owning(columns);
        int rowsTogether = Threads / (Columns / LaunchSize.Lanes(type)) * rowsPerThread;
        return grid with { Y = (int)Math.Clamp(LaunchSize.DivideUp(rows, rowsTogether), 1, Math.Max(1, LaunchSize.MaxBlocks / grid.X)) };
    }

    /// <summary>1 when every group of lanes in rows of these matrices begins on 16 bytes, else 0.</summary>
    public static int Aligned(int columns, CudaType type, nint a, nint b = 0, nint c = 0) => columns % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(a, b, c) : 0;
}
