using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Features of each frame with the difference to the frame before beside them, by the formulas of docs/kernels-layers.md.
/// </summary>
/// <remarks>Clips are dealt out to members; every output is one subtraction, or two in the backward pass.</remarks>
internal static unsafe class TimeDifferences
{
    /// <param name="batch">Clips B.</param>
    /// <param name="time">Frames T.</param>
    /// <param name="features">Features D.</param>
    /// <param name="x">Input [B, T, D].</param>
    /// <param name="y">Output [B, T, 2·D]: features, then differences.</param>
    /// <typeparam name="TStored">Float or <see cref="Half"/>, of all arrays.</typeparam>
    public static void Forward<TStored>(ThreadTeam team, int batch, int time, int features, TStored* x, TStored* y)
        where TStored : unmanaged
    {
        var kernel = new ForwardKernel<TStored> { Batch = batch, Time = time, Features = features, X = x, Y = y };
        team.Run(ref kernel);
    }

    /// <param name="outputGradient">∂L/∂y [B, T, 2·D].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, D], overwritten.</param>
    /// <inheritdoc cref="Forward"/>
    public static void Backward<TStored>(
        ThreadTeam team, int batch, int time, int features, TStored* outputGradient, TStored* inputGradient)
        where TStored : unmanaged
    {
        var kernel = new BackwardKernel<TStored>
        {
            Batch = batch,
            Time = time,
            Features = features,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
        };
        team.Run(ref kernel);
    }

    private struct ForwardKernel<TStored> : ITeamKernel
        where TStored : unmanaged
    {
        public int Batch;
        public int Time;
        public int Features;
        public TStored* X;
        public TStored* Y;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (long row = (long)begin * Time; row < (long)end * Time; row++)
            {
                TStored* x = X + (row * Features), y = Y + (row * 2 * Features), difference = y + Features;
                new ReadOnlySpan<TStored>(x, Features).CopyTo(new Span<TStored>(y, Features));
                if (row % Time == 0)
                {
                    new Span<TStored>(difference, Features).Clear();
                    continue;
                }

                for (int i = 0; i < Features; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, Features - i);
                    TVec now = Lanes.LoadAs<TSimd, TVec, TStored>(x + i, lanes);
                    TVec before = Lanes.LoadAs<TSimd, TVec, TStored>(x - Features + i, lanes);
                    Lanes.StoreAs<TSimd, TVec, TStored>(difference + i, TSimd.Subtract(now, before), lanes);
                }
            }
        }
    }

    private struct BackwardKernel<TStored> : ITeamKernel
        where TStored : unmanaged
    {
        public int Batch;
        public int Time;
        public int Features;
        public TStored* OutputGradient;
        public TStored* InputGradient;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (long row = (long)begin * Time; row < (long)end * Time; row++)
            {
                long t = row % Time;
                TStored* dy = OutputGradient + (row * 2 * Features), dx = InputGradient + (row * Features);
                for (int i = 0; i < Features; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, Features - i);
                    TVec gradient = Lanes.LoadAs<TSimd, TVec, TStored>(dy + i, lanes);
                    if (t > 0)
                    {
                        gradient = TSimd.Add(gradient, Lanes.LoadAs<TSimd, TVec, TStored>(dy + Features + i, lanes));
                    }

                    if (t + 1 < Time)
                    {
                        gradient = TSimd.Subtract(gradient, Lanes.LoadAs<TSimd, TVec, TStored>(dy + (3L * Features) + i, lanes));
                    }

                    Lanes.StoreAs<TSimd, TVec, TStored>(dx + i, gradient, lanes);
                }
            }
        }
    }
}
