using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Attention pooling over time, by the formulas of docs/kernels-layers.md.</summary>
/// <remarks>Samples are dealt out to members; the gradient of w, a sum over all of them, is dealt out by features after a
/// barrier.</remarks>
internal static unsafe class AttentionPool
{
    private const int FeaturesPerLine = 16;

    /// <param name="batch">Samples B.</param>
    /// <param name="time">Steps T, ≥ 1.</param>
    /// <param name="features">Features H.</param>
    /// <param name="x">Input [B, T, H].</param>
    /// <param name="w">Score vector [H].</param>
    /// <param name="y">Output [B, H].</param>
    /// <param name="attention">Output: the weight of each step [B, T]; backward needs it.</param>
    public static void Forward(ThreadTeam team, int batch, int time, int features, float* x, float* w, float* y, float* attention)
    {
        var kernel = new ForwardKernel { Batch = batch, Time = time, Features = features, X = x, W = w, Y = y, Attention = attention };
        team.Run(ref kernel);
    }

    /// <param name="x">Forward input [B, T, H].</param>
    /// <param name="w">Score vector [H].</param>
    /// <param name="attention">As written by the forward pass [B, T].</param>
    /// <param name="outputGradient">∂L/∂y [B, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, H], overwritten.</param>
    /// <param name="wGradient">∂L/∂w [H], added to.</param>
    public static void Backward(
        ThreadTeam team, int batch, int time, int features, float* x, float* w, float* attention, float* outputGradient,
        float* inputGradient, float* wGradient)
    {
        var kernel = new BackwardKernel
        {
            Batch = batch,
            Time = time,
            Features = features,
            X = x,
            W = w,
            Attention = attention,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
            WGradient = wGradient,
            ScoreGradient = (float*)team.Workspace(sizeof(float) * (nuint)batch * (nuint)time),
        };
        team.Run(ref kernel);
    }

    private static float Dot<TSimd, TVec>(int count, float* a, float* b)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec sum = TSimd.Zero;
        for (int i = 0; i < count; i += TSimd.Width)
        {
            int lanes = Math.Min(TSimd.Width, count - i);
            sum = TSimd.MultiplyAdd(Lanes.Load<TSimd, TVec>(a + i, lanes), Lanes.Load<TSimd, TVec>(b + i, lanes), sum);
        }

        return TSimd.Sum(sum);
    }

    /// <summary>Softmax in place. The scores' largest is subtracted, so that nothing overflows.</summary>
    private static void Softmax<TSimd, TVec>(int count, float* scores)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        float largest = float.NegativeInfinity;
        for (int i = 0; i < count; i++)
        {
            largest = MathF.Max(largest, scores[i]);
        }

        float sum = 0;
        for (int i = 0; i < count; i += TSimd.Width)
        {
            int lanes = Math.Min(TSimd.Width, count - i);
            TVec shifted = TSimd.Subtract(Lanes.Load<TSimd, TVec>(scores + i, lanes), TSimd.Set(largest));
            Lanes.Store<TSimd, TVec>(scores + i, VectorMath.Exp<TSimd, TVec>(shifted), lanes);
        }

        for (int i = 0; i < count; i++)
        {
            sum += scores[i];
        }

        for (int i = 0; i < count; i++)
        {
            scores[i] /= sum;
        }
    }

    private struct ForwardKernel : ITeamKernel
    {
        public int Batch;
        public int Time;
        public int Features;
        public float* X;
        public float* W;
        public float* Y;
        public float* Attention;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (int sample = begin; sample < end; sample++)
            {
                float* x = X + ((long)sample * Time * Features);
                float* attention = Attention + ((long)sample * Time);
                float* y = Y + ((long)sample * Features);
                for (int t = 0; t < Time; t++)
                {
                    attention[t] = Dot<TSimd, TVec>(Features, x + ((long)t * Features), W);
                }

                Softmax<TSimd, TVec>(Time, attention);
                for (int feature = 0; feature < Features; feature += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, Features - feature);
                    TVec sum = TSimd.Zero;
                    for (int t = 0; t < Time; t++)
                    {
                        sum = TSimd.MultiplyAdd(
                            TSimd.Set(attention[t]), Lanes.Load<TSimd, TVec>(x + ((long)t * Features) + feature, lanes), sum);
                    }

                    Lanes.Store<TSimd, TVec>(y + feature, sum, lanes);
                }
            }
        }
    }

    private struct BackwardKernel : ITeamKernel
    {
        public int Batch;
        public int Time;
        public int Features;
        public float* X;
        public float* W;
        public float* Attention;
        public float* OutputGradient;
        public float* InputGradient;
        public float* WGradient;

        /// <summary>∂L/∂score [B, T], shared by the team.</summary>
        public float* ScoreGradient;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (int sample = begin; sample < end; sample++)
            {
                Sample<TSimd, TVec>(sample);
            }

            member.Barrier();
            (begin, end) = member.Share(Features, FeaturesPerLine);
            for (int feature = begin; feature < end; feature += TSimd.Width)
            {
                AccumulateW<TSimd, TVec>(feature, Math.Min(TSimd.Width, end - feature));
            }
        }

        private readonly void Sample<TSimd, TVec>(int sample)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            float* x = X + ((long)sample * Time * Features);
            float* inputGradient = InputGradient + ((long)sample * Time * Features);
            float* attention = Attention + ((long)sample * Time);
            float* scoreGradient = ScoreGradient + ((long)sample * Time);
            float* outputGradient = OutputGradient + ((long)sample * Features);

            // ∂L/∂a[t] = ∂L/∂y·x[t]; through the softmax ∂L/∂s[t] = a[t]·(∂L/∂a[t] − Σ a·∂L/∂a).
            float mean = 0;
            for (int t = 0; t < Time; t++)
            {
                scoreGradient[t] = Dot<TSimd, TVec>(Features, x + ((long)t * Features), outputGradient);
                mean += attention[t] * scoreGradient[t];
            }

            for (int t = 0; t < Time; t++)
            {
                scoreGradient[t] = attention[t] * (scoreGradient[t] - mean);
                TVec weight = TSimd.Set(attention[t]);
                TVec score = TSimd.Set(scoreGradient[t]);
                for (int feature = 0; feature < Features; feature += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, Features - feature);
                    TVec gradient = TSimd.Multiply(weight, Lanes.Load<TSimd, TVec>(outputGradient + feature, lanes));
                    gradient = TSimd.MultiplyAdd(score, Lanes.Load<TSimd, TVec>(W + feature, lanes), gradient);
                    Lanes.Store<TSimd, TVec>(inputGradient + ((long)t * Features) + feature, gradient, lanes);
                }
            }
        }

        private readonly void AccumulateW<TSimd, TVec>(int feature, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec total = TSimd.Zero;
            for (int sample = 0; sample < Batch; sample++)
            {
                TVec sum = TSimd.Zero;
                for (long row = (long)sample * Time; row < ((long)sample + 1) * Time; row++)
                {
                    sum = TSimd.MultiplyAdd(
                        TSimd.Set(ScoreGradient[row]), Lanes.Load<TSimd, TVec>(X + (row * Features) + feature, lanes), sum);
                }

                total = TSimd.Add(total, sum);
            }

            Lanes.Store<TSimd, TVec>(WGradient + feature, TSimd.Add(Lanes.Load<TSimd, TVec>(WGradient + feature, lanes), total), lanes);
        }
    }
}
