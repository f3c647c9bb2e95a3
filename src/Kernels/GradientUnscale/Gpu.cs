using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>The gradients of all parameters at the end of a step: unscaled, checked, and their norms taken.</summary>
/// <remarks>
/// <para>Cost: gradients read and, unless the scale is 1, written once: 4 or 8 bytes and 3 FLOPs a gradient, bound by memory. 2.5 M
/// parameters: 20 MB. Squares are summed in double, so that no finite gradient overflows and no small one is lost: 1.25 double FLOPs a
/// gradient stay behind the memory even at 1/64 of the float rate.</para>
/// <para>Access: a block has 2048 gradients, a thread two 16-byte groups; where the array is not aligned, element by element.</para>
/// <para>Order: stretches of 2048 gradients, cut where a parameter ends, are fixed by the sizes; within one butterflies and warps in order,
/// then stretches, then parameters in order. A sum of squares is finite exactly if every gradient in it is.</para>
/// </remarks>
internal sealed unsafe class GradientUnscale(KernelLibrary library)
{
    /// <summary>Gradients that a block of the first pass sums; parts begin anew with each chunk and each parameter.</summary>
    private const int ChunkLength = 2048;

    private const int Threads = 256;
    private const int Warps = Threads / GpuThread.WarpSize;
    private const int FinishThreads = 512;
    private const int FinishWarps = FinishThreads / GpuThread.WarpSize;

    private readonly GpuKernel<UnscaleArguments> _unscale = new(library, Unscale);
    private readonly GpuKernel<FinishArguments> _finish = new(library, Finish);

    /// <summary>Bytes of the workspace of <see cref="Run"/>: one double for each part.</summary>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all gradients n.</param>
    public static long WorkspaceBytes(int parameters, long count) =>
        sizeof(double) * (LaunchSize.DivideUp(count, ChunkLength) + parameters);

    /// <summary>
    /// Divides the gradients by <see cref="StepState.LossScale"/> in place and looks at them once. Writes the norm of each parameter's
    /// gradient, and of all as <see cref="StepState.GradientNorm"/>; <see cref="StepState.FoundNonFinite"/> becomes 1 when a gradient is
    /// infinite or NaN or the norm exceeds the range of float, else 0.
    /// </summary>
    /// <param name="parameters">Parameters P.</param>
    /// <param name="count">Elements of all gradients n; equals the last of <paramref name="segments"/>.</param>
    /// <param name="gradients">[n], float, updated.</param>
    /// <param name="segments">Where each parameter begins, and n: [P + 1] Int64, not decreasing from 0.</param>
    /// <param name="norms">Output: [P], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    public void Run(CudaStream stream, int parameters, long count, nint gradients, nint segments, nint norms, nint state, nint workspace)
    {
        long parts = LaunchSize.DivideUp(count, ChunkLength) + parameters;
        if (count != 0)
        {
            _unscale.Launch(stream, new Interop.Grid(checked((int)LaunchSize.DivideUp(count, ChunkLength))), new UnscaleArguments
            {
                Gradients = new(gradients, count),
                Segments = new(segments, parameters + 1),
                State = new(state, 1),
                Parts = new(workspace, parts),
                Count = count,
                Parameters = parameters,
                Aligned = LaunchSize.Aligned(gradients),
            });
        }

        _finish.Launch(stream, new Interop.Grid(1), new FinishArguments
        {
            Segments = new(segments, parameters + 1),
            Parts = new(workspace, parts),
            Norms = new(norms, parameters),
            State = new(state, 1),
            Parameters = parameters,
        });
    }

    /// <summary>g ← g/LossScale in place, and a sum of squares for each stretch.</summary>
    [GpuKernel(Threads)]
    private static void Unscale(UnscaleArguments a)
    {
        ArrayView<double> warpParts = SharedMemory.Allocate<double>(Warps);
        long begin = (long)GpuThread.Block * ChunkLength, end = begin + ChunkLength < a.Count ? begin + ChunkLength : a.Count;
        long first = begin + (GpuThread.Index * Four.Lanes), second = first + (ChunkLength / 2);
        float scale = a.State.Start->LossScale;
        Four low = Four.ReadFloats(a.Gradients.Start + first, a.Count - first, a.Aligned);
        Four high = Four.ReadFloats(a.Gradients.Start + second, a.Count - second, a.Aligned);
        if (scale != 1)
        {
            Four factor = Four.Splat(1 / scale);
            low *= factor;
            high *= factor;
            Four.WriteFloats(a.Gradients.Start + first, a.Count - first, a.Aligned, low);
            Four.WriteFloats(a.Gradients.Start + second, a.Count - second, a.Aligned, high);
        }

        // Empty parameters before the first that has gradients here have nothing.
        int parameter = Segments.Find(a.Segments.Start, a.Parameters, begin);
        for (; parameter < a.Parameters && a.Segments.Start[parameter] < end; parameter++)
        {
            long from = a.Segments.Start[parameter], to = a.Segments.Start[parameter + 1];
            if (to <= from || to <= begin)
            {
                continue;
            }

            double sum = Reduce.BlockSum(SquaresWithin(low, first, from, to) + SquaresWithin(high, second, from, to), warpParts, Warps);
            if (GpuThread.Index == 0)
            {
                // Going on to the next stretch or the next parameter raises the sum of both numbers, so that no two parts share a place.
                a.Parts.Start[GpuThread.Block + parameter] = sum;
            }

            GpuThread.Barrier();
        }
    }

    /// <summary>The norm of each parameter's gradient, and of all; whether every gradient is finite.</summary>
    [GpuKernel(FinishThreads)]
    private static void Finish(FinishArguments a)
    {
        ArrayView<double> totals = SharedMemory.Allocate<double>(FinishWarps);
        double total = 0;
        for (int parameter = GpuThread.Warp; parameter < a.Parameters; parameter += FinishWarps)
        {
            long begin = a.Segments.Start[parameter], end = a.Segments.Start[parameter + 1];
            double sum = 0;
            if (begin < end)
            {
                long last = (end - 1) / ChunkLength;
                for (long chunk = (begin / ChunkLength) + GpuThread.Lane; chunk <= last; chunk += GpuThread.WarpSize)
                {
                    sum += a.Parts.Start[chunk + parameter];
                }
            }

            sum = Reduce.WarpSum(sum);
            total += sum;
            if (GpuThread.Lane == 0)
            {
                a.Norms.Start[parameter] = (float)GpuMath.Sqrt(sum);
            }
        }

        if (GpuThread.Lane == 0)
        {
            totals[GpuThread.Warp] = total;
        }

        GpuThread.Barrier();
        if (GpuThread.Index == 0)
        {
            for (int i = 1; i < FinishWarps; i++)
            {
                total += totals[i];
            }

            float norm = (float)GpuMath.Sqrt(total);
            a.State.Start->GradientNorm = norm;

            // ∞ and NaN are not below ∞.
            a.State.Start->FoundNonFinite = norm < float.PositiveInfinity ? 0 : 1;
        }
    }

    private static double SquaresWithin(Four values, long first, long from, long to) =>
        Square(values.A, first, from, to) + Square(values.B, first + 1, from, to) +
        Square(values.C, first + 2, from, to) + Square(values.D, first + 3, from, to);

    private static double Square(float value, long place, long from, long to)
    {
        double number = place >= from && place < to ? value : 0;
        return number * number;
    }

    private struct UnscaleArguments
    {
        public GpuArray<float> Gradients;
        public GpuArray<long> Segments;
        public GpuArray<StepState> State;
        public GpuArray<double> Parts;
        public long Count;
        public int Parameters;
        public int Aligned;
    }

    private struct FinishArguments
    {
        public GpuArray<long> Segments;
        public GpuArray<double> Parts;
        public GpuArray<float> Norms;
        public GpuArray<StepState> State;
        public int Parameters;
    }
}
