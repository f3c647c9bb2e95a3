using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using Matrix = CudaTrainer.Kernels.Cpu.BatchNormPasses.Matrix;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Batch normalisation of rows × channels over the rows (Ioffe and Szegedy 2015), with a ReLU and a dropout fused behind it:
/// y = dropout(relu(γ·(x − mean)/√(variance + ε) + β)). The variance is the population variance, for the running statistics too (as in Keras).
/// </summary>
/// <remarks>
/// A member owns whole channels from the first sum to the last store: no barrier, and a channel's result depends neither on the number of threads
/// nor on the other channels. The loops are those of <see cref="BatchNormPasses"/>.
/// Channel c of row r is element r·channels + c of the dropout mask.
/// </remarks>
public static unsafe class BatchNorm
{
    public const float DefaultMomentum = 0.99f;
    public const float DefaultEpsilon = 1e-3f;

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
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
            if (begin == end)
            {
                return;
            }

            var scale = (float*)member.Scratch(sizeof(float) * (nuint)(Shape.Channels + DropoutMask.BufferLength(end - begin)));
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                Statistics<TSimd, TVec>(channel, Math.Min(TSimd.Width, end - channel), scale);
            }

            BatchNormPasses.Apply<TSimd, TVec>(Shape, begin, end, Mean, scale, Beta, Y, Relu, Dropout, scale + Shape.Channels);
        }

        private readonly void Statistics<TSimd, TVec>(int channel, int lanes, float* scale)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec mean = BatchNormPasses.Mean<TSimd, TVec>(Shape, channel, lanes);
            TVec squares = BatchNormPasses.CentredSquares<TSimd, TVec>(Shape, mean, channel, lanes);
            TVec variance = TSimd.Multiply(squares, TSimd.Set(Shape.PerRow));
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
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
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

            BatchNormPasses.Apply<TSimd, TVec>(Shape, begin, end, RunningMean, scale, Beta, Y, Relu, default, null);
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
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
            if (begin == end)
            {
                return;
            }

            float* gradient = OutputGradient;
            if (Relu || Dropout.IsActive)
            {
                var mask = (float*)member.Scratch(sizeof(float) * (nuint)DropoutMask.BufferLength(end - begin));
                BatchNormPasses.UndoReluAndDropout<TSimd, TVec>(
                    Shape, begin, end, Gamma, Beta, Mean, InverseDeviation, OutputGradient, InputGradient, Relu, Dropout, mask);
                gradient = InputGradient;
            }

            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                Channels<TSimd, TVec>(gradient, channel, Math.Min(TSimd.Width, end - channel));
            }
        }

        private readonly void Channels<TSimd, TVec>(float* gradient, int channel, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec mean = Lanes.Load<TSimd, TVec>(Mean + channel, lanes);
            TVec inverse = Lanes.Load<TSimd, TVec>(InverseDeviation + channel, lanes);
            (TVec sum, TVec product) = BatchNormPasses.GradientSums<TSimd, TVec>(Shape, gradient, mean, channel, lanes);
            TVec gammaGradient = TSimd.Multiply(product, inverse);
            BatchNormPasses.Accumulate<TSimd, TVec>(BetaGradient + channel, sum, lanes);
            BatchNormPasses.Accumulate<TSimd, TVec>(GammaGradient + channel, gammaGradient, lanes);

            // ∂L/∂x = γ·inverse·(g − mean(g) − x̂·mean(g·x̂)), x̂ = (x − mean)·inverse.
            TVec perRow = TSimd.Set(Shape.PerRow);
            TVec scale = BatchNormPasses.Scale<TSimd, TVec>(Gamma, InverseDeviation, channel, lanes);
            TVec meanGradient = TSimd.Multiply(sum, perRow);
            TVec slope = TSimd.Multiply(TSimd.Multiply(gammaGradient, perRow), inverse);
            BatchNormPasses.InputGradient<TSimd, TVec>(Shape, gradient, InputGradient, mean, scale, meanGradient, slope, channel, lanes);
        }
    }
}
