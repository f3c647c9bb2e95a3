using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Sums over the rows of a matrix: the gradient of a bias.</summary>
public sealed class ColumnSums(KernelLibrary library)
{
    private readonly TypedKernel _kernel = new(library, "column_sums.cu", "column_sums");

    /// <summary>sums[j] += Σ over rows of x[i, j].</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="x">[rows, columns] of <paramref name="type"/>.</param>
    /// <param name="sums">[columns], float, added to.</param>
    /// <param name="type">Type of x.</param>
    public void Run(CudaStream stream, long rows, int columns, nint x, nint sums, CudaType type)
    {
        if (rows == 0 || columns == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(columns);
        arguments.Add(x);
        arguments.Add(sums);
        arguments.Add(ColumnBlocks.Aligned(columns, type, x));
        _kernel[type].Launch(stream, ColumnBlocks.Owning(columns), new Grid(ColumnBlocks.Threads), 0, arguments);
    }
}
