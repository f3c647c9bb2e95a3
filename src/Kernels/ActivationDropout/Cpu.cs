using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>y = dropout(relu(x)), either part optional, over any number of elements.</summary>
internal static unsafe class ActivationDropout
{
    /// <summary>Elements whose mask is made at a time; a multiple of the four that share a Philox block.</summary>
    private const int Tile = 2048;

    /// <param name="x">Input [count].</param>
    /// <param name="y">Output [count]; may be <paramref name="x"/>.</param>
    /// <param name="relu">Whether to clamp at 0 first; NaN stays NaN.</param>
    /// <param name="dropout">The mask; element numbers are indices into <paramref name="x"/>.</param>
    public static void Forward(ThreadTeam team, long count, float* x, float* y, bool relu, Dropout dropout)
    {
        var kernel = new ForwardKernel { Count = count, X = x, Y = y, Relu = relu, Dropout = dropout };
        team.Run(ref kernel);
    }

    /// <param name="x">The forward input or output [count]: the ReLU passes gradient where it is &gt; 0. Not read without ReLU.</param>
    /// <param name="outputGradient">∂L/∂y [count].</param>
    /// <param name="inputGradient">∂L/∂x [count], overwritten; may be <paramref name="outputGradient"/>.</param>
    public static void Backward(ThreadTeam team, long count, float* x, float* outputGradient, float* inputGradient, bool relu,
        Dropout dropout)
    {
        var kernel = new BackwardKernel
        {
            Count = count,
            X = x,
            OutputGradient = outputGradient,
            InputGradient = inputGradient,
            Relu = relu,
            Dropout = dropout,
        };
        team.Run(ref kernel);
    }

    private struct ForwardKernel : ITeamKernel
    {
        public long Count;
        public float* X;
        public float* Y;
        public bool Relu;
        public Dropout Dropout;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, Tile);
            float* buffer = stackalloc float[DropoutMask.BufferLength(Tile)];
            for (long tile = begin; tile < end; tile += Tile)
            {
                int length = (int)Math.Min(Tile, end - tile);
                float* factors = Dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(Dropout, tile, length, buffer) : null;
                for (int i = 0; i < length; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, length - i);
                    TVec value = Lanes.Load<TSimd, TVec>(X + tile + i, lanes);
                    if (Relu)
                    {
                        value = TSimd.Max(TSimd.Zero, value);
                    }

                    if (factors != null)
                    {
                        value = TSimd.Multiply(value, TSimd.Load(factors + i));
                    }

                    Lanes.Store<TSimd, TVec>(Y + tile + i, value, lanes);
                }
            }
        }
    }

    private struct BackwardKernel : ITeamKernel
    {
        public long Count;
        public float* X;
        public float* OutputGradient;
        public float* InputGradient;
        public bool Relu;
        public Dropout Dropout;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, Tile);
            float* buffer = stackalloc float[DropoutMask.BufferLength(Tile)];
            for (long tile = begin; tile < end; tile += Tile)
            {
                int length = (int)Math.Min(Tile, end - tile);
                float* factors = Dropout.IsActive ? DropoutMask.Fill<TSimd, TVec>(Dropout, tile, length, buffer) : null;
                for (int i = 0; i < length; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, length - i);
                    TVec gradient = Lanes.Load<TSimd, TVec>(OutputGradient + tile + i, lanes);
                    if (factors != null)
                    {
                        gradient = TSimd.Multiply(gradient, TSimd.Load(factors + i));
                    }

                    if (Relu)
                    {
                        gradient = TSimd.SelectGreater(Lanes.Load<TSimd, TVec>(X + tile + i, lanes), TSimd.Zero, gradient, TSimd.Zero);
                    }

                    Lanes.Store<TSimd, TVec>(InputGradient + tile + i, gradient, lanes);
                }
            }
        }
    }
}
