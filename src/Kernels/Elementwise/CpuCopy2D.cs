using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Copies a rectangle of a row-major matrix into another: concatenation and split along the last axis, or one time step of a sequence.
/// </summary>
internal static unsafe class Copy2D
{
    /// <summary>Columns that a member copies at a time.</summary>
    private const int BlockColumns = 4_096;

    /// <param name="source">First element of the rectangle to read.</param>
    /// <param name="sourceStride">Elements from one row of it to the next.</param>
    /// <param name="destination">First element of the rectangle to write; must not overlap the source.</param>
    /// <param name="destinationStride">Elements from one row of it to the next.</param>
    /// <param name="accumulate">Whether to add to what is there instead of replacing it.</param>
    public static void Run(
        ThreadTeam team, int rows, int columns, float* source, long sourceStride, float* destination, long destinationStride,
        bool accumulate = false)
    {
        var kernel = new Kernel
        {
            Rows = rows,
            Columns = columns,
            Source = source,
            SourceStride = sourceStride,
            Destination = destination,
            DestinationStride = destinationStride,
            Accumulate = accumulate,
        };
        team.Run(ref kernel);
    }

    private struct Kernel : ITeamKernel
    {
        public int Rows;
        public int Columns;
        public float* Source;
        public long SourceStride;
        public float* Destination;
        public long DestinationStride;
        public bool Accumulate;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int blocksPerRow = (Columns + BlockColumns - 1) / BlockColumns;
            (long begin, long end) = member.Share((long)Rows * blocksPerRow, 1);
            for (long block = begin; block < end; block++)
            {
                (long row, long blockInRow) = Math.DivRem(block, blocksPerRow);
                int column = (int)blockInRow * BlockColumns;
                int count = Math.Min(BlockColumns, Columns - column);
                float* source = Source + (row * SourceStride) + column;
                float* destination = Destination + (row * DestinationStride) + column;
                for (int i = 0; i < count; i += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, count - i);
                    TVec value = Lanes.Load<TSimd, TVec>(source + i, lanes);
                    if (Accumulate)
                    {
                        value = TSimd.Add(Lanes.Load<TSimd, TVec>(destination + i, lanes), value);
                    }

                    Lanes.Store<TSimd, TVec>(destination + i, value, lanes);
                }
            }
        }
    }
}
