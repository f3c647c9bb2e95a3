using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Elementwise operations that no other kernel has fused.</summary>
public static unsafe class Elementwise
{
    private const int ElementsPerLine = 16;

    /// <param name="operation">Which one.</param>
    /// <param name="a">First operand [count].</param>
    /// <param name="b">Second operand [count]; read only by <see cref="ElementwiseOperation.Add"/>.</param>
    /// <param name="y">Output [count]; may be an operand.</param>
    /// <param name="factor">c, where the operation has one.</param>
    public static void Run(ThreadTeam team, ElementwiseOperation operation, long count, float* a, float* b, float* y, float factor = 1)
    {
        var kernel = new Kernel { Operation = operation, Count = count, A = a, B = b, Y = y, Factor = factor };
        team.Run(ref kernel);
    }

    /// <summary>Adds numbers in half precision, converted exactly, to numbers in single precision.</summary>
    /// <param name="a">[count].</param>
    /// <param name="y">Input and output [count].</param>
    public static void AddHalf(ThreadTeam team, long count, Half* a, float* y)
    {
        var kernel = new AddHalfKernel { Count = count, A = a, Y = y };
        team.Run(ref kernel);
    }

    private struct AddHalfKernel : ITeamKernel
    {
        public long Count;
        public Half* A;
        public float* Y;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, 2 * ElementsPerLine);
            for (long i = begin; i < end; i += TSimd.Width)
            {
                int lanes = (int)Math.Min(TSimd.Width, end - i);
                Lanes.Store<TSimd, TVec>(Y + i,
                    TSimd.Add(Lanes.LoadHalf<TSimd, TVec>(A + i, lanes), Lanes.Load<TSimd, TVec>(Y + i, lanes)), lanes);
            }
        }
    }

    private struct Kernel : ITeamKernel
    {
        public ElementwiseOperation Operation;
        public long Count;
        public float* A;
        public float* B;
        public float* Y;
        public float Factor;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, ElementsPerLine);
            TVec factor = TSimd.Set(Factor);
            for (long i = begin; i < end; i += TSimd.Width)
            {
                int lanes = (int)Math.Min(TSimd.Width, end - i);
                TVec a = Lanes.Load<TSimd, TVec>(A + i, lanes);
                TVec y = Operation switch
                {
                    ElementwiseOperation.Add => TSimd.Add(a, Lanes.Load<TSimd, TVec>(B + i, lanes)),
                    ElementwiseOperation.Scale => TSimd.Multiply(factor, a),
                    _ => TSimd.MultiplyAdd(factor, a, Lanes.Load<TSimd, TVec>(Y + i, lanes)),
                };
                Lanes.Store<TSimd, TVec>(Y + i, y, lanes);
            }
        }
    }
}
