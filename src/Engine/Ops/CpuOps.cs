using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Engine.Ops;

/// <summary>The ops of <see cref="CpuDevice"/>: each unpacks its tensors and calls the kernel of the same name.</summary>
internal sealed unsafe partial class CpuOps(ThreadTeam team) : IOps
{
    private static float* Floats(Tensor tensor) => (float*)tensor.Data;

    private static StepState* State(Tensor state) => (StepState*)state.Data;

    /// <summary>The mask of the current step.</summary>
    private static Dropout Mask(in LayerDropout dropout)
    {
        int step = dropout.State is null ? 0 : State(dropout.State)->Step;
        return dropout.Enabled ? new Dropout(dropout.Probability, dropout.Seed, dropout.Subsequence(step), dropout.First) : default;
    }
}
