using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Sets memory to one value, large pieces by all threads.</summary>
internal static unsafe class Fill
{
    /// <summary>Bytes below which one thread is faster than the hand-over.</summary>
    private const long SmallestShared = 1 << 18;

    private const int Page = 4096;

    public static void Run(ThreadTeam team, void* destination, byte value, long bytes)
    {
        if (bytes < SmallestShared)
        {
            NativeMemory.Fill(destination, (nuint)bytes, value);
            return;
        }

        var kernel = new Kernel { Destination = (byte*)destination, Value = value, Bytes = bytes };
        team.Run(ref kernel);
    }

    private struct Kernel : ITeamKernel
    {
        public byte* Destination;
        public byte Value;
        public long Bytes;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, Simd.ISimd<TVec>
            where TVec : unmanaged
        {
            (long begin, long end) = member.Share(Bytes, Page);
            NativeMemory.Fill(Destination + begin, (nuint)(end - begin), Value);
        }
    }
}
