using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Parallel;

/// <summary>One replica on the processor in each process, with MPI between them.</summary>
internal sealed class MpiLink(MpiWorld world, CpuDevice device, Action<string> fail) : IReplicaLink
{
    private const int GatherTag = 3;

    private readonly MpiRing _ring = new(world, device.Team);
    private long _calls;

    public int Rank => world.Rank;

    public int Size => world.Size;

    public string Description => $"by {world.LibraryVersion}";

    public LinkFigures Figures =>
        new(_calls, _ring.Traffic.Messages, _ring.Traffic.Bytes, _ring.Traffic.Time.TotalSeconds, _ring.Traffic.Time.TotalSeconds);

    public unsafe void AllReduce(Tensor values, bool halfOnWire)
    {
        _ring.AllReduceSum((float*)values.Data, values.Count, halfOnWire);
        _calls++;
    }

    public void Join()
    {
    }

    public void Confirm()
    {
    }

    public unsafe void AllGather(Tensor part, Tensor gathered, int parts)
    {
        device.Copy(part.Data, gathered.AddressOf(Rank, 1), part.Bytes);
        ProcessGroup.ExchangeParts(world, part.Bytes, (byte*)gathered.Data, parts, GatherTag);
    }

    public byte[] AllGatherHost(ReadOnlySpan<byte> mine)
    {
        byte[] all = new byte[mine.Length * Size];
        world.AllGather(mine, all);
        return all;
    }

    public void Abort() => fail("its replica failed");

    public void Dispose() => _ring.Dispose();
}
