using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends;

/// <summary>
/// The caching arena of devices that live in host memory. Freed blocks are kept by size and handed out again, so that a steady-state
/// step asks the system for nothing.
/// </summary>
internal sealed unsafe class HostArena(string deviceName)
{
    private const int Alignment = 64;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Stack<DeviceBuffer>> _free = [];
    private long _inUse;
    private long _cached;
    private long _peak;

    public MemoryFigures Memory
    {
        get
        {
            lock (_lock)
            {
                return new MemoryFigures(_inUse, _cached, _peak);
            }
        }
    }

    public DeviceBuffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        long rounded = RoundUp(bytes);
        lock (_lock)
        {
            if (_free.TryGetValue(rounded, out Stack<DeviceBuffer>? stack) && stack.TryPop(out DeviceBuffer? buffer))
            {
                _cached -= rounded;
            }
            else
            {
                buffer = new DeviceBuffer(FromSystem(rounded), rounded);
            }

            _inUse += rounded;
            _peak = Math.Max(_peak, _inUse);
            return buffer;
        }
    }

    public void Free(DeviceBuffer buffer)
    {
        lock (_lock)
        {
            _inUse -= buffer.Bytes;
            _cached += buffer.Bytes;
            if (!_free.TryGetValue(buffer.Bytes, out Stack<DeviceBuffer>? stack))
            {
                _free[buffer.Bytes] = stack = new Stack<DeviceBuffer>();
            }

            stack.Push(buffer);
        }
    }

    /// <summary>Returns the cached blocks to the system; blocks in use stay.</summary>
    public void Trim()
    {
        lock (_lock)
        {
            foreach (Stack<DeviceBuffer> stack in _free.Values)
            {
                while (stack.TryPop(out DeviceBuffer? buffer))
                {
                    NativeMemory.AlignedFree((void*)buffer.Pointer);
                }
            }

            _cached = 0;
        }
    }

    /// <summary>Sizes grow in steps of an eighth of their power of two, so that nearly equal requests share blocks and little is wasted.</summary>
    private static long RoundUp(long bytes)
    {
        long size = Math.Max(bytes, Alignment);
        long step = Math.Max(Alignment, 1L << Math.Max(0, 63 - (int)long.LeadingZeroCount(size) - 3));
        return checked(size + step - 1) / step * step;
    }

    private nint FromSystem(long bytes)
    {
        try
        {
            return (nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        }
        catch (OutOfMemoryException)
        {
            Trim();
        }

        try
        {
            return (nint)NativeMemory.AlignedAlloc((nuint)bytes, Alignment);
        }
        catch (OutOfMemoryException)
        {
            throw new DeviceOutOfMemoryException(deviceName, bytes, _inUse, "Use a smaller --batch-size or free memory on the machine.");
        }
    }
}

/// <summary>What the <c>cpu</c> and <c>reference</c> devices share: host memory, where queued work is done when the call returns.</summary>
public abstract unsafe class HostDevice : IDevice
{
    private readonly HostArena _arena;

    protected HostDevice(string name)
    {
        Name = name;
        _arena = new HostArena(name);
    }

    public string Name { get; }

    public abstract string Description { get; }

    public abstract IOps Ops { get; }

    public bool SharesHostMemory => true;

    public MemoryFigures Memory => _arena.Memory;

    public DeviceBuffer Allocate(long bytes) => _arena.Allocate(bytes);

    public void Free(DeviceBuffer buffer) => _arena.Free(buffer);

    public void TrimMemory() => _arena.Trim();

    public HostBuffer AllocateHost(long bytes) => new NativeBuffer(bytes);

    public void Upload(ReadOnlySpan<byte> source, nint destination) => source.CopyTo(new Span<byte>((void*)destination, source.Length));

    public DeviceMark UploadAsync(HostBuffer source, long bytes, nint destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, source.Bytes);
        Copy(source.Pointer, destination, bytes);
        return default;
    }

    public void Download(nint source, Span<byte> destination) => new ReadOnlySpan<byte>((void*)source, destination.Length).CopyTo(destination);

    public void Copy(nint source, nint destination, long bytes) => Buffer.MemoryCopy((void*)source, (void*)destination, bytes, bytes);

    public void CopyFromPeer(IDevice peer, nint source, nint destination, long bytes)
    {
        if (!peer.SharesHostMemory)
        {
            throw new InvalidOperationException($"{Name} cannot read the memory of {peer.Name}; download it first.");
        }

        Copy(source, destination, bytes);
    }

    public void Fill(nint destination, byte value, long bytes) => NativeMemory.Fill((void*)destination, (nuint)bytes, value);

    public void Wait(DeviceMark mark)
    {
    }

    public void Synchronize()
    {
    }

    public virtual void Dispose()
    {
        _arena.Trim();
        GC.SuppressFinalize(this);
    }

    private sealed class NativeBuffer : HostBuffer
    {
        public NativeBuffer(long bytes)
        {
            Pointer = (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 64), 64);
            Bytes = bytes;
        }

        public override void Dispose()
        {
            NativeMemory.AlignedFree((void*)Pointer);
            Pointer = 0;
        }
    }
}
