using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Cuda;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// One replica on a GPU in each process, on one machine or many, with NCCL between the GPUs and MPI between the hosts. NCCL's work goes to
/// a stream of its own, which waits for the gradients; the compute stream waits for it at <see cref="Join"/>.
/// </summary>
internal sealed class NcclLink : IReplicaLink
{
    private const int GatherTag = 4;

    private readonly MpiWorld _world;
    private readonly CudaDevice _device;
    private readonly NcclCommunicator _communicator;
    private readonly CudaStream _stream;
    private readonly CudaEvent _ready;
    private readonly CudaEvent _summed;
    private readonly Elementwise _elementwise;
    private readonly Action<string> _fail;
    private readonly CancellationTokenRegistration _lost;
    private DeviceBuffer? _halves;
    private readonly CudaCommunicationClock _clock;
    private long _calls;
    private long _bytes;

    /// <param name="world">All processes make this at the same time.</param>
    /// <param name="lost">Cancelled when a process is lost: NCCL itself might wait for it for ever.</param>
    /// <param name="fail">Tells the other processes.</param>
    public NcclLink(MpiWorld world, CudaDevice device, CancellationToken lost, Action<string> fail)
    {
        _world = world;
        _device = device;
        _fail = fail;
        byte[] id = world.Rank == 0 ? NcclCommunicator.NewUniqueId() : new byte[NcclIdBytes];
        world.Broadcast(id, 0);
        _stream = new CudaStream(device.Context);
        _ready = new CudaEvent(device.Context);
        _summed = new CudaEvent(device.Context);
        _elementwise = new Elementwise(device.Library);
        _clock = new CudaCommunicationClock(device.Context);
        _communicator = new NcclCommunicator(device.Context, id, world.Rank, world.Size);
        _lost = lost.Register(_communicator.Abort);
    }

    public static int NcclIdBytes => 128;

    public int Rank => _world.Rank;

    public int Size => _world.Size;

    public string Description => $"by NCCL {Kernels.Interop.Cuda.NcclVersion}, set up by {_world.LibraryVersion}";

    public LinkFigures Figures => new(_calls, _calls * 2 * (Size - 1), _bytes, _clock.Seconds, _clock.ExposedSeconds);

    public void AllReduce(Tensor values, bool halfOnWire)
    {
        long count = values.Count;
        _device.ComputeStream.Record(_ready);
        _stream.Wait(_ready);
        _clock.Begin(_stream);
        if (halfOnWire)
        {
            Grow(count * sizeof(short));
            nint halves = _halves!.Pointer;
            _elementwise.Cast(_stream, count, values.Data, CudaType.Float32, halves, CudaType.Float16);
            _communicator.AllReduceSum(_stream, halves, halves, count, CudaType.Float16);
            _elementwise.Cast(_stream, count, halves, CudaType.Float16, values.Data, CudaType.Float32);
        }
        else
        {
            _communicator.AllReduceSum(_stream, values.Data, values.Data, count, CudaType.Float32);
        }

        _clock.End(_stream);
        _stream.Record(_summed);

        // What a ring moves; NCCL chooses its own way.
        _calls++;
        _bytes += 2 * (count - (count / Size)) * (halfOnWire ? sizeof(short) : sizeof(float));
    }

    public void Join() => _clock.Join(_device.ComputeStream, _summed);

    public void Confirm()
    {
        _communicator.ThrowIfFailed();
        _clock.Collect();
    }

    public unsafe void AllGather(Tensor part, Tensor gathered, int parts)
    {
        if (parts < Size)
        {
            // NCCL's collectives are of all ranks; those without samples are not here. It happens in a run's last batches, if at all.
            byte[] all = new byte[gathered.Bytes];
            part.Download<float>(
                System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(all.AsSpan((int)(Rank * part.Bytes), (int)part.Bytes)));
            fixed (byte* pointer = all)
            {
                ProcessGroup.ExchangeParts(_world, part.Bytes, pointer, parts, GatherTag);
            }

            _device.Upload(all, gathered.Data);
            return;
        }

        // All collectives on one stream: NCCL wants them in the same order everywhere.
        _device.ComputeStream.Record(_ready);
        _stream.Wait(_ready);
        _communicator.AllGather(_stream, part.Data, gathered.Data, part.Bytes);
        _stream.Record(_summed);
        _device.ComputeStream.Wait(_summed);
    }

    public byte[] AllGatherHost(ReadOnlySpan<byte> mine)
    {
        byte[] all = new byte[mine.Length * Size];
        _world.AllGather(mine, all);
        return all;
    }

    public void Abort()
    {
        _fail("its replica failed");
        _communicator.Abort();
    }

    public void Dispose()
    {
        _lost.Dispose();
        if (_halves is not null)
        {
            _device.Free(_halves);
            _halves = null;
        }

        _communicator.Dispose();
    }

    private void Grow(long bytes)
    {
        if (_halves is null || _halves.Bytes < bytes)
        {
            if (_halves is not null)
            {
                _stream.Synchronize();
                _device.Free(_halves);
            }

            _halves = _device.Allocate(bytes, "gradients on the wire");
        }
    }
}
