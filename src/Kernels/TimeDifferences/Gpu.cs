using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// Features of each frame with the difference to the frame before beside them, by the formulas of docs/kernels-layers.md.
/// </summary>
/// <remarks>
/// <para>Cost: forward reads x twice (the second time from the L2 cache) and writes twice its size; backward reads 3·B·T·D and writes a
/// third of that; a FLOP or two an element. 10 MB to read and 21 MB to write for 64×20×4096 halves. Bound by memory.</para>
/// <para>Access: a thread for each group of 16 bytes of features of a frame; neighbours have neighbouring groups.</para>
/// <para>Order: every element is one thread's; no sums over threads and no atomics.</para>
/// </remarks>
internal sealed unsafe class TimeDifferences(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _forward = new(library, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly TypedKernel<Arguments> _backward = new(library, Backward<Float32, Four>, Backward<Float16, Eight>);

    /// <param name="batch">Clips B.</param>
    /// <param name="time">Frames T.</param>
    /// <param name="features">Features D.</param>
    /// <param name="x">[B, T, D] of <paramref name="type"/>.</param>
    /// <param name="y">Output: [B, T, 2·D] of <paramref name="type"/>: features, then differences.</param>
    /// <param name="type">Type of both.</param>
    public void Forward(CudaStream stream, int batch, int time, int features, nint x, nint y, CudaType type) =>
        Launch(_forward, stream, batch, time, features, x, y, type);

    /// <param name="dy">∂L/∂y [B, T, 2·D] of <paramref name="type"/>.</param>
    /// <param name="dx">Output: ∂L/∂x [B, T, D] of <paramref name="type"/>.</param>
    /// <inheritdoc cref="Forward(CudaStream, int, int, int, nint, nint, CudaType)"/>
    public void Backward(CudaStream stream, int batch, int time, int features, nint dy, nint dx, CudaType type) =>
        Launch(_backward, stream, batch, time, features, dx, dy, type);

    private static void Launch(
        TypedKernel<Arguments> kernel, CudaStream stream, int batch, int time, int features, nint narrow, nint wide, CudaType type)
    {
        long rows = (long)batch * time, count = rows * features;
        if (count == 0)
        {
            return;
        }

        kernel[type].Launch(stream, LaunchSize.Strided(rows * LaunchSize.DivideUp(features, LaunchSize.Lanes(type))), new Arguments
        {
            Narrow = new(narrow, count),
            Wide = new(wide, 2 * count),
            Rows = rows,
            Time = time,
            Features = features,
            Aligned = features % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(narrow, wide) : 0,
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Forward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Features + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            int feature = (int)(index - (row * groups)) * TGroup.Lanes, available = a.Features - feature;
            long from = (row * a.Features) + feature, to = (row * 2 * a.Features) + feature;
            TGroup now = TElement.ReadGroup(a.Narrow.Start, from, available, a.Aligned), difference = TGroup.Splat(0);
            if (row - (GpuMath.Quotient(row, a.Time) * a.Time) > 0)
            {
                difference = now - TElement.ReadGroup(a.Narrow.Start, from - a.Features, available, a.Aligned);
            }

            TElement.WriteGroup(a.Wide.Start, to, available, a.Aligned, now);
            TElement.WriteGroup(a.Wide.Start, to + a.Features, available, a.Aligned, difference);
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Backward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Features + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups), t = row - (GpuMath.Quotient(row, a.Time) * a.Time);
            int feature = (int)(index - (row * groups)) * TGroup.Lanes, available = a.Features - feature;
            long from = (row * 2 * a.Features) + feature;
            TGroup gradient = TElement.ReadGroup(a.Wide.Start, from, available, a.Aligned);
            if (t > 0)
            {
                gradient += TElement.ReadGroup(a.Wide.Start, from + a.Features, available, a.Aligned);
            }

            if (t + 1 < a.Time)
            {
                gradient -= TElement.ReadGroup(a.Wide.Start, from + (3L * a.Features), available, a.Aligned);
            }

            TElement.WriteGroup(a.Narrow.Start, (row * a.Features) + feature, available, a.Aligned, gradient);
        }
    }

    private struct Arguments
    {
        /// <summary>x or its gradient, [B, T, D].</summary>
        public GpuArray Narrow;

        /// <summary>y or its gradient, [B, T, 2·D].</summary>
        public GpuArray Wide;
        public long Rows;
        public int Time;
        public int Features;
        public int Aligned;
    }
}
