using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Backends.Cpu;

/// <summary>The processor: our SIMD kernels on a team of threads. Several may exist at once (<c>cpu:0</c>, <c>cpu:1</c>…), each with its own memory and team.</summary>
public sealed class CpuDevice : HostDevice
{
    private readonly ThreadTeam _team;

    /// <param name="threads">Compute threads; 0 = one per core.</param>
    /// <param name="index">Number among several virtual devices.</param>
    /// <param name="level">SIMD level; the process-wide choice if null.</param>
    public CpuDevice(int threads = 0, int index = 0, SimdLevel? level = null)
        : base(index == 0 ? "cpu" : $"cpu:{index}")
    {
        _team = new ThreadTeam(threads == 0 ? Environment.ProcessorCount : threads, level);
        Ops = new CpuOps(_team);
    }

    public int Threads => _team.Size;

    internal ThreadTeam Team => _team;

    public SimdLevel Level => _team.Level;

    public override string Description => $"{Threads} {(Threads == 1 ? "thread" : "threads")}, {LevelName(Level)}";

    public override IOps Ops { get; }

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

/// <summary>The ops of <see cref="CpuDevice"/>: each unpacks its tensors and calls the kernel of the same name.</summary>
public sealed unsafe partial class CpuOps(ThreadTeam team) : IOps
{
    private static float* Floats(Tensor tensor) => (float*)tensor.Data;

    private static StepState* State(Tensor state) => (StepState*)state.Data;

    /// <summary>The mask of the current step.</summary>
    private static Dropout Mask(in LayerDropout dropout) => dropout.Enabled
        ? new Dropout(dropout.Probability, dropout.Seed, dropout.Stream(dropout.State is null ? 0 : State(dropout.State)->Step), dropout.First)
        : default;
}
