using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>What follows a matrix product: a bias for every row, and a ReLU where asked, in place.</summary>
/// <remarks>
/// <para>Cost: x read and written once, 2 FLOPs an element: bound by memory (the bias stays in the cache).</para>
/// <para>Access: 16 bytes a thread where rows begin on 16 bytes, else element by element.</para>
/// <para>Order: every element is computed by one thread from one element: no reduction.</para>
/// </remarks>
internal sealed unsafe class BiasRelu(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

    /// <param name="x">[rows, columns] of <paramref name="type"/>, updated.</param>
    /// <param name="bias">[columns], float.</param>
    /// <param name="relu">Whether to clamp at 0 afterwards; NaN stays NaN.</param>
    /// <param name="type">Type of x.</param>
    public void Run(CudaStream stream, long rows, int columns, nint x, nint bias, bool relu, CudaType type)
    {
        if (rows * columns == 0)
        {
            return;
        }

        long groups = rows * LaunchSize.DivideUp(columns, LaunchSize.Lanes(type));
        _kernel[type].Launch(stream, LaunchSize.Strided(groups), new Arguments
        {
            X = new(x, rows * columns),
            Bias = new(bias, columns),
            Rows = rows,
            Columns = columns,
            Relu = relu ? 1 : 0,
            Aligned = columns % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x, bias) : 0,
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Columns + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            int column = (int)(index - (row * groups)) * TGroup.Lanes, available = a.Columns - column;
            long place = (row * a.Columns) + column;
            TGroup values = TElement.ReadGroup(a.X.Start, place, available, a.Aligned);
            values += TGroup.ReadFloats(a.Bias.Start + column, available, a.Aligned);
            TElement.WriteGroup(a.X.Start, place, available, a.Aligned, a.Relu != 0 ? TGroup.Relu(values) : values);
        }
    }

    private struct Arguments
    {
        public GpuArray X;
        public GpuArray<float> Bias;
        public long Rows;
        public int Columns;
        public int Relu;
        public int Aligned;
    }
}
