using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Converts between single and half precision.</summary>
internal static unsafe class Cast
{
    private const int ElementsPerLine = 32;

    /// <summary>Rounds to nearest even; what is too large becomes infinite.</summary>
    /// <param name="source">[count].</param>
    /// <param name="destination">[count].</param>
    public static void ToHalf(ThreadTeam team, long count, float* source, Half* destination)
    {
        var kernel = new ToHalfKernel { Count = count, Source = source, Destination = destination };
        team.Run(ref kernel);
    }

    /// <summary>Exact.</summary>
    /// <inheritdoc cref="ToHalf"/>
    public static void ToSingle(ThreadTeam team, long count, Half* source, float* destination)
    {
        var kernel = new ToSingleKernel { Count = count, Source = source, Destination = destination };
        team.Run(ref kernel);
    }

    private struct ToHalfKernel : ITeamKernel
    {
        public long Count;
        public float* Source;
        public Half* Destination;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, ElementsPerLine);
            for (long i = begin; i < end; i += TSimd.Width)
            {
                int lanes = (int)Math.Min(TSimd.Width, end - i);
                Lanes.StoreHalf<TSimd, TVec>(Destination + i, Lanes.Load<TSimd, TVec>(Source + i, lanes), lanes);
            }
        }
    }

    private struct ToSingleKernel : ITeamKernel
    {
        public long Count;
        public Half* Source;
        public float* Destination;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Count, ElementsPerLine);
            for (long i = begin; i < end; i += TSimd.Width)
            {
                int lanes = (int)Math.Min(TSimd.Width, end - i);
                Lanes.Store<TSimd, TVec>(Destination + i, Lanes.LoadHalf<TSimd, TVec>(Source + i, lanes), lanes);
            }
        }
    }
}
