using System.Diagnostics;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Replicas in one process whose devices share the host's memory. Protocol of an all-reduce, with a meeting between the lines:
/// <list type="number">
/// <item>everybody shows where its values are (and, with halves on the wire, rounds them in place);</item>
/// <item>everybody reads one chunk of all the others and writes the sum over its own: nobody else reads or writes that chunk now;</item>
/// <item>everybody copies the finished chunks of the others over its own, which nobody reads any more;</item>
/// <item>all go on: whoever changed its values earlier would change what others still copy.</item>
/// </list>
/// </summary>
internal sealed class HostLink : IReplicaLink
{
    private readonly Group _group;
    private readonly IDevice _device;
    private Tensor? _halves;
    private LinkFigures _figures;

    private HostLink(Group group, IDevice device, int rank)
    {
        _group = group;
        _device = device;
        Rank = rank;
    }

    public int Rank { get; }

    public int Size => _group.Size;

    public string Description => "shared memory";

    public LinkFigures Figures => _figures;

    /// <summary>The links of one group, one for each device, to be used by one thread each.</summary>
    public static IReplicaLink[] Connect(IReadOnlyList<IDevice> devices)
    {
        var group = new Group(devices.Count);
        return [.. devices.Select((device, rank) => new HostLink(group, device, rank))];
    }

    public void AllReduce(Tensor values, bool halfOnWire)
    {
        long began = Stopwatch.GetTimestamp();
        int count = checked((int)values.Count), bytes = values.DType.Size();
        if (halfOnWire)
        {
            Round(values);
        }

        _group.Show(Rank, values);
        Shard own = Shard.Of(count, Rank, Size);
        Tensor sum = values.Slice(own.First, own.Count);
        for (int i = 1; i < Size; i++)
        {
            _device.Ops.Accumulate(_group.Shown((Rank + i) % Size).Slice(own.First, own.Count), sum);
        }

        if (halfOnWire)
        {
            Round(sum);
        }

        _group.Meet();
        for (int i = 1; i < Size; i++)
        {
            int other = (Rank + i) % Size;
            Shard chunk = Shard.Of(count, other, Size);
            _device.Copy(_group.Shown(other).AddressOf(chunk.First, chunk.Count), values.AddressOf(chunk.First, chunk.Count),
                (long)chunk.Count * bytes);
        }

        _group.Meet();
        long received = ((long)(Size - 1) * own.Count) + (count - own.Count);
        double seconds = _figures.Seconds + Stopwatch.GetElapsedTime(began).TotalSeconds;
        _figures = new LinkFigures(_figures.Calls + 1, _figures.Messages + (2L * (Size - 1)), _figures.Bytes + (received * bytes), seconds,
            seconds);
    }

    public void Join()
    {
    }

    public void AllGather(Tensor part, Tensor gathered, int parts)
    {
        _group.Show(Rank, part, parts);
        for (int i = 0; i < parts; i++)
        {
            _device.Copy(_group.Shown(i).Data, gathered.AddressOf(i, 1), part.Bytes);
        }

        _group.Meet(parts);
    }

    public void Confirm()
    {
    }

    public byte[] AllGatherHost(ReadOnlySpan<byte> mine) => _group.Gather(Rank, mine);

    public void Abort() => _group.Abort();

    public void Dispose() => _halves?.Dispose();

    /// <summary>What numbers become that travel in half precision.</summary>
    private void Round(Tensor values)
    {
        if (_halves is null || _halves.Count < values.Count)
        {
            _halves?.Dispose();
            _halves = Tensor.Allocate(_device, values.Shape, DType.Float16, "gradients on the wire");
        }

        Tensor halves = _halves.Slice(0, (int)values.Count);
        _device.Ops.Cast(values, halves);
        _device.Ops.Cast(halves, values);
    }

    /// <summary>What the links of a group have in common.</summary>
    private sealed class Group(int size) : ReplicaMeetings(size)
    {
        private readonly Tensor[] _shown = new Tensor[size];

        public Tensor Shown(int rank) => _shown[rank];

        public void Show(int rank, Tensor values, int parts = 0)
        {
            _shown[rank] = values;
            Meet(parts);
        }
    }
}
