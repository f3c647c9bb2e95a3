using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Ops;

/// <summary>
/// Scratch memory of ops, one growing block for each use. Ops run in order on one stream, so that each may overwrite what the one before
/// has read. Blocks that were outgrown stay until the end: a captured graph may still compute in them.
/// </summary>
internal sealed class CudaWorkspace(IDevice device) : IDisposable
{
    private readonly DeviceBuffer?[] _blocks = new DeviceBuffer?[Enum.GetValues<Use>().Length];
    private readonly List<DeviceBuffer> _outgrown = [];

    public enum Use
    {
        OperandA,
        OperandB,
        States,
        Sums,
        RowSums,
        ConvOutput,
        ConvScratch,
        RecurrentWeights,
        RecurrentGradients,
        RecurrentScratch,
        RecurrentInput,
    }

    /// <summary>Device address of at least so many bytes, undefined contents.</summary>
    public nint Take(Use use, long bytes)
    {
        ref DeviceBuffer? block = ref _blocks[(int)use];
        if (block is null || block.Bytes < bytes)
        {
            DeviceBuffer larger = device.Allocate(bytes, $"workspace for {use}");
            if (block is not null)
            {
                _outgrown.Add(block);
            }

            block = larger;
        }

        return block.Pointer;
    }

    public void Dispose()
    {
        foreach (DeviceBuffer? block in _blocks.Concat(_outgrown))
        {
            if (block is not null)
            {
                device.Free(block);
            }
        }
    }
}
