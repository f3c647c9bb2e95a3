using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using Matrix = CudaTrainer.Kernels.Cpu.BatchNormPasses.Matrix;

namespace CudaTrainer.Kernels.Cpu;

/// <content>What each member of the team does for its channels.</content>
internal static unsafe partial class BatchNorm
{
    /// <summary>y = dropout(relu(γ·(x − mean)·inverse deviation + β)).</summary>
    private readonly struct Normalization(
        float* gamma, float* beta, float* mean, float* inverseDeviation, float* y, bool relu, Dropout dropout)
    {
        public readonly float* Mean = mean;
        public readonly float* InverseDeviation = inverseDeviation;

        /// <param name="variance">[channels] from which the inverse deviation follows; null where it is known.</param>
        public void Run<TSimd, TVec>(in Member member, in Matrix x, int begin, int end, float* variance, float epsilon)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            float* scale = (float*)member.Scratch(sizeof(float) * (nuint)(x.Channels + DropoutMask.BufferLength(end - begin)));
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec inverse = variance == null
                    ? Lanes.Load<TSimd, TVec>(InverseDeviation + channel, lanes)
                    : Inverse<TSimd, TVec>(Lanes.Load<TSimd, TVec>(variance + channel, lanes), epsilon);
                Lanes.Store<TSimd, TVec>(scale + channel, TSimd.Multiply(Lanes.Load<TSimd, TVec>(gamma + channel, lanes), inverse), lanes);
            }

            BatchNormPasses.Apply<TSimd, TVec>(x, begin, end, Mean, scale, beta, y, relu, dropout, scale + x.Channels);
        }

        /// <summary>1/√(variance + ε).</summary>
        public static TVec Inverse<TSimd, TVec>(TVec variance, float epsilon)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Divide(TSimd.Set(1), TSimd.Sqrt(TSimd.Add(variance, TSimd.Set(epsilon))));
    }

    /// <summary>The statistics of the rows. If they are all rows there are, they are final, and the rows are normalised at once.</summary>
    private struct MomentsKernel : ITeamKernel
    {
        public Matrix Shape;

        /// <summary>Where to write the replica's part; null if there is but one replica.</summary>
        public float* Part;

        public Normalization Normalization;
        public float* RunningMean;
        public float* RunningVariance;
        public float Momentum;
        public float Epsilon;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                TVec mean = BatchNormPasses.Mean<TSimd, TVec>(Shape, channel, lanes);
                TVec squares = BatchNormPasses.CentredSquares<TSimd, TVec>(Shape, mean, channel, lanes);
                if (Part != null)
                {
                    Lanes.Store<TSimd, TVec>(Part + channel, mean, lanes);
                    Lanes.Store<TSimd, TVec>(Part + Shape.Channels + channel, squares, lanes);
                }
                else
                {
                    WriteStatistics<TSimd, TVec>(mean, squares, channel, lanes);
                }
            }

            if (Part == null && begin < end)
            {
                Normalization.Run<TSimd, TVec>(member, Shape, begin, end, variance: null, Epsilon);
            }
        }

        private readonly void WriteStatistics<TSimd, TVec>(TVec mean, TVec squares, int channel, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec variance = TSimd.Multiply(squares, TSimd.Set(Shape.PerRow));
            Lanes.Store<TSimd, TVec>(Normalization.Mean + channel, mean, lanes);
            Lanes.Store<TSimd, TVec>(
                Normalization.InverseDeviation + channel, Normalization.Inverse<TSimd, TVec>(variance, Epsilon), lanes);
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

    private struct NormalizeKernel : ITeamKernel
    {
        public Matrix Shape;
        public Normalization Normalization;

        /// <summary>In inference, the running variance.</summary>
        public float* Variance;

        public float Epsilon;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
            if (begin < end)
            {
                Normalization.Run<TSimd, TVec>(member, Shape, begin, end, Variance, Epsilon);
            }
        }
    }

    /// <summary>
    /// The sums of the gradient over the rows. If they are all rows there are, ∂L/∂x follows at once, channel by channel, which finds the
    /// rows in the cache.
    /// </summary>
    private struct GradientKernel : ITeamKernel
    {
        public Matrix Shape;

        /// <summary>Where to write the replica's part; null if there is but one replica.</summary>
        public float* Part;

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
                float* mask = (float*)member.Scratch(sizeof(float) * (nuint)DropoutMask.BufferLength(end - begin));
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

            if (Part != null)
            {
                Lanes.Store<TSimd, TVec>(Part + channel, sum, lanes);
                Lanes.Store<TSimd, TVec>(Part + Shape.Channels + channel, gammaGradient, lanes);
                return;
            }

            // ∂L/∂x = γ·inverse·(g − mean(g) − x̂·mean(g·x̂)), x̂ = (x − mean)·inverse.
            TVec perRow = TSimd.Set(Shape.PerRow);
            TVec scale = BatchNormPasses.Scale<TSimd, TVec>(Gamma, InverseDeviation, channel, lanes);
            TVec meanGradient = TSimd.Multiply(sum, perRow);
            TVec slope = TSimd.Multiply(TSimd.Multiply(gammaGradient, perRow), inverse);
            BatchNormPasses.InputGradient<TSimd, TVec>(Shape, gradient, InputGradient, mean, scale, meanGradient, slope, channel, lanes);
        }
    }

    private struct InputGradientKernel : ITeamKernel
    {
        public Matrix Shape;
        public int Parts;
        public float* Gamma;
        public float* Mean;
        public float* InverseDeviation;
        public float* Gathered;
        public float* Gradient;
        public float* InputGradient;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = BatchNormPasses.Channels(member, Shape);
            if (begin == end)
            {
                return;
            }

            float* meanGradient = (float*)member.Scratch(sizeof(float) * 2 * (nuint)(end - begin));
            float* slope = meanGradient + (end - begin);
            double rows = Total(2 * Shape.Channels);
            for (int channel = begin; channel < end; channel++)
            {
                meanGradient[channel - begin] = (float)(Total(channel) / rows);
                slope[channel - begin] = (float)(Total(Shape.Channels + channel) / rows * InverseDeviation[channel]);
            }

            for (int channel = begin; channel < end; channel += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - channel);
                BatchNormPasses.InputGradient<TSimd, TVec>(
                    Shape,
                    Gradient,
                    InputGradient,
                    Lanes.Load<TSimd, TVec>(Mean + channel, lanes),
                    BatchNormPasses.Scale<TSimd, TVec>(Gamma, InverseDeviation, channel, lanes),
                    Lanes.Load<TSimd, TVec>(meanGradient + channel - begin, lanes),
                    Lanes.Load<TSimd, TVec>(slope + channel - begin, lanes),
                    channel,
                    lanes);
            }
        }

        /// <summary>One number of every part, added up in the order of the parts.</summary>
        private readonly double Total(int place)
        {
            double total = 0;
            for (int part = 0; part < Parts; part++)
            {
                total += Gathered[((long)part * PartLength(Shape.Channels)) + place];
            }

            return total;
        }
    }
}
