using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Sums over the rows of a matrix: the gradient of a bias.</summary>
/// <remarks>
/// <para>Cost: x read once, 1 FLOP an element: bound by memory or, for the sizes of a classifier (1280×512 halves, 1.3 MB in the L2 cache),
/// by latency: ten rows a thread.</para>
/// <para>Access: <see cref="ColumnBlock"/>.</para>
/// <para>Order: <see cref="ColumnBlock"/>: fixed by the shape; no atomics, every column belongs to one block.</para>
/// </remarks>
internal sealed class ColumnSums(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

    /// <summary>sums[j] += Σ over rows of x[i, j].</summary>
    /// <param name="x">[rows, columns] of <paramref name="type"/>.</param>
    /// <param name="sums">[columns], float, added to.</param>
    /// <param name="type">Type of x.</param>
    public void Run(CudaStream stream, long rows, int columns, nint x, nint sums, CudaType type)
    {
        if (rows == 0 || columns == 0)
        {
            return;
        }

        _kernel[type].Launch(stream, ColumnBlock.Owning(columns), new Arguments
        {
            X = new(x, rows * columns),
            Sums = new(sums, columns),
            Rows = rows,
            Columns = columns,
            Aligned = ColumnBlock.Aligned(columns, type, x),
            SumsAligned = LaunchSize.Aligned(sums),
        });
    }

    [GpuKernel(ColumnBlock.Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> parts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Columns);
        var values = RowValues<TElement, TGroup>.Of(a.X);
        TGroup sums = ColumnBlock<TGroup>.SumRows<RowValues<TElement, TGroup>, TGroup, TGroup>(block, a.Rows, a.Aligned, values);
        sums = ColumnBlock<TGroup>.Sum(block, sums, parts);
        if (block.Row == 0)
        {
            block.WriteFloats(a.Sums, a.SumsAligned, block.ReadFloats(a.Sums, a.SumsAligned) + sums);
        }
    }

    private struct Arguments
    {
        public GpuArray X;
        public GpuArray<float> Sums;
        public long Rows;
        public int Columns;
        public int Aligned;
        public int SumsAligned;
    }
}
