using CudaTrainer.Formats;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Devices;

/// <summary>A GPU's memory, for its arena.</summary>
internal sealed class CudaMemorySource(CudaContext context) : IMemorySource
{
    public int Alignment => 256;

    public string Hint => $"Use a smaller {SettingName.Of("BatchSize")}, or free memory on the GPU (nvidia-smi shows who holds it).";

    public nint TryAllocate(long bytes) => context.TryAllocate(bytes);

    public void Free(nint block) => context.Free(block);

    public (long Free, long Total) Capacity() => context.MemoryInfo();
}
