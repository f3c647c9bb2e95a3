using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Devices;

/// <summary>
/// The processor: our SIMD kernels on a team of threads. Several may exist at once (<c>cpu:0</c>, <c>cpu:1</c>…), each with its own memory
/// and team.
/// </summary>
public sealed class CpuDevice : HostDevice
{
    private readonly ThreadTeam _team;

    /// <param name="threads">Compute threads; 0 = one per core.</param>
    /// <param name="index">Number among several virtual devices.</param>
    /// <param name="level">SIMD level; the process-wide choice if null.</param>
    /// <param name="halfProducts">
    /// Whether matrices are multiplied in bfloat16 with sums in single precision, where the machine can (AVX512_BF16) and the level is that
    /// of 512 bits.
    /// </param>
    public CpuDevice(int threads = 0, int index = 0, SimdLevel? level = null, bool halfProducts = false)
        : base(index == 0 ? "cpu" : $"cpu:{index}")
    {
        level ??= SimdSelection.Current;
        _team = new ThreadTeam(threads == 0 ? Environment.ProcessorCount : threads, level)
        {
            PairTile = halfProducts && level == SimdLevel.V512 ? HalfProducts.Tile : default,
        };
        TensorOps = new CpuOps(_team);
    }

    public int Threads => _team.Size;

    /// <summary>Those of them that compute at the moment.</summary>
    internal int ActiveThreads => _team.Active;

    /// <summary>Whether matrices are multiplied in bfloat16.</summary>
    public bool MultipliesInHalf => _team.PairTile.Exists;

    internal ThreadTeam Team => _team;

    public SimdLevel Level => _team.Level;

    public override string Description => $"{Threads} {(Threads == 1 ? "thread" : "threads")}, {LevelName(Level)}";

    public override ITensorOps TensorOps { get; }

    public override unsafe void Fill(nint destination, byte value, long bytes) =>
        Kernels.Cpu.Fill.Run(_team, (void*)destination, value, bytes);

    public static string LevelName(SimdLevel level) => level switch
    {
        SimdLevel.V512 => "AVX-512",
        SimdLevel.V256 => "AVX2",
        _ => "128-bit SIMD",
    };

    public override void Dispose()
    {
        _team.Dispose();
        base.Dispose();
    }
}
