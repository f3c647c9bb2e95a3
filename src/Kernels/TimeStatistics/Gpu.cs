using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Mean, deviation and mean step of each feature over time, by the formulas of docs/kernels-layers.md.</summary>
/// <remarks>
/// <para>Cost: forward reads x twice (the second time from the L2 cache, where the batch fits there) and does 8·B·T·D FLOPs; backward
/// reads it once, writes dx and does 9·B·T·D. From DRAM once each: 10 MB an array for 64×20×4096 halves. Bound by memory.</para>
/// <para>Access: a thread for each group of 16 bytes of features of a clip, which it follows through time; neighbours have neighbouring
/// groups.</para>
/// <para>Order: each sum is one thread's, in the order of the frames; no atomics.</para>
/// </remarks>
internal sealed unsafe class TimeStatistics(KernelLibrary library)
{
    private readonly TypedKernel<Arguments> _forward = new(library, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly TypedKernel<Arguments> _backward = new(library, Backward<Float32, Four>, Backward<Float16, Eight>);

    /// <param name="batch">Clips B.</param>
    /// <param name="time">Frames T, ≥ 1.</param>
    /// <param name="features">Features D.</param>
    /// <param name="x">[B, T, D] of <paramref name="type"/>.</param>
    /// <param name="y">Output: [B, 3·D], float: means, deviations, mean steps.</param>
    /// <param name="type">Type of x.</param>
    public void Forward(CudaStream stream, int batch, int time, int features, nint x, nint y, CudaType type) =>
        Launch(_forward, stream, batch, time, features, x, y, 0, 0, type);

    /// <param name="x">Forward input [B, T, D] of <paramref name="type"/>.</param>
    /// <param name="y">As written by the forward pass [B, 3·D], float.</param>
    /// <param name="dy">∂L/∂y [B, 3·D], float.</param>
    /// <param name="dx">Output: ∂L/∂x [B, T, D] of <paramref name="type"/>.</param>
    /// <param name="type">Type of x and dx.</param>
    /// <inheritdoc cref="Forward(CudaStream, int, int, int, nint, nint, CudaType)"/>
    public void Backward(CudaStream stream, int batch, int time, int features, nint x, nint y, nint dy, nint dx, CudaType type) =>
        Launch(_backward, stream, batch, time, features, x, y, dy, dx, type);

    private static void Launch(
        TypedKernel<Arguments> kernel, CudaStream stream, int batch, int time, int features, nint x, nint y, nint dy, nint dx,
        CudaType type)
    {
        if (batch == 0 || features == 0)
        {
            return;
        }

        long count = (long)batch * time * features, statistics = 3L * batch * features;
        kernel[type].Launch(stream, LaunchSize.Strided(batch * LaunchSize.DivideUp(features, LaunchSize.Lanes(type))), new Arguments
        {
            X = new(x, count),
            Y = new(y, statistics),
            Dy = new(dy, dy == 0 ? 0 : statistics),
            Dx = new(dx, dx == 0 ? 0 : count),
            Batch = batch,
            Time = time,
            Features = features,
            Aligned = features % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x | dx, y, dy) : 0,
        });
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Forward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Features + TGroup.Lanes - 1) / TGroup.Lanes, steps = a.Time > 1 ? a.Time - 1 : 1;
        for (long index = GpuThread.FirstItem; index < (long)a.Batch * groups; index += GpuThread.ItemStride)
        {
            long clip = GpuMath.Quotient(index, groups);
            int feature = (int)(index - (clip * groups)) * TGroup.Lanes, available = a.Features - feature;
            long start = (clip * a.Time * a.Features) + feature;

            // All is counted from the first frame until the end: what does not change has exactly no deviation then, and what hardly
            // changes loses no digits to its size.
            TGroup first = TElement.ReadGroup(a.X.Start, start, available, a.Aligned), before = first;
            TGroup rise = TGroup.Splat(0), change = TGroup.Splat(0), squares = TGroup.Splat(0);
            for (int t = 1; t < a.Time; t++)
            {
                TGroup value = TElement.ReadGroup(a.X.Start, start + ((long)t * a.Features), available, a.Aligned);
                rise += value - first;
                change += TGroup.Abs(value - before);
                before = value;
            }

            rise = rise / TGroup.Splat(a.Time);
            for (int t = 0; t < a.Time; t++)
            {
                TGroup off = TElement.ReadGroup(a.X.Start, start + ((long)t * a.Features), available, a.Aligned) - first - rise;
                squares = TGroup.Fma(off, off, squares);
            }

            float* to = a.Y.Start + (clip * 3 * a.Features) + feature;
            TGroup.WriteFloats(to, available, a.Aligned, first + rise);
            TGroup.WriteFloats(to + a.Features, available, a.Aligned, TGroup.Sqrt(squares / TGroup.Splat(a.Time)));
            TGroup.WriteFloats(to + (2L * a.Features), available, a.Aligned, change / TGroup.Splat(steps));
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Backward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Features + TGroup.Lanes - 1) / TGroup.Lanes, steps = a.Time > 1 ? a.Time - 1 : 1;
        for (long index = GpuThread.FirstItem; index < (long)a.Batch * groups; index += GpuThread.ItemStride)
        {
            long clip = GpuMath.Quotient(index, groups);
            int feature = (int)(index - (clip * groups)) * TGroup.Lanes, available = a.Features - feature;
            long start = (clip * a.Time * a.Features) + feature, place = (clip * 3 * a.Features) + feature;
            float* y = a.Y.Start + place, dy = a.Dy.Start + place;
            TGroup mean = TGroup.ReadFloats(y, available, a.Aligned), deviation = TGroup.ReadFloats(y + a.Features, available, a.Aligned);
            TGroup ofMean = TGroup.ReadFloats(dy, available, a.Aligned) / TGroup.Splat(a.Time);
            TGroup ofDeviation = TGroup.WherePositive(
                deviation, TGroup.ReadFloats(dy + a.Features, available, a.Aligned) / (TGroup.Splat(a.Time) * deviation));
            TGroup ofStep = TGroup.ReadFloats(dy + (2L * a.Features), available, a.Aligned) / TGroup.Splat(steps);

            TGroup value = TElement.ReadGroup(a.X.Start, start, available, a.Aligned), signBefore = TGroup.Splat(0);
            for (int t = 0; t < a.Time; t++)
            {
                // Behind the last frame nothing changes any more.
                TGroup next = t + 1 < a.Time
                    ? TElement.ReadGroup(a.X.Start, start + ((long)(t + 1) * a.Features), available, a.Aligned)
                    : value;
                TGroup sign = Sign(next - value), gradient = TGroup.Fma(ofDeviation, value - mean, ofMean);
                gradient = TGroup.Fma(ofStep, signBefore - sign, gradient);
                TElement.WriteGroup(a.Dx.Start, start + ((long)t * a.Features), available, a.Aligned, gradient);
                value = next;
                signBefore = sign;
            }
        }
    }

    /// <summary>−1, 0 or 1.</summary>
    private static TGroup Sign<TGroup>(TGroup values)
        where TGroup : unmanaged, IGroup<TGroup> =>
        TGroup.WherePositive(values, TGroup.Splat(1)) - TGroup.WherePositive(TGroup.Splat(0) - values, TGroup.Splat(1));

    private struct Arguments
    {
        public GpuArray X;
        public GpuArray<float> Y;
        public GpuArray<float> Dy;
        public GpuArray Dx;
        public int Batch;
        public int Time;
        public int Features;
        public int Aligned;
    }
}
