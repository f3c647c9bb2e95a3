using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Σ x² in double: no finite float overflows it, so that the sum is finite exactly when every element is. The sum runs over chunks of
/// fixed length and then over the chunks, in order, at every level and thread count.
/// </summary>
internal static unsafe class SumOfSquares
{
    /// <summary>Elements of a chunk: 64 KiB, twice of which still fits a second-level cache.</summary>
    internal const int ChunkLength = 16_384;

    /// <param name="x">[count].</param>
    /// <param name="result">Output: one number.</param>
    public static void Run(ThreadTeam team, long count, float* x, double* result)
    {
        int chunks = checked((int)((count + ChunkLength - 1) / ChunkLength));
        var kernel = new Kernel { Count = count, Chunks = chunks, X = x, Sums = (double*)team.Workspace(sizeof(double) * (nuint)chunks) };
        team.Run(ref kernel);

        double sum = 0;
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            sum += kernel.Sums[chunk];
        }

        *result = sum;
    }

    /// <summary>Σ x² of one chunk, in sixteen interleaved partial sums.</summary>
    internal static double OfChunk(float* x, int count)
    {
        Vector128<double> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        Vector128<double> sum4 = default, sum5 = default, sum6 = default, sum7 = default;
        int i = 0;
        for (; i <= count - 16; i += 16)
        {
            var a = Vector128.Load(x + i);
            var b = Vector128.Load(x + i + 4);
            var c = Vector128.Load(x + i + 8);
            var d = Vector128.Load(x + i + 12);
            sum0 = AddSquare(sum0, Vector128.WidenLower(a));
            sum1 = AddSquare(sum1, Vector128.WidenUpper(a));
            sum2 = AddSquare(sum2, Vector128.WidenLower(b));
            sum3 = AddSquare(sum3, Vector128.WidenUpper(b));
            sum4 = AddSquare(sum4, Vector128.WidenLower(c));
            sum5 = AddSquare(sum5, Vector128.WidenUpper(c));
            sum6 = AddSquare(sum6, Vector128.WidenLower(d));
            sum7 = AddSquare(sum7, Vector128.WidenUpper(d));
        }

        double sum = Vector128.Sum(((sum0 + sum1) + (sum2 + sum3)) + ((sum4 + sum5) + (sum6 + sum7)));
        for (; i < count; i++)
        {
            sum += (double)x[i] * x[i];
        }

        return sum;
    }

    /// <remarks>The square of a float is exact in double: fused or not, the bits are the same.</remarks>
    private static Vector128<double> AddSquare(Vector128<double> sum, Vector128<double> value) => sum + (value * value);

    private struct Kernel : ITeamKernel
    {
        public long Count;
        public int Chunks;
        public float* X;
        public double* Sums;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Chunks);
            for (int chunk = begin; chunk < end; chunk++)
            {
                long offset = (long)chunk * ChunkLength;
                Sums[chunk] = OfChunk(X + offset, (int)Math.Min(ChunkLength, Count - offset));
            }
        }
    }
}
