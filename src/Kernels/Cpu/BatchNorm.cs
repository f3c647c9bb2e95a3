using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Batch normalisation of rows × channels over the rows (Ioffe and Szegedy 2015), with a ReLU and a dropout fused behind it:
/// y = dropout(relu(γ·(x − mean)/√(variance + ε) + β)). The variance is the population variance, for the running statistics too (as in Keras).
/// </summary>
/// <remarks>
/// A member owns whole channels from the first sum to the last store: no barrier, and a channel's result depends neither on the number of threads
/// nor on the other channels. Sums run over chunks of <see cref="RowsPerChunk"/> rows and then over the chunks, which bounds their rounding error.
/// Channel c of row r is element r·channels + c of the dropout mask.
/// </remarks>
public static unsafe class BatchNorm
{
    public const float DefaultMomentum = 0.99f;
    public const float DefaultEpsilon = 1e-3f;

    private const int RowsPerChunk = 64;

    /// <summary>Channels are dealt out in cache lines.</summary>
    private const int ChannelsPerLine = 16;

    /// <param name="team">Threads to run on.</param>
    /// <param name="rows">Samples × time steps, ≥ 1.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="x">Input [rows, channels].</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels], updated: momentum·old + (1 − momentum)·mean of the batch.</param>
    /// <param name="runningVariance">[channels], updated likewise.</param>
    /// <param name="y">Output [rows, channels]; must not be <paramref name="x"/>, which backward needs.</param>
    /// <param name="mean">For backward: the batch's mean [channels].</param>
    /// <param name="inverseDeviation">For backward: 1/√(variance + ε) [channels].</param>
    /// <param name="relu">Whether a ReLU follows.</param>
    /// <param name="dropout">The dropout that follows.</param>
    /// <param name="momentum">How much of the running statistics is kept.</param>
    /// <param name="epsilon">ε.</param>
    public static void ForwardTraining(
        ThreadTeam team,
        int rows,
        int channels,
        float* x,
        float* gamma,
        float* beta,
        float* runningMean,
        float* runningVariance,
        float* y,
        float* mean,
        float* inverseDeviation,
        bool relu = false,
        Dropout dropout = default,
        float momentum = DefaultMomentum,
        float epsilon = DefaultEpsilon)
    {
        var kernel = new TrainingKernel
        {
            Shape = new Matrix(rows, channels, x),
            Gamma = gamma,
            Beta = beta,
            RunningMean = runningMean,
            RunningVariance = runningVariance,
            Y = y,
            Mean = mean,
            InverseDeviation = inverseDeviation,
            Relu = relu,
            Dropout = dropout,
            Momentum = momentum,
            Epsilon = epsilon,
        };
        team.Run(ref kernel);
    }

    /// <summary>Normalises with the running statistics.</summary>
    /// <param name="team">Threads to run on.</param>
    /// <param name="rows">Samples × time steps.</param>
    /// <param name="channels">Channels.</param>
    /// <param name="x">Input [rows, channels].</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels].</param>
    /// <param name="runningMean">[channels].</param>
    /// <param name="runningVariance">[channels].</param>
    /// <param name="y">Output [rows, channels]; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether a ReLU follows.</param>
    /// <param name="epsilon">ε.</param>
    public static void ForwardInference(
        ThreadTeam team,
        int rows,
        int channels,
        float* x,
        float* gamma,
        float* beta,
        float* runningMean,
        float* runningVariance,
        float* y,
        bool relu = false,
        float epsilon = DefaultEpsilon)
    {
        var kernel = new InferenceKernel
        {
            Shape = new Matrix(rows, channels, x),
            Gamma = gamma,
            Beta = beta,
            RunningMean = runningMean,
            RunningVariance = runningVariance,
            Y = y,
            Relu = relu,
            Epsilon = epsilon,
        };
        team.Run(ref kernel);
    }

    /// <param name="team">Threads to run on.</param>
    /// <param name="rows">As in the forward pass.</param>
    /// <param name="channels">As in the forward pass.</param>
    /// <param name="x">Forward input [rows, channels].</param>
    /// <param name="gamma">Scale γ [channels].</param>
    /// <param name="beta">Shift β [channels]; read only with a ReLU.</param>
    /// <param name="mean">As saved by the forward pass [channels].</param>
    /// <param name="inverseDeviation">As saved by the forward pass [channels].</param>
    /// <param name="outputGradient">∂L/∂y [rows, channels].</param>
    /// <param name="inputGradient">∂L/∂x [rows, channels], overwritten; may be <paramref name="outputGradient"/>.</param>
    /// <param name="gammaGradient">∂L/∂γ [channels], added to.</param>
    /// <param name="betaGradient">∂L/∂β [channels], added to.</param>
    /// <param name="relu">As in the forward pass.</param>
    /// <param name="dropout">As in the forward pass.</param>
    public static void Backward(
        ThreadTeam team,
        int rows,
        int channels,
        float* x,
        float* gamma,
        float* beta,
        float* mean,
        float* inverseDeviation,
        float* outputGradient,
        float* inputGradient,
        float* gammaGradient,
        float* betaGradient,
        bool relu = false,
        Dropout dropout = default)
    {
        var kernel = new BackwardKernel
        {
            Shape = new Matrix(rows, channels, x),
            Gamma = gamma,
            Beta = beta,
            Mean = mean,
            InverseDeviation = inverseDeviation,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
            GammaGradient = gammaGradient,
            BetaGradient = betaGradient,
            Relu = relu,
            Dropout = dropout,
        };
        team.Run(ref kernel);
    }

    /// <summary>γ·(x − mean)·inverseDeviation + β: one expression, so that backward sees the very number that forward clamped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Normalize<TSimd, TVec>(TVec x, TVec mean, TVec scale, TVec beta)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.MultiplyAdd(TSimd.Subtract(x, mean), scale, beta);

    /// <summary>The input and its size.</summary>
    private readonly struct Matrix(int rows, int channels, float* x)
    {
        public int Rows => rows;

        public int Channels => channels;

        public float* X => x;
    }

    /// <summary>Applies the affine map, ReLU and dropout to the channels [begin, end) of every row.</summary>
    private static void Apply<TSimd, TVec>(
        in Matrix shape, int begin, int end, float* mean, float* scale, float* beta, float* y, bool relu, in Dropout dropout, float* mask)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int row = 0; row < shape.Rows; row++)
        {
            long offset = (long)row * shape.Channels;
            float* factors = dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(dropout, offset + begin, end - begin, mask) : null;
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec value = Normalize<TSimd, TVec>(
                    Lanes.Load<TSimd, TVec>(shape.X + offset + channel, lanes),
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

    private struct TrainingKernel : ITeamKernel
    {
        public Matrix Shape;
        public float* Gamma;
        public float* Beta;
        public float* RunningMean;
        public float* RunningVariance;
        public float* Y;
        public float* Mean;
        public float* InverseDeviation;
        public bool Relu;
        public Dropout Dropout;
        public float Momentum;
        public float Epsilon;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Shape.Channels, ChannelsPerLine);
            if (begin == end)
            {
                return;
            }

            var scale = (float*)member.Scratch(sizeof(float) * (nuint)(Shape.Channels + DropoutMask.BufferLength(end - begin)));
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                Statistics<TSimd, TVec>(channel, Math.Min(TSimd.Width, end - channel), scale);
            }

            Apply<TSimd, TVec>(Shape, begin, end, Mean, scale, Beta, Y, Relu, Dropout, scale + Shape.Channels);
        }

        private readonly void Statistics<TSimd, TVec>(int channel, int lanes, float* scale)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec perRow = TSimd.Set((float)(1.0 / Shape.Rows));
            TVec sum = TSimd.Zero;
            for (int chunk = 0; chunk < Shape.Rows; chunk += RowsPerChunk)
            {
                TVec partial = TSimd.Zero;
                for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, Shape.Rows); row++)
                {
                    partial = TSimd.Add(partial, Lanes.Load<TSimd, TVec>(Shape.X + ((long)row * Shape.Channels) + channel, lanes));
                }

                sum = TSimd.Add(sum, partial);
            }

            // The second pass subtracts the mean first: no cancellation however far it is from 0.
            TVec mean = TSimd.Multiply(sum, perRow);
            TVec squares = TSimd.Zero;
            for (int chunk = 0; chunk < Shape.Rows; chunk += RowsPerChunk)
            {
                TVec partial = TSimd.Zero;
                for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, Shape.Rows); row++)
                {
                    TVec centred = TSimd.Subtract(Lanes.Load<TSimd, TVec>(Shape.X + ((long)row * Shape.Channels) + channel, lanes), mean);
                    partial = TSimd.MultiplyAdd(centred, centred, partial);
                }

                squares = TSimd.Add(squares, partial);
            }

            TVec variance = TSimd.Multiply(squares, perRow);
            TVec inverse = TSimd.Divide(TSimd.Set(1), TSimd.Sqrt(TSimd.Add(variance, TSimd.Set(Epsilon))));
            Lanes.Store<TSimd, TVec>(Mean + channel, mean, lanes);
            Lanes.Store<TSimd, TVec>(InverseDeviation + channel, inverse, lanes);
            Lanes.Store<TSimd, TVec>(scale + channel, TSimd.Multiply(Lanes.Load<TSimd, TVec>(Gamma + channel, lanes), inverse), lanes);
            Blend<TSimd, TVec>(RunningMean + channel, mean, lanes);
            Blend<TSimd, TVec>(RunningVariance + channel, variance, lanes);
        }

        private readonly void Blend<TSimd, TVec>(float* running, TVec batch, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec kept = TSimd.Multiply(TSimd.Set(Momentum), Lanes.Load<TSimd, TVec>(running, lanes));
            Lanes.Store<TSimd, TVec>(running, TSimd.MultiplyAdd(TSimd.Set(1 - Momentum), batch, kept), lanes);
        }
    }

    private struct InferenceKernel : ITeamKernel
    {
        public Matrix Shape;
        public float* Gamma;
        public float* Beta;
        public float* RunningMean;
        public float* RunningVariance;
        public float* Y;
        public bool Relu;
        public float Epsilon;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Shape.Channels, ChannelsPerLine);
            if (begin == end)
            {
                return;
            }

            var scale = (float*)member.Scratch(sizeof(float) * (nuint)Shape.Channels);
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec variance = TSimd.Add(Lanes.Load<TSimd, TVec>(RunningVariance + channel, lanes), TSimd.Set(Epsilon));
                TVec inverse = TSimd.Divide(TSimd.Set(1), TSimd.Sqrt(variance));
                Lanes.Store<TSimd, TVec>(scale + channel, TSimd.Multiply(Lanes.Load<TSimd, TVec>(Gamma + channel, lanes), inverse), lanes);
            }

            Apply<TSimd, TVec>(Shape, begin, end, RunningMean, scale, Beta, Y, Relu, default, null);
        }
    }

    private struct BackwardKernel : ITeamKernel
    {
        public Matrix Shape;
        public float* Gamma;
        public float* Beta;
        public float* Mean;
        public float* InverseDeviation;
        public float* OutputGradient;
        public float* InputGradient;
        public float* GammaGradient;
        public float* BetaGradient;
        public bool Relu;
        public Dropout Dropout;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Shape.Channels, ChannelsPerLine);
            if (begin == end)
            {
                return;
            }

            float* gradient = OutputGradient;
            if (Relu || Dropout.IsActive)
            {
                var mask = (float*)member.Scratch(sizeof(float) * (nuint)DropoutMask.BufferLength(end - begin));
                UndoReluAndDropout<TSimd, TVec>(begin, end, mask);
                gradient = InputGradient;
            }

            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                Channels<TSimd, TVec>(gradient, channel, Math.Min(TSimd.Width, end - channel));
            }
        }

        /// <summary>Leaves the gradient of the affine map's output in <see cref="InputGradient"/>.</summary>
        private readonly void UndoReluAndDropout<TSimd, TVec>(int begin, int end, float* mask)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            for (int row = 0; row < Shape.Rows; row++)
            {
                long offset = (long)row * Shape.Channels;
                float* factors = Dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(Dropout, offset + begin, end - begin, mask) : null;
                for (int channel = begin; channel < end; channel += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, end - channel);
                    TVec gradient = Lanes.Load<TSimd, TVec>(OutputGradient + offset + channel, lanes);
                    if (factors != null)
                    {
                        gradient = TSimd.Multiply(gradient, Lanes.Load<TSimd, TVec>(factors + channel - begin, lanes));
                    }

                    if (Relu)
                    {
                        TVec scale = TSimd.Multiply(
                            Lanes.Load<TSimd, TVec>(Gamma + channel, lanes), Lanes.Load<TSimd, TVec>(InverseDeviation + channel, lanes));
                        TVec clamped = Normalize<TSimd, TVec>(
                            Lanes.Load<TSimd, TVec>(Shape.X + offset + channel, lanes),
                            Lanes.Load<TSimd, TVec>(Mean + channel, lanes),
                            scale,
                            Lanes.Load<TSimd, TVec>(Beta + channel, lanes));
                        gradient = TSimd.SelectGreater(clamped, TSimd.Zero, gradient, TSimd.Zero);
                    }

                    Lanes.Store<TSimd, TVec>(InputGradient + offset + channel, gradient, lanes);
                }
            }
        }

        private readonly void Channels<TSimd, TVec>(float* gradient, int channel, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec mean = Lanes.Load<TSimd, TVec>(Mean + channel, lanes);
            TVec inverse = Lanes.Load<TSimd, TVec>(InverseDeviation + channel, lanes);
            TVec sum = TSimd.Zero;
            TVec product = TSimd.Zero;
            for (int chunk = 0; chunk < Shape.Rows; chunk += RowsPerChunk)
            {
                TVec partialSum = TSimd.Zero;
                TVec partialProduct = TSimd.Zero;
                for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, Shape.Rows); row++)
                {
                    long offset = ((long)row * Shape.Channels) + channel;
                    TVec g = Lanes.Load<TSimd, TVec>(gradient + offset, lanes);
                    partialSum = TSimd.Add(partialSum, g);
                    partialProduct = TSimd.MultiplyAdd(
                        g, TSimd.Subtract(Lanes.Load<TSimd, TVec>(Shape.X + offset, lanes), mean), partialProduct);
                }

                sum = TSimd.Add(sum, partialSum);
                product = TSimd.Add(product, partialProduct);
            }

            TVec gammaGradient = TSimd.Multiply(product, inverse);
            Accumulate<TSimd, TVec>(BetaGradient + channel, sum, lanes);
            Accumulate<TSimd, TVec>(GammaGradient + channel, gammaGradient, lanes);

            // ∂L/∂x = γ·inverse·(g − mean(g) − x̂·mean(g·x̂)), x̂ = (x − mean)·inverse.
            TVec perRow = TSimd.Set((float)(1.0 / Shape.Rows));
            TVec scale = TSimd.Multiply(Lanes.Load<TSimd, TVec>(Gamma + channel, lanes), inverse);
            TVec meanGradient = TSimd.Multiply(sum, perRow);
            TVec slope = TSimd.Multiply(TSimd.Multiply(gammaGradient, perRow), inverse);
            for (int row = 0; row < Shape.Rows; row++)
            {
                long offset = ((long)row * Shape.Channels) + channel;
                TVec centred = TSimd.Subtract(Lanes.Load<TSimd, TVec>(Shape.X + offset, lanes), mean);
                TVec g = TSimd.Subtract(Lanes.Load<TSimd, TVec>(gradient + offset, lanes), meanGradient);
                Lanes.Store<TSimd, TVec>(
                    InputGradient + offset, TSimd.Multiply(scale, TSimd.NegativeMultiplyAdd(centred, slope, g)), lanes);
            }
        }

        private static void Accumulate<TSimd, TVec>(float* destination, TVec value, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => Lanes.Store<TSimd, TVec>(destination, TSimd.Add(Lanes.Load<TSimd, TVec>(destination, lanes), value), lanes);
    }
}
