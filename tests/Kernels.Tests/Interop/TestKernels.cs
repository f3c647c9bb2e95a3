using CudaTrainer.Kernels.Device;
using ILGPU;
using Block = ILGPU.Grid;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Small kernels for tests of launches, modules and the compiler.</summary>
internal static unsafe class TestKernels
{
    private const int Threads = 256;

    /// <summary>Threads of a block of <see cref="Bounded"/> and <see cref="Coordinates"/>.</summary>
    public const int FewThreads = 64;

    /// <summary>Writes every argument as a number.</summary>
    [GpuKernel(FewThreads)]
    public static void Echo(EchoArguments a)
    {
        if (Group.IdxX == 0 && Block.IdxX == 0)
        {
            a.Results.Start[0] = a.Byte;
            a.Results.Start[1] = a.Short;
            a.Results.Start[2] = a.Int;
            a.Results.Start[3] = a.Float;
            a.Results.Start[4] = a.Long;
            a.Results.Start[5] = a.Double;
            a.Results.Start[6] = a.Numbers.Start[1];
            a.Results.Start[7] = a.Unsigned;
            a.Results.Start[8] = a.Pair.Small;
            a.Results.Start[9] = a.Pair.Large;
            a.Results.Start[10] = (int)a.Day;
        }
    }

    [GpuKernel(FewThreads)]
    public static void Coordinates(OneArray a)
    {
        int block = Block.IdxX + (Block.DimX * (Block.IdxY + (Block.DimY * Block.IdxZ)));
        int thread = Group.IdxX + (Group.DimX * (Group.IdxY + (Group.DimY * Group.IdxZ)));
        a.Numbers.Start[(block * Group.DimX * Group.DimY * Group.DimZ) + thread] =
            (1000 * (Block.IdxX + (10 * Block.IdxY) + (100 * Block.IdxZ))) + Group.IdxX + (10 * Group.IdxY) + (100 * Group.IdxZ);
    }

    [GpuKernel(4 * Threads)]
    public static void Add(AddArguments a) => a.Numbers.Start[GpuThread.Index] += a.Value;

    [GpuKernel(Threads)]
    public static void Reverse(OneArray a)
    {
        ArrayView<int> shared = SharedMemory.GetDynamic<int>();
        shared[GpuThread.Index] = a.Numbers.Start[GpuThread.Index];
        GpuThread.Barrier();
        a.Numbers.Start[GpuThread.Index] = shared[Group.DimX - 1 - GpuThread.Index];
    }

    [GpuKernel(FewThreads)]
    public static void Bounded(OneArray a) => a.Numbers.Start[GpuThread.Index] = 1;

    [GpuKernel(Threads)]
    public static void Put(AddArguments a) => a.Numbers.Start[GpuThread.Index] = a.Value;

    public struct OneArray
    {
        public GpuArray<int> Numbers;
    }

    public struct AddArguments
    {
        public GpuArray<int> Numbers;
        public int Value;
    }

    /// <summary>Small fields before large ones, so that there are gaps.</summary>
    public struct EchoArguments
    {
        public sbyte Byte;
        public ushort Short;
        public GpuArray<double> Results;
        public float Float;
        public long Long;
        public int Int;
        public double Double;
        public SmallAndLarge Pair;
        public DayOfWeek Day;
        public GpuArray<int> Numbers;
        public uint Unsigned;
    }

    public struct SmallAndLarge
    {
        public byte Small;
        public long Large;
    }
}
