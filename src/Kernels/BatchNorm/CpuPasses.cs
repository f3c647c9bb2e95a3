using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>The loops over rows that <see cref="BatchNorm"/> is made of.</summary>
/// <remarks>
/// Every pass is over whole columns, so that a channel's sums depend neither on the number of threads nor on the other channels. Sums run
/// over chunks of <see cref="RowsPerChunk"/> rows and then over the chunks, which bounds their rounding error.
/// </remarks>
internal static unsafe class BatchNormPasses
{
    /// <summary>Channels are dealt out in cache lines.</summary>
    private const int ChannelsPerLine = 16;

    private const int RowsPerChunk = 64;

    /// <summary>The channels that are a member's own.</summary>
    public static (int Begin, int End) Channels(in Member member, in Matrix x) => member.Share(x.Channels, ChannelsPerLine);

    /// <summary>The mean of each of the channels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Mean<TSimd, TVec>(in Matrix x, int channel, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec sum = TSimd.Zero;
        for (int chunk = 0; chunk < x.Rows; chunk += RowsPerChunk)
        {
            TVec partial = TSimd.Zero;
            for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, x.Rows); row++)
            {
                partial = TSimd.Add(partial, Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes));
            }

            sum = TSimd.Add(sum, partial);
        }

        return TSimd.Multiply(sum, TSimd.Set(x.PerRow));
    }

    /// <summary>Σ(x − mean)². The mean is subtracted first: no cancellation however far it is from 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec CentredSquares<TSimd, TVec>(in Matrix x, TVec mean, int channel, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec squares = TSimd.Zero;
        for (int chunk = 0; chunk < x.Rows; chunk += RowsPerChunk)
        {
            TVec partial = TSimd.Zero;
            for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, x.Rows); row++)
            {
                TVec centred = TSimd.Subtract(Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes), mean);
                partial = TSimd.MultiplyAdd(centred, centred, partial);
            }

            squares = TSimd.Add(squares, partial);
        }

        return squares;
    }

    /// <summary>Applies the affine map, ReLU and dropout to the channels [begin, end) of every row.</summary>
    /// <param name="scale">γ·inverse deviation [channels].</param>
    /// <param name="mask">Working memory of <see cref="DropoutMask.BufferLength"/> floats; null without dropout.</param>
    public static void Apply<TSimd, TVec>(
        in Matrix x, int begin, int end, float* mean, float* scale, float* beta, float* y, bool relu, in Dropout dropout, float* mask)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int row = 0; row < x.Rows; row++)
        {
            long offset = (long)row * x.Channels;
            float* factors = dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(dropout, offset + begin, end - begin, mask) : null;
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec value = Normalize<TSimd, TVec>(
                    Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes),
                    Lanes.Load<TSimd, TVec>(mean + channel, lanes),
                    Lanes.Load<TSimd, TVec>(scale + channel, lanes),
                    Lanes.Load<TSimd, TVec>(beta + channel, lanes));
                if (relu)
                {
                    value = TSimd.Max(TSimd.Zero, value);
                }

                if (factors != null)
                {
                    value = TSimd.Multiply(value, Lanes.Load<TSimd, TVec>(factors + channel - begin, lanes));
                }

                Lanes.Store<TSimd, TVec>(y + offset + channel, value, lanes);
            }
        }
    }

    /// <summary>Writes g, the gradient of the affine map's output, for the channels [begin, end) of every row.</summary>
    /// <param name="outputGradient">∂L/∂y [rows, channels].</param>
    /// <param name="gradient">g [rows, channels]; may be <paramref name="outputGradient"/>.</param>
    /// <param name="mask">Working memory of <see cref="DropoutMask.BufferLength"/> floats.</param>
    public static void UndoReluAndDropout<TSimd, TVec>(
        in Matrix x, int begin, int end, float* gamma, float* beta, float* mean, float* inverseDeviation, float* outputGradient,
        float* gradient, bool relu, in Dropout dropout, float* mask)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int row = 0; row < x.Rows; row++)
        {
            long offset = (long)row * x.Channels;
            float* factors = dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(dropout, offset + begin, end - begin, mask) : null;
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec value = Lanes.Load<TSimd, TVec>(outputGradient + offset + channel, lanes);
                if (factors != null)
                {
                    value = TSimd.Multiply(value, Lanes.Load<TSimd, TVec>(factors + channel - begin, lanes));
                }

                if (relu)
                {
                    TVec clamped = Normalize<TSimd, TVec>(
                        Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes),
                        Lanes.Load<TSimd, TVec>(mean + channel, lanes),
                        Scale<TSimd, TVec>(gamma, inverseDeviation, channel, lanes),
                        Lanes.Load<TSimd, TVec>(beta + channel, lanes));
                    value = TSimd.SelectGreater(clamped, TSimd.Zero, value, TSimd.Zero);
                }

                Lanes.Store<TSimd, TVec>(gradient + offset + channel, value, lanes);
            }
        }
    }

    /// <summary>Σg and Σ g·(x − mean).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (TVec Sum, TVec Product) GradientSums<TSimd, TVec>(in Matrix x, float* gradient, TVec mean, int channel, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec sum = TSimd.Zero;
        TVec product = TSimd.Zero;
        for (int chunk = 0; chunk < x.Rows; chunk += RowsPerChunk)
        {
            TVec partialSum = TSimd.Zero;
            TVec partialProduct = TSimd.Zero;
            for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, x.Rows); row++)
            {
                TVec g = Lanes.Load<TSimd, TVec>(gradient + ((long)row * x.Channels) + channel, lanes);
                partialSum = TSimd.Add(partialSum, g);
                partialProduct = TSimd.MultiplyAdd(
                    g, TSimd.Subtract(Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes), mean), partialProduct);
            }

            sum = TSimd.Add(sum, partialSum);
            product = TSimd.Add(product, partialProduct);
        }

        return (sum, product);
    }

    /// <summary>∂L/∂x = scale·(g − meanGradient − (x − mean)·slope), with scale = γ·inverse deviation.</summary>
    /// <param name="meanGradient">mean(g).</param>
    /// <param name="slope">mean(g·x̂)·inverse deviation.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void InputGradient<TSimd, TVec>(
        in Matrix x, float* gradient, float* inputGradient, TVec mean, TVec scale, TVec meanGradient, TVec slope, int channel, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int row = 0; row < x.Rows; row++)
        {
            long offset = ((long)row * x.Channels) + channel;
            TVec centred = TSimd.Subtract(Lanes.Load<TSimd, TVec>(x.At(row) + channel, lanes), mean);
            TVec g = TSimd.Subtract(Lanes.Load<TSimd, TVec>(gradient + offset, lanes), meanGradient);
            Lanes.Store<TSimd, TVec>(inputGradient + offset, TSimd.Multiply(scale, TSimd.NegativeMultiplyAdd(centred, slope, g)), lanes);
        }
    }

    /// <summary>γ·inverse deviation.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Scale<TSimd, TVec>(float* gamma, float* inverseDeviation, int channel, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.Multiply(Lanes.Load<TSimd, TVec>(gamma + channel, lanes), Lanes.Load<TSimd, TVec>(inverseDeviation + channel, lanes));

    public static void Accumulate<TSimd, TVec>(float* destination, TVec value, int lanes)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => Lanes.Store<TSimd, TVec>(destination, TSimd.Add(Lanes.Load<TSimd, TVec>(destination, lanes), value), lanes);

    /// <summary>γ·(x − mean)·inverseDeviation + β: one expression, so that backward sees the very number that forward clamped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Normalize<TSimd, TVec>(TVec x, TVec mean, TVec scale, TVec beta)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.MultiplyAdd(TSimd.Subtract(x, mean), scale, beta);

    /// <summary>The input and its size.</summary>
    public readonly struct Matrix(int rows, int channels, float* x)
    {
        public int Rows => rows;

        public int Channels => channels;

        public float PerRow => (float)(1.0 / rows);

        public float* At(int row) => x + ((long)row * channels);
    }
}
