namespace CudaTrainer.Kernels.Cpu;

/// <summary>What a kernel applies to a finished sum before it stores it.</summary>
internal enum Activation
{
    None,
    Relu,
}
