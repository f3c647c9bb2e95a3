using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Engine.Devices;

/// <summary>
/// One NVIDIA GPU. Work goes to one compute stream in order; uploads that need not wait for it go to a second stream. Nothing but
/// <see cref="Download"/>, <see cref="Wait"/> and <see cref="Synchronize"/> waits for the GPU.
/// </summary>
public sealed unsafe class CudaDevice : IDevice
{
    private readonly CudaContext _context;
    private readonly CudaStream _compute;
    private readonly CudaStream _copies;
    private readonly CachingArena _arena;
    private readonly CudaMarks _computeMarks;
    private readonly CudaMarks _copyMarks;
    private readonly CudaStaging _staging;
    private readonly CudaOps _ops;
    private bool _disposed;

    /// <exception cref="CudaException">The GPU cannot be used.</exception>
    public CudaDevice(int ordinal, CudaDeviceOptions? options = null)
    {
        Name = $"cuda:{ordinal}";
        _context = new CudaContext(ordinal);
        _compute = new CudaStream(_context);
        _copies = new CudaStream(_context);
        _arena = new CachingArena(Name, new CudaMemorySource(_context));
        _computeMarks = new CudaMarks(_context, _compute, 1);
        _copyMarks = new CudaMarks(_context, _copies, -1);
        _staging = new CudaStaging(_context, _compute);
        _ops = new CudaOps(this, _context, _compute, options ?? new CudaDeviceOptions());
    }

    public string Name { get; }

    public string Description
    {
        get
        {
            CudaDeviceInfo info = _context.Info;
            string simulated = Kernels.Interop.Cuda.IsSimulated ? "SIMULATED, " : string.Empty;
            double memory = info.MemoryBytes / (1024.0 * 1024 * 1024);
            return $"{simulated}{info.Name}, compute capability {info.ComputeMajor}.{info.ComputeMinor}, {memory:F1} GiB";
        }
    }

    public ITensorOps TensorOps => _ops;

    public bool SharesHostMemory => false;

    public bool ComputesInHalf => true;

    public bool CapturesGraphs => true;

    public MemoryFigures Memory => _arena.Memory;

    internal CudaContext Context => _context;

    /// <summary>The stream that ops are queued on.</summary>
    internal CudaStream ComputeStream => _compute;

    /// <summary>This GPU's kernels.</summary>
    internal Kernels.Device.KernelLibrary Library => _ops.Library;

    /// <summary>What has been asked of the GPU so far.</summary>
    internal CudaCounters Counters => _context.Counters;

    public DeviceBuffer Allocate(long bytes, string? purpose = null) => _arena.Allocate(bytes, purpose);

    public void Free(DeviceBuffer buffer) => _arena.Free(buffer);

    public void TrimMemory()
    {
        // Queued work may still use what was freed.
        Synchronize();
        _arena.Trim();
    }

    public HostBuffer AllocateHost(long bytes) => new PinnedBuffer(this, _context.AllocatePinned(Math.Max(bytes, 64)), bytes);

    public void Upload(ReadOnlySpan<byte> source, nint destination) => _staging.Upload(source, destination);

    public DeviceMark UploadAsync(HostBuffer source, long bytes, nint destination, DeviceMark after)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, source.Bytes);
        if (EventOf(after) is { } before)
        {
            _copies.Wait(before);
        }

        _copies.CopyToDevice(source.Pointer, destination, bytes);
        return _copyMarks.Record();
    }

    public void Download(nint source, Span<byte> destination) => _staging.Download(source, destination);

    public void Copy(nint source, nint destination, long bytes) => _compute.CopyOnDevice(source, destination, bytes);

    public void CopyFromPeer(IDevice peer, nint source, nint destination, long bytes)
    {
        switch (peer)
        {
            case CudaDevice other:
                _compute.Wait(other._computeMarks.Event(other.Mark()));
                _compute.CopyFromPeer(source, other._context, destination, bytes);
                other._compute.Wait(_computeMarks.Event(Mark()));
                break;
            case { SharesHostMemory: true }:
                Upload(new ReadOnlySpan<byte>((void*)source, checked((int)bytes)), destination);
                break;
            default:
                throw new InvalidOperationException($"{Name} cannot read the memory of {peer.Name}.");
        }
    }

    public void Fill(nint destination, byte value, long bytes) => _compute.Fill(destination, value, bytes);

    public DeviceMark Mark() => _computeMarks.Record();

    public void QueueWait(DeviceMark mark)
    {
        if (EventOf(mark) is { } passed)
        {
            _compute.Wait(passed);
        }
    }

    public void Wait(DeviceMark mark) => EventOf(mark)?.Synchronize();

    public void Synchronize()
    {
        _compute.Synchronize();
        _copies.Synchronize();
    }

    public IDeviceGraph Capture(Action record)
    {
        _compute.BeginCapture();
        try
        {
            record();
        }
        catch
        {
            _compute.AbandonCapture();
            throw;
        }

        return new Graph(_compute.EndCapture(), _compute);
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _ops.Dispose();
        _staging.Dispose();
        _arena.Trim();

        // Streams, events and everything else made from the context end with it.
        _context.Dispose();
    }

    private CudaEvent? EventOf(DeviceMark mark) => mark.Handle switch
    {
        0 => null,
        > 0 => _computeMarks.Event(mark),
        _ => _copyMarks.Event(mark),
    };

    private sealed class Graph(CudaGraph graph, CudaStream stream) : IDeviceGraph
    {
        public int Nodes => graph.NodeCount;

        public void Launch() => graph.Launch(stream);

        public void Dispose() => graph.Dispose();
    }

    /// <summary>Page-locked host memory; given back only when nothing queued reads it any more.</summary>
    private sealed class PinnedBuffer : HostBuffer
    {
        private readonly CudaDevice _device;
        private readonly PinnedMemory _memory;

        public PinnedBuffer(CudaDevice device, PinnedMemory memory, long bytes)
        {
            _device = device;
            _memory = memory;
            Pointer = memory.Pointer;
            Bytes = bytes;
        }

        public override void Dispose()
        {
            if (_device._context.FirstFailure is null && !_device._disposed)
            {
                _device.Synchronize();
            }

            Pointer = 0;
            _memory.Dispose();
        }
    }
}
