using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Adds the rows of a matrix to a vector: the gradient of a bias.</summary>
/// <remarks>A member owns whole columns. Sums run over chunks of <see cref="RowsPerChunk"/> rows and then over the chunks.</remarks>
internal static unsafe class ColumnSum
{
    private const int RowsPerChunk = 64;
    private const int ColumnsPerLine = 16;

    /// <param name="matrix">[rows, columns].</param>
    /// <param name="stride">Elements from one row to the next.</param>
    /// <param name="sums">[columns], added to.</param>
    public static void Accumulate(ThreadTeam team, int rows, int columns, float* matrix, long stride, float* sums)
    {
        var kernel = new Kernel { Rows = rows, Columns = columns, Matrix = matrix, Stride = stride, Sums = sums };
        team.Run(ref kernel);
    }

    private struct Kernel : ITeamKernel
    {
        public int Rows;
        public int Columns;
        public float* Matrix;
        public long Stride;
        public float* Sums;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Columns, ColumnsPerLine);
            for (int column = begin; column < end; column += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, end - column);
                TVec sum = TSimd.Zero;
                for (int chunk = 0; chunk < Rows; chunk += RowsPerChunk)
                {
                    TVec partial = TSimd.Zero;
                    for (int row = chunk; row < Math.Min(chunk + RowsPerChunk, Rows); row++)
                    {
                        partial = TSimd.Add(partial, Lanes.Load<TSimd, TVec>(Matrix + (row * Stride) + column, lanes));
                    }

                    sum = TSimd.Add(sum, partial);
                }

                Lanes.Store<TSimd, TVec>(Sums + column, TSimd.Add(Lanes.Load<TSimd, TVec>(Sums + column, lanes), sum), lanes);
            }
        }
    }
}
