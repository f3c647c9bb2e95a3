using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// Replicas on the GPUs of one process, in a ring (<see cref="RingSchedule"/>; with two of them, that is one exchange of halves and one of
/// sums).
/// </summary>
/// <remarks>
/// <para>Who writes, who reads. A replica writes only its own memory. Its right neighbour reads the chunk that it completed in the hop
/// before: straight from its memory where peer access works (<see cref="PeerProbe"/>), otherwise from page-locked host memory to which the
/// writer has copied the chunk. On the wire in half precision, chunks are read from a buffer
/// of halves beside the values.</para>
/// <para>What orders it. Work goes to a communication stream of each GPU, which first waits for the gradients (an event on the compute
/// stream). After a hop a replica records an event and meets the others on the host, so that the event is recorded before a neighbour asks
/// for it; then its stream waits for the left neighbour's event. Nothing waits for a GPU on the host.
/// Within the ring a chunk is overwritten only after its last reader: the whole sum comes to a rank by way of the rank that read its part.
/// At the end the stream waits for the right neighbour's last event, after which the values are free to change.</para>
/// </remarks>
internal sealed unsafe class CudaRing : IReplicaLink
{
    private readonly Group _group;
    private readonly CudaDevice _device;
    private readonly CudaStream _stream;
    private readonly CudaEvent[] _hops;
    private readonly CudaEvent _ready;
    private readonly CudaEvent _summed;
    private readonly AllReduce _halfHops;
    private readonly Elementwise _elementwise;
    private DeviceBuffer? _halves;
    private DeviceBuffer? _incoming;
    private PinnedMemory? _staged;
    private PinnedMemory? _part;
    private readonly CudaCommunicationClock _clock;
    private long _calls;
    private long _bytes;

    private CudaRing(Group group, CudaDevice device, int rank)
    {
        _group = group;
        _device = device;
        Rank = rank;
        _stream = new CudaStream(device.Context);
        _hops = [.. Enumerable.Range(0, 2 * group.Size).Select(_ => new CudaEvent(device.Context))];
        _ready = new CudaEvent(device.Context);
        _summed = new CudaEvent(device.Context);
        _halfHops = new AllReduce(device.Library);
        _elementwise = new Elementwise(device.Library);
        _clock = new CudaCommunicationClock(device.Context);
    }

    public int Rank { get; }

    public int Size => _group.Size;

    public string Description => _group.Description;

    public LinkFigures Figures => new(_calls, _calls * 2 * (Size - 1), _bytes, _clock.Seconds, _clock.ExposedSeconds);

    /// <summary>Whether this replica reads its left neighbour's memory itself.</summary>
    private bool ReadsPeer => _group.Faults[Rank] is null;

    private bool IsReadByPeer => _group.Faults[RingSchedule.Next(Rank, Size)] is null;

    private CudaRing LeftLink => _group.Links[RingSchedule.Previous(Rank, Size)];

    private CudaRing RightLink => _group.Links[RingSchedule.Next(Rank, Size)];

    /// <summary>The links of one group, one for each GPU, to be used by one thread each.</summary>
    public static IReplicaLink[] Connect(IReadOnlyList<CudaDevice> devices)
    {
        int size = devices.Count;
        var group = new Group([.. devices.Select((device, rank) => PeerProbe.WhyNot(device, devices[RingSchedule.Previous(rank, size)]))]);
        for (int rank = 0; rank < size; rank++)
        {
            group.Links[rank] = new CudaRing(group, devices[rank], rank);
        }

        return [.. group.Links];
    }

    public void AllReduce(Tensor values, bool halfOnWire)
    {
        long count = values.Count;
        Prepare(count, halfOnWire);
        _device.ComputeStream.Record(_ready);
        _stream.Wait(_ready);
        _clock.Begin(_stream);
        _group.Values[Rank] = values.Data;
        var wire = new Wire(this, values.Data, halfOnWire);
        (long first, long length) = RingSchedule.Bounds(count, Size, Rank);
        if (halfOnWire)
        {
            _elementwise.Cast(_stream, length, values.Data + (nint)(first * sizeof(float)), CudaType.Float32, wire.Own(first),
                CudaType.Float16);
        }

        int hop = 0;
        Depart(wire, first, length, ref hop);
        for (int i = 0; i < Size - 1; i++)
        {
            (first, length) = RingSchedule.Bounds(count, Size, RingSchedule.ReduceReceives(Rank, Size, i));
            nint arriving = Arrive(wire, first, length, hop, straight: false), target = values.Data + (nint)(first * sizeof(float));
            if (halfOnWire)
            {
                _halfHops.AddHalf(_stream, length, arriving, target, wire.Own(first), isLast: i == Size - 2);
            }
            else
            {
                _elementwise.Accumulate(_stream, length, arriving, target, CudaType.Float32);
            }

            Depart(wire, first, length, ref hop);
        }

        for (int i = 0; i < Size - 1; i++)
        {
            (first, length) = RingSchedule.Bounds(count, Size, RingSchedule.GatherReceives(Rank, Size, i));
            nint arriving = Arrive(wire, first, length, hop, straight: !halfOnWire);
            if (halfOnWire)
            {
                _halfHops.TakeHalf(_stream, length, arriving, values.Data + (nint)(first * sizeof(float)), wire.Own(first));
            }

            if (i < Size - 2)
            {
                Depart(wire, first, length, ref hop);
            }
        }

        _stream.Record(_hops[hop]);
        _group.Meet();
        _stream.Wait(RightLink._hops[hop]);
        _clock.End(_stream);
        _stream.Record(_summed);
        _calls++;
        _bytes += 2 * (count - (count / Size)) * wire.ElementBytes;
    }

    public void Join() => _clock.Join(_device.ComputeStream, _summed);

    /// <summary>
    /// By way of page-locked memory: parts are a few kilobytes, whose time is latency either way, and any replica may be any other's peer
    /// here.
    /// </summary>
    public void AllGather(Tensor part, Tensor gathered, int parts)
    {
        CudaStream compute = _device.ComputeStream;
        if (_part is null || _part.Bytes < part.Bytes)
        {
            // Nobody reads the old one: every call ends with waiting for all readers.
            _part = _device.Context.AllocatePinned(part.Bytes);
        }

        compute.CopyToHost(part.Data, _part.Pointer, part.Bytes);
        compute.Record(_hops[0]);
        _group.Meet(parts);
        for (int i = 0; i < parts; i++)
        {
            CudaRing link = _group.Links[i];
            if (i != Rank)
            {
                compute.Wait(link._hops[0]);
            }

            compute.CopyToDevice(link._part!.Pointer, gathered.AddressOf(i, 1), part.Bytes);
        }

        compute.Record(_hops[1]);
        _group.Meet(parts);
        for (int i = 0; i < parts; i++)
        {
            if (i != Rank)
            {
                compute.Wait(_group.Links[i]._hops[1]);
            }
        }
    }

    public void Confirm() => _clock.Collect();

    public byte[] AllGatherHost(ReadOnlySpan<byte> mine) => _group.Gather(Rank, mine);

    public void Abort() => _group.Abort();

    public void Dispose()
    {
        Free(ref _halves);
        Free(ref _incoming);
        _staged?.Dispose();
        _part?.Dispose();

        void Free(ref DeviceBuffer? buffer)
        {
            if (buffer is not null)
            {
                _device.Free(buffer);
                buffer = null;
            }
        }
    }

    /// <summary>Makes a completed chunk readable for the right neighbour.</summary>
    private void Depart(in Wire wire, long first, long length, ref int hop)
    {
        if (!IsReadByPeer)
        {
            _stream.CopyToHost(wire.Own(first), wire.Staged(this, first), length * wire.ElementBytes);
        }

        _stream.Record(_hops[hop++]);
        _group.Meet();
    }

    /// <summary>Where a chunk of the left neighbour can be read from now on.</summary>
    /// <param name="straight">Puts it in its place among the values at once.</param>
    private nint Arrive(in Wire wire, long first, long length, int hop, bool straight)
    {
        long bytes = length * wire.ElementBytes;
        _stream.Wait(LeftLink._hops[hop - 1]);
        nint target = straight ? wire.Own(first) : ReadsPeer ? 0 : _incoming!.Pointer;
        nint source = wire.Of(LeftLink, first);
        if (!ReadsPeer)
        {
            _stream.CopyToDevice(wire.Staged(LeftLink, first), target, bytes);
        }
        else if (straight)
        {
            _stream.CopyFromPeer(source, LeftLink._device.Context, target, bytes);
        }

        return target != 0 ? target : source;
    }

    /// <summary>Memory beside the values. The first pieces of a run may be smaller than later ones.</summary>
    private void Prepare(long count, bool halfOnWire)
    {
        int bytes = halfOnWire ? sizeof(short) : sizeof(float);
        if (halfOnWire)
        {
            Grow(ref _halves, count * sizeof(short), "gradients on the wire");
        }

        if (!ReadsPeer)
        {
            Grow(ref _incoming, ((count / Size) + 64) * bytes, "gradients that arrive");
        }

        if (!IsReadByPeer && (_staged is null || _staged.Bytes < count * bytes))
        {
            _stream.Synchronize();
            _staged?.Dispose();
            _staged = null;
            _staged = _device.Context.AllocatePinned(count * bytes);
        }

        void Grow(ref DeviceBuffer? buffer, long needed, string purpose)
        {
            if (buffer is null || buffer.Bytes < needed)
            {
                if (buffer is not null)
                {
                    // An all-reduce ends with this stream waiting for its neighbour: nobody reads the old memory after that.
                    _stream.Synchronize();
                    _device.Free(buffer);
                }

                buffer = _device.Allocate(needed, purpose);
            }
        }
    }

    /// <summary>Where chunks are sent from, and how large their elements are.</summary>
    private readonly struct Wire(CudaRing link, nint values, bool half)
    {
        public int ElementBytes => half ? sizeof(short) : sizeof(float);

        public nint Own(long first) => (half ? link._halves!.Pointer : values) + (nint)(first * ElementBytes);

        public nint Of(CudaRing other, long first) => (half ? other._halves!.Pointer : other._group.Values[other.Rank])
            + (nint)(first * ElementBytes);

        public nint Staged(CudaRing other, long first) => other._staged!.Pointer + (nint)(first * ElementBytes);
    }

    /// <summary>What the links of a group have in common.</summary>
    /// <param name="faults">For each rank why it cannot read its left neighbour's memory; null if it can.</param>
    private sealed class Group(string?[] faults) : ReplicaMeetings(faults.Length)
    {
        public string?[] Faults { get; } = faults;

        public CudaRing[] Links { get; } = new CudaRing[faults.Length];

        public nint[] Values { get; } = new nint[faults.Length];

        public string Description
        {
            get
            {
                string[] reasons = [.. Faults.Where(fault => fault is not null).Select(fault => fault!).Distinct()];
                return reasons.Length == 0 ? "peer to peer, checked" : $"by way of the host's memory: {string.Join("; ", reasons)}";
            }
        }
    }
}
