using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Features;

/// <summary>
/// Batches as a device sees them: in place where it shares the host's memory, otherwise copied into one of two blocks in turn, so that the
/// next batch is under way while the device computes with this one.
/// </summary>
internal sealed class DeviceInputs(IDevice device, DType featureType, int dimension) : IDisposable
{
    private readonly Block[] _blocks = [new(), new()];
    private int _last;

    /// <summary>Begins to copy the batch that is taken next, into the block that is not in use.</summary>
    public void Prefetch(HostBatch batch)
    {
        if (device.SharesHostMemory)
        {
            return;
        }

        Block block = _blocks[1 - _last];
        if (block.Batch != batch)
        {
            Upload(block, batch);
        }
    }

    /// <summary>The batch's place on the device; work queued from now on finds it there.</summary>
    /// <returns>Which block, 0 or 1: what is captured with one block does not fit the other.</returns>
    public int Take(HostBatch batch)
    {
        if (device.SharesHostMemory)
        {
            return 0;
        }

        _last = 1 - _last;
        Block block = _blocks[_last];
        if (block.Batch != batch)
        {
            Upload(block, batch);
        }

        // The same host batch may be filled anew and taken again: its copy serves once.
        block.Batch = null;
        device.QueueWait(block.Uploaded);
        return _last;
    }

    /// <summary>To be called when all work with the block has been queued: the next copy into it waits for that.</summary>
    public void Release(int block) => _blocks[block].Used = device.Mark();

    /// <summary>The taken batch's tensors, until the tape is reset.</summary>
    /// <returns>[Count, T, D] and [Count].</returns>
    public (Tensor Features, Tensor Labels) TensorsOf(Tape tape, int block, HostBatch batch)
    {
        int frames = checked((int)(batch.RowBytes / ((long)dimension * featureType.Size())));
        Shape shape = [batch.Count, frames, dimension];
        if (device.SharesHostMemory)
        {
            return (tape.Over(batch.Features.Pointer, shape, featureType, "features"),
                tape.Over(batch.Block.Pointer, [batch.Count], DType.Int32, "labels"));
        }

        Tensor memory = _blocks[block].Memory!;
        return (tape.Slice(memory, batch.FeaturesOffset, shape, featureType, "features"),
            tape.Slice(memory, 0, [batch.Count], DType.Int32, "labels"));
    }

    public void Dispose()
    {
        foreach (Block block in _blocks)
        {
            block.Memory?.Dispose();
        }
    }

    private void Upload(Block block, HostBatch batch)
    {
        if (block.Memory is null || block.Memory.Bytes < batch.Block.Bytes)
        {
            block.Memory?.Dispose();
            block.Memory = null;
            block.Memory = Tensor.Allocate(device, [checked((int)batch.Block.Bytes)], DType.UInt8, "batch");
        }

        block.Uploaded = device.UploadAsync(batch.Block, batch.UsedBytes, block.Memory.Data, block.Used);
        block.Batch = batch;
    }

    private sealed class Block
    {
        public Tensor? Memory { get; set; }

        public HostBatch? Batch { get; set; }

        public DeviceMark Uploaded { get; set; }

        public DeviceMark Used { get; set; }
    }
}
