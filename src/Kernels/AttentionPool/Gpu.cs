using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Attention pooling over time, by the formulas of docs/kernels-layers.md.</summary>
/// <remarks>
/// <para>Cost: forward reads x twice (the second time from the L1 cache) and does 4·B·T·C FLOPs; backward reads it twice, writes dx and
/// does 8·B·T·C. From DRAM once each: 0.3 MB an array for 64×20×128 halves. Bound by memory for large batches, by latency for that
/// one.</para>
/// <para>Access: a block for each sequence, 8 warps. Scores: a warp has a step and its lanes 16-byte groups of channels. Sums over steps: a
/// lane has a group, a warp every eighth step, and the warps' sums meet in shared memory.</para>
/// <para>Order: butterflies, warps in order, then sequences in order by a second kernel over their parts of dw: fixed; no atomics.</para>
/// </remarks>
internal sealed unsafe class AttentionPool(KernelLibrary library)
{
    private const int Threads = 256;
    private const int Warps = Threads / GpuThread.WarpSize;

    /// <summary>Channels of a block of the weight's gradient; its threads share the sequences.</summary>
    private const int ChannelsTogether = 32;

    private readonly TypedKernel<ForwardArguments> _forward = new(library, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly TypedKernel<BackwardArguments> _backward = new(library, Backward<Float32, Four>, Backward<Float16, Eight>);
    private readonly GpuKernel<WeightGradientArguments> _weightGradient = new(library, WeightGradient);

    /// <summary>Bytes of the workspace of <see cref="Backward"/>: the parts that each sequence adds to the weight's gradient, and
    /// ∂L/∂score of each step.</summary>
    public static long WorkspaceBytes(int batch, int time, int channels) => sizeof(float) * (long)batch * ((long)channels + time);

    /// <param name="batch">Sequences B.</param>
    /// <param name="time">Steps T.</param>
    /// <param name="channels">Channels C.</param>
    /// <param name="x">[B, T, C] of <paramref name="type"/>.</param>
    /// <param name="weight">w [C], float.</param>
    /// <param name="y">Output: [B, C] of <paramref name="type"/>.</param>
    /// <param name="attention">Output: a [B, T], float; backward needs it.</param>
    /// <param name="type">Type of x and y.</param>
    public void Forward(CudaStream stream, int batch, int time, int channels, nint x, nint weight, nint y, nint attention, CudaType type)
    {
        if (batch == 0 || channels == 0)
        {
            return;
        }

        _forward[type].Launch(stream, new Interop.Grid(batch), new ForwardArguments
        {
            X = new(x, (long)batch * time * channels),
            Weight = new(weight, channels),
            Y = new(y, (long)batch * channels),
            Attention = new(attention, (long)batch * time),
            Time = time,
            Channels = channels,
            Aligned = channels % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x, y, weight) : 0,
        });
    }

    /// <param name="dy">∂L/∂y [B, C] of <paramref name="type"/>.</param>
    /// <param name="x">Forward input [B, T, C] of <paramref name="type"/>.</param>
    /// <param name="weight">w [C], float.</param>
    /// <param name="attention">As written by the forward pass [B, T], float.</param>
    /// <param name="dx">Output: ∂L/∂x [B, T, C] of <paramref name="type"/>.</param>
    /// <param name="dWeight">∂L/∂w [C], float, added to.</param>
    /// <param name="workspace"><see cref="WorkspaceBytes"/>, aligned to 16 bytes; its content does not matter.</param>
    /// <param name="type">Type of x, dx and dy.</param>
    public void Backward(
        CudaStream stream, int batch, int time, int channels, nint dy, nint x, nint weight, nint attention, nint dx, nint dWeight,
        nint workspace, CudaType type)
    {
        if (batch == 0 || channels == 0)
        {
            return;
        }

        var parts = new GpuArray<float>(workspace, (long)batch * channels);
        _backward[type].Launch(stream, new Interop.Grid(batch), new BackwardArguments
        {
            Dy = new(dy, (long)batch * channels),
            X = new(x, (long)batch * time * channels),
            Weight = new(weight, channels),
            Attention = new(attention, (long)batch * time),
            Dx = new(dx, (long)batch * time * channels),
            Parts = parts,
            ScoreGradients = new(workspace + ((nint)sizeof(float) * batch * channels), (long)batch * time),
            Time = time,
            Channels = channels,
            Aligned = channels % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x, dx, dy | weight) : 0,
        });
        _weightGradient.Launch(stream, new Interop.Grid((int)LaunchSize.DivideUp(channels, ChannelsTogether)), new WeightGradientArguments
        {
            Parts = parts,
            DWeight = new(dWeight, channels),
            Batch = batch,
            Channels = channels,
        });
    }

    // Shared memory is sized for groups of eight halves, since its size must be a constant; floats use half of it.
    [GpuKernel(Threads)]
    private static void Forward<TElement, TGroup>(ForwardArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> shared = SharedMemory.Allocate<Four>(Threads * 2);
        long first = (long)GpuThread.Block * a.Time * a.Channels;
        float* attention = a.Attention.Start + ((long)GpuThread.Block * a.Time);
        DotSteps<TElement, TGroup>(a.X.Start, first, a.Time, a.Channels, (byte*)a.Weight.Start, 0, isFloat: true, attention, a.Aligned);
        GpuThread.Barrier();
        if (GpuThread.Warp == 0 && a.Time > 0)
        {
            // The scores' largest is subtracted, so that nothing overflows.
            float largest = float.NegativeInfinity, sum = 0;
            for (int t = GpuThread.Lane; t < a.Time; t += GpuThread.WarpSize)
            {
                largest = GpuMath.Max(largest, attention[t]);
            }

            largest = Reduce.WarpMax(largest);
            for (int t = GpuThread.Lane; t < a.Time; t += GpuThread.WarpSize)
            {
                float power = GpuMath.Exp(attention[t] - largest);
                attention[t] = power;
                sum += power;
            }

            sum = Reduce.WarpSum(sum);
            for (int t = GpuThread.Lane; t < a.Time; t += GpuThread.WarpSize)
            {
                attention[t] /= sum;
            }
        }

        GpuThread.Barrier();
        int width = GpuThread.WarpSize * TGroup.Lanes;
        for (int tile = 0; tile < a.Channels; tile += width)
        {
            int channel = tile + (GpuThread.Lane * TGroup.Lanes);
            TGroup sums = TGroup.Splat(0);
            if (channel < a.Channels)
            {
                for (int t = GpuThread.Warp; t < a.Time; t += Warps)
                {
                    TGroup values = TElement.ReadGroup(a.X.Start, first + ((long)t * a.Channels) + channel, a.Channels - channel,
                        a.Aligned);
                    sums = TGroup.Fma(TGroup.Splat(attention[t]), values, sums);
                }
            }

            float sum = SumOfWarps(sums, shared);
            if (GpuThread.Index < width && tile + GpuThread.Index < a.Channels)
            {
                TElement.Write(a.Y.Start, ((long)GpuThread.Block * a.Channels) + tile + GpuThread.Index, sum);
            }
        }
    }

    [GpuKernel(Threads)]
    private static void Backward<TElement, TGroup>(BackwardArguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> shared = SharedMemory.Allocate<Four>(Threads * 2);
        long first = (long)GpuThread.Block * a.Time * a.Channels, firstChannel = (long)GpuThread.Block * a.Channels;
        float* attention = a.Attention.Start + ((long)GpuThread.Block * a.Time);
        float* scoreGradients = a.ScoreGradients.Start + ((long)GpuThread.Block * a.Time);
        DotSteps<TElement, TGroup>(a.X.Start, first, a.Time, a.Channels, a.Dy.Start, firstChannel, isFloat: false, scoreGradients,
            a.Aligned);
        GpuThread.Barrier();
        if (GpuThread.Warp == 0)
        {
            float mean = 0;
            for (int t = GpuThread.Lane; t < a.Time; t += GpuThread.WarpSize)
            {
                mean = GpuMath.Fma(attention[t], scoreGradients[t], mean);
            }

            mean = Reduce.WarpSum(mean);
            for (int t = GpuThread.Lane; t < a.Time; t += GpuThread.WarpSize)
            {
                scoreGradients[t] = attention[t] * (scoreGradients[t] - mean);
            }
        }

        GpuThread.Barrier();
        int width = GpuThread.WarpSize * TGroup.Lanes;
        for (int tile = 0; tile < a.Channels; tile += width)
        {
            int channel = tile + (GpuThread.Lane * TGroup.Lanes);
            int available = a.Channels - channel;
            TGroup sums = TGroup.Splat(0);
            if (available > 0)
            {
                TGroup upstream = TElement.ReadGroup(a.Dy.Start, firstChannel + channel, available, a.Aligned);
                TGroup weight = TGroup.ReadFloats(a.Weight.Start + channel, available, a.Aligned);
                for (int t = GpuThread.Warp; t < a.Time; t += Warps)
                {
                    long place = first + ((long)t * a.Channels) + channel;
                    TGroup values = TElement.ReadGroup(a.X.Start, place, available, a.Aligned);
                    TGroup slope = TGroup.Splat(scoreGradients[t]);
                    sums = TGroup.Fma(slope, values, sums);
                    TElement.WriteGroup(a.Dx.Start, place, available, a.Aligned, TGroup.Fma(slope, weight,
                        TGroup.Splat(attention[t]) * upstream));
                }
            }

            float sum = SumOfWarps(sums, shared);
            if (GpuThread.Index < width && tile + GpuThread.Index < a.Channels)
            {
                a.Parts.Start[firstChannel + tile + GpuThread.Index] = sum;
            }
        }
    }

    /// <summary>dw[c] += Σ_b parts[b, c].</summary>
    [GpuKernel(Threads)]
    private static void WeightGradient(WeightGradientArguments a)
    {
        ArrayView<float> sums = SharedMemory.Allocate<float>(Threads);
        int channel = (GpuThread.Block * ChannelsTogether) + GpuThread.Lane;
        float sum = 0;
        if (channel < a.Channels)
        {
            for (int b = GpuThread.Warp; b < a.Batch; b += Warps)
            {
                sum += a.Parts.Start[((long)b * a.Channels) + channel];
            }
        }

        sums[GpuThread.Index] = sum;
        GpuThread.Barrier();
        if (GpuThread.Warp == 0 && channel < a.Channels)
        {
            for (int i = 1; i < Warps; i++)
            {
                sum += sums[(i * ChannelsTogether) + GpuThread.Lane];
            }

            a.DWeight.Start[channel] += sum;
        }
    }

    /// <summary>products[t] = x_t·v for one sequence; every warp has its steps.</summary>
    /// <param name="isFloat">Whether v is of floats whatever the type of x is; a constant.</param>
    private static void DotSteps<TElement, TGroup>(
        byte* x, long first, int time, int channels, byte* v, long firstOfVector, bool isFloat, float* products, int aligned)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        for (int t = GpuThread.Warp; t < time; t += Warps)
        {
            TGroup sums = TGroup.Splat(0);
            for (int channel = GpuThread.Lane * TGroup.Lanes; channel < channels; channel += GpuThread.WarpSize * TGroup.Lanes)
            {
                TGroup values = TElement.ReadGroup(x, first + ((long)t * channels) + channel, channels - channel, aligned);
                TGroup factors = isFloat
                    ? TGroup.ReadFloats((float*)v + channel, channels - channel, aligned)
                    : TElement.ReadGroup(v, firstOfVector + channel, channels - channel, aligned);
                sums = TGroup.Fma(values, factors, sums);
            }

            float sum = Reduce.WarpSum(TGroup.Sum(sums));
            if (GpuThread.Lane == 0)
            {
                products[t] = sum;
            }
        }
    }

    /// <summary>Sums over the warps of what each lane has for its group of channels; thread i gets channel i of the tile.</summary>
    private static float SumOfWarps<TGroup>(TGroup values, ArrayView<Four> shared)
        where TGroup : unmanaged, IGroup<TGroup>
    {
        GpuThread.Barrier();
        TGroup.WriteShared(shared, GpuThread.Index, values);
        GpuThread.Barrier();
        float sum = 0;
        ArrayView<float> parts = shared.Cast<float>();
        int width = GpuThread.WarpSize * TGroup.Lanes;
        if (GpuThread.Index < width)
        {
            for (int i = 0; i < Warps; i++)
            {
                sum += parts[(i * width) + GpuThread.Index];
            }
        }

        return sum;
    }

    private struct ForwardArguments
    {
        public GpuArray X;
        public GpuArray<float> Weight;
        public GpuArray Y;
        public GpuArray<float> Attention;
        public int Time;
        public int Channels;
        public int Aligned;
    }

    private struct BackwardArguments
    {
        public GpuArray Dy;
        public GpuArray X;
        public GpuArray<float> Weight;
        public GpuArray<float> Attention;
        public GpuArray Dx;
        public GpuArray<float> Parts;
        public GpuArray<float> ScoreGradients;
        public int Time;
        public int Channels;
        public int Aligned;
    }

    private struct WeightGradientArguments
    {
        public GpuArray<float> Parts;
        public GpuArray<float> DWeight;
        public int Batch;
        public int Channels;
    }
}
