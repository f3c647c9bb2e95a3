using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Mean, deviation and mean step of each feature over time, by the formulas of docs/kernels-layers.md.</summary>
/// <remarks>Clips are dealt out to members, and each clip is summed in the order of its frames.</remarks>
internal static unsafe class TimeStatistics
{
    /// <summary>Features of a clip that are summed together: twenty frames of as many stay in the second-level cache for the second
    /// pass.</summary>
    private const int FeaturesTogether = 512;

    /// <param name="batch">Clips B.</param>
    /// <param name="time">Frames T, ≥ 1.</param>
    /// <param name="features">Features D.</param>
    /// <param name="x">Input [B, T, D].</param>
    /// <param name="y">Output [B, 3·D]: means, deviations, mean steps.</param>
    /// <typeparam name="TStored">Float or <see cref="Half"/>.</typeparam>
    public static void Forward<TStored>(ThreadTeam team, int batch, int time, int features, TStored* x, float* y)
        where TStored : unmanaged
    {
        var kernel = new ForwardKernel<TStored> { Batch = batch, Time = time, Features = features, X = x, Y = y };
        team.Run(ref kernel);
    }

    /// <param name="x">Forward input [B, T, D].</param>
    /// <param name="y">As written by the forward pass [B, 3·D].</param>
    /// <param name="outputGradient">∂L/∂y [B, 3·D].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, D], overwritten.</param>
    /// <inheritdoc cref="Forward"/>
    public static void Backward<TStored>(
        ThreadTeam team, int batch, int time, int features, TStored* x, float* y, float* outputGradient, TStored* inputGradient)
        where TStored : unmanaged
    {
        var kernel = new BackwardKernel<TStored>
        {
            Batch = batch,
            Time = time,
            Features = features,
            X = x,
            Y = y,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
        };
        team.Run(ref kernel);
    }

    /// <summary>−1, 0 or 1.</summary>
    private static TVec Sign<TSimd, TVec>(TVec value)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged =>
        TSimd.Subtract(
            TSimd.SelectGreater(value, TSimd.Zero, TSimd.Set(1), TSimd.Zero),
            TSimd.SelectGreater(TSimd.Zero, value, TSimd.Set(1), TSimd.Zero));

    private struct ForwardKernel<TStored> : ITeamKernel
        where TStored : unmanaged
    {
        public int Batch;
        public int Time;
        public int Features;
        public TStored* X;
        public float* Y;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (int clip = begin; clip < end; clip++)
            {
                TStored* x = X + ((long)clip * Time * Features);
                float* y = Y + ((long)clip * 3 * Features);
                for (int first = 0; first < Features; first += FeaturesTogether)
                {
                    Clip<TSimd, TVec>(x + first, y + first, Math.Min(FeaturesTogether, Features - first));
                }
            }
        }

        /// <summary>Some neighbouring features of a clip; sums stand in the output until they are complete.</summary>
        private readonly void Clip<TSimd, TVec>(TStored* x, float* mean, int count)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            float* deviation = mean + Features, step = deviation + Features;
            new Span<float>(mean, count).Clear();
            new Span<float>(deviation, count).Clear();
            new Span<float>(step, count).Clear();

            // All is counted from the first frame until the end: what does not change has exactly no deviation then, and what hardly
            // changes loses no digits to its size.
            for (int t = 1; t < Time; t++)
            {
                TStored* frame = x + ((long)t * Features);
                for (int i = 0; i < count; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, count - i);
                    TVec value = Lanes.LoadAs<TSimd, TVec, TStored>(frame + i, lanes);
                    TVec rise = TSimd.Subtract(value, Lanes.LoadAs<TSimd, TVec, TStored>(x + i, lanes));
                    TVec change = TSimd.Subtract(value, Lanes.LoadAs<TSimd, TVec, TStored>(frame - Features + i, lanes));
                    TVec size = TSimd.Max(change, TSimd.Subtract(TSimd.Zero, change));
                    Lanes.Store<TSimd, TVec>(mean + i, TSimd.Add(Lanes.Load<TSimd, TVec>(mean + i, lanes), rise), lanes);
                    Lanes.Store<TSimd, TVec>(step + i, TSimd.Add(Lanes.Load<TSimd, TVec>(step + i, lanes), size), lanes);
                }
            }

            TVec frames = TSimd.Set(Time), steps = TSimd.Set(Math.Max(1, Time - 1));
            for (int i = 0; i < count; i += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, count - i);
                Lanes.Store<TSimd, TVec>(mean + i, TSimd.Divide(Lanes.Load<TSimd, TVec>(mean + i, lanes), frames), lanes);
                Lanes.Store<TSimd, TVec>(step + i, TSimd.Divide(Lanes.Load<TSimd, TVec>(step + i, lanes), steps), lanes);
            }

            for (int t = 0; t < Time; t++)
            {
                TStored* frame = x + ((long)t * Features);
                for (int i = 0; i < count; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, count - i);
                    TVec rise = TSimd.Subtract(
                        Lanes.LoadAs<TSimd, TVec, TStored>(frame + i, lanes), Lanes.LoadAs<TSimd, TVec, TStored>(x + i, lanes));
                    TVec off = TSimd.Subtract(rise, Lanes.Load<TSimd, TVec>(mean + i, lanes));
                    TVec squares = TSimd.MultiplyAdd(off, off, Lanes.Load<TSimd, TVec>(deviation + i, lanes));
                    Lanes.Store<TSimd, TVec>(deviation + i, squares, lanes);
                }
            }

            for (int i = 0; i < count; i += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, count - i);
                TVec variance = TSimd.Divide(Lanes.Load<TSimd, TVec>(deviation + i, lanes), frames);
                Lanes.Store<TSimd, TVec>(deviation + i, TSimd.Sqrt(variance), lanes);
                TVec first = Lanes.LoadAs<TSimd, TVec, TStored>(x + i, lanes);
                Lanes.Store<TSimd, TVec>(mean + i, TSimd.Add(first, Lanes.Load<TSimd, TVec>(mean + i, lanes)), lanes);
            }
        }
    }

    private struct BackwardKernel<TStored> : ITeamKernel
        where TStored : unmanaged
    {
        public int Batch;
        public int Time;
        public int Features;
        public TStored* X;
        public float* Y;
        public float* OutputGradient;
        public TStored* InputGradient;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (int clip = begin; clip < end; clip++)
            {
                for (int i = 0; i < Features; i += TSimd.Width)
                {
                    Clip<TSimd, TVec>(clip, i, Math.Min(TSimd.Width, Features - i));
                }
            }
        }

        private readonly void Clip<TSimd, TVec>(int clip, int first, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            long start = ((long)clip * Time * Features) + first, place = ((long)clip * 3 * Features) + first;
            TVec mean = Lanes.Load<TSimd, TVec>(Y + place, lanes), deviation = Lanes.Load<TSimd, TVec>(Y + place + Features, lanes);
            TVec frames = TSimd.Set(Time);
            TVec ofMean = TSimd.Divide(Lanes.Load<TSimd, TVec>(OutputGradient + place, lanes), frames);
            TVec ofDeviation = TSimd.Divide(
                Lanes.Load<TSimd, TVec>(OutputGradient + place + Features, lanes), TSimd.Multiply(frames, deviation));
            ofDeviation = TSimd.SelectGreater(deviation, TSimd.Zero, ofDeviation, TSimd.Zero);
            TVec ofStep = TSimd.Divide(
                Lanes.Load<TSimd, TVec>(OutputGradient + place + (2 * Features), lanes), TSimd.Set(Math.Max(1, Time - 1)));

            TVec value = Lanes.LoadAs<TSimd, TVec, TStored>(X + start, lanes), signBefore = TSimd.Zero;
            for (int t = 0; t < Time; t++)
            {
                // Behind the last frame nothing changes any more.
                TVec next = t + 1 < Time
                    ? Lanes.LoadAs<TSimd, TVec, TStored>(X + start + ((long)(t + 1) * Features), lanes)
                    : value;
                TVec sign = Sign<TSimd, TVec>(TSimd.Subtract(next, value));
                TVec gradient = TSimd.MultiplyAdd(ofDeviation, TSimd.Subtract(value, mean), ofMean);
                gradient = TSimd.MultiplyAdd(ofStep, TSimd.Subtract(signBefore, sign), gradient);
                Lanes.StoreAs<TSimd, TVec, TStored>(InputGradient + start + ((long)t * Features), gradient, lanes);
                (value, signBefore) = (next, sign);
            }
        }
    }
}
