using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>y = dropout(relu(x)), either part optional, over any number of elements; backward dx = dy·factor where x &gt; 0, or everywhere
/// without a ReLU.</summary>
/// <remarks>
/// <para>Cost: forward reads and writes each element once, backward reads one array more; the mask is computed again instead of stored,
/// about 25 integer instructions an element. Bound by memory in float; in half the mask takes about as long as the memory.</para>
/// <para>Access: 16 bytes a thread where the arrays are aligned, else element by element; either way a thread has the neighbours that
/// share Philox blocks.</para>
/// <para>Order: every element is computed by one thread: no reduction. The mask depends on seed, step, layer and element alone.</para>
/// </remarks>
internal sealed unsafe class ActivationDropout(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _forward = new(library, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly TypedKernel<Arguments> _backward = new(library, Backward<Float32, Four>, Backward<Float16, Eight>);

    /// <param name="x">Input [count] of <paramref name="type"/>.</param>
    /// <param name="y">Output [count] of <paramref name="type"/>; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether to clamp at 0 first; NaN stays NaN.</param>
    /// <param name="dropout">The mask; element numbers are indices into <paramref name="x"/>.</param>
    /// <param name="type">Type of x and y.</param>
    public void Forward(CudaStream stream, long count, nint x, nint y, bool relu, in GpuDropout dropout, CudaType type)
    {
        if (count == 0)
        {
            return;
        }

        _forward[type].Launch(stream, LaunchSize.Groups(count, type), new Arguments
        {
            Dy = default,
            X = new(x, count),
            Out = new(y, count),
            Dropout = dropout,
            Count = count,
            Relu = relu ? 1 : 0,
            Aligned = LaunchSize.Aligned(x, y),
        });
    }

    /// <param name="dy">∂L/∂y [count] of <paramref name="type"/>.</param>
    /// <param name="x">The forward input or output [count] of <paramref name="type"/>: the ReLU passes gradient where it is &gt; 0. Not
    /// read without ReLU.</param>
    /// <param name="dx">Output: ∂L/∂x [count] of <paramref name="type"/>; may be <paramref name="dy"/>.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(CudaStream stream, long count, nint dy, nint x, nint dx, bool relu, in GpuDropout dropout, CudaType type)
    {
        if (count == 0)
        {
            return;
        }

        _backward[type].Launch(stream, LaunchSize.Groups(count, type), new Arguments
        {
            Dy = new(dy, count),
            X = relu ? new(x, count) : default,
            Out = new(dx, count),
            Dropout = dropout,
            Count = count,
            Relu = relu ? 1 : 0,
            Aligned = LaunchSize.Aligned(dy, relu ? x : 0, dx),
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Forward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        DropoutMask mask = DropoutMask.Of(a.Dropout);
        for (long first = GpuThread.FirstItem * TGroup.Lanes; first < a.Count; first += GpuThread.ItemStride * TGroup.Lanes)
        {
            TGroup values = TElement.ReadGroup(a.X.Start, first, a.Count - first, a.Aligned);
            if (a.Relu != 0)
            {
                values = TGroup.Relu(values);
            }

            TElement.WriteGroup(a.Out.Start, first, a.Count - first, a.Aligned, DropoutMask.Apply(mask, first, values));
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Backward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        DropoutMask mask = DropoutMask.Of(a.Dropout);
        for (long first = GpuThread.FirstItem * TGroup.Lanes; first < a.Count; first += GpuThread.ItemStride * TGroup.Lanes)
        {
            TGroup values = DropoutMask.Apply(mask, first, TElement.ReadGroup(a.Dy.Start, first, a.Count - first, a.Aligned));
            if (a.Relu != 0)
            {
                values = TGroup.WherePositive(TElement.ReadGroup(a.X.Start, first, a.Count - first, a.Aligned), values);
            }

            TElement.WriteGroup(a.Out.Start, first, a.Count - first, a.Aligned, values);
        }
    }

    private struct Arguments
    {
        public GpuArray Dy;
        public GpuArray X;
        public GpuArray Out;
        public GpuDropout Dropout;
        public long Count;
        public int Relu;
        public int Aligned;
    }
}
