using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Devices;

/// <summary>Where an arena gets its blocks from: the host's heap or a GPU's memory.</summary>
internal interface IMemorySource
{
    /// <summary>Blocks begin at multiples of it, and sizes are multiples of it.</summary>
    int Alignment { get; }

    /// <summary>What to tell someone who has run out of it.</summary>
    string Hint { get; }

    /// <returns>0 when there is no more.</returns>
    nint TryAllocate(long bytes);

    /// <summary>Gives a block back. Never throws.</summary>
    void Free(nint block);

    /// <summary>Bytes left and in all; zeros where that is not known.</summary>
    (long Free, long Total) Capacity();
}

/// <summary>
/// The caching arena of a device. Freed blocks are kept by size and handed out again, so that a steady-state step asks the system for
/// nothing.
/// </summary>
internal sealed class CachingArena(string deviceName, IMemorySource source)
{
    /// <summary>How many of the largest buffers an out-of-memory message names.</summary>
    private const int LargestNamed = 5;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Stack<DeviceBuffer>> _free = [];
    private readonly HashSet<DeviceBuffer> _blocks = new(ReferenceEqualityComparer.Instance);
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

    /// <param name="bytes">At least so many.</param>
    /// <param name="purpose">What an out-of-memory message calls the buffer.</param>
    public DeviceBuffer Allocate(long bytes, string? purpose)
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
                buffer = new DeviceBuffer(FromSource(rounded, purpose), rounded);
                _blocks.Add(buffer);
            }

            buffer.Purpose = purpose ?? "tensor";
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
            buffer.Purpose = null;
            if (!_free.TryGetValue(buffer.Bytes, out Stack<DeviceBuffer>? stack))
            {
                _free[buffer.Bytes] = stack = new Stack<DeviceBuffer>();
            }

            stack.Push(buffer);
        }
    }

    /// <summary>Returns the cached blocks to their source; blocks in use stay.</summary>
    public void Trim()
    {
        lock (_lock)
        {
            foreach (Stack<DeviceBuffer> stack in _free.Values)
            {
                while (stack.TryPop(out DeviceBuffer? buffer))
                {
                    _blocks.Remove(buffer);
                    source.Free(buffer.Pointer);
                }
            }

            _cached = 0;
        }
    }

    /// <summary>
    /// Sizes grow in steps of an eighth of their power of two, so that nearly equal requests share blocks and little is wasted.
    /// </summary>
    private long RoundUp(long bytes)
    {
        long size = Math.Max(bytes, source.Alignment);
        long step = Math.Max(source.Alignment, 1L << Math.Max(0, 63 - (int)long.LeadingZeroCount(size) - 3));
        return checked(size + step - 1) / step * step;
    }

    private nint FromSource(long bytes, string? purpose)
    {
        nint block = source.TryAllocate(bytes);
        if (block == 0)
        {
            Trim();
            block = source.TryAllocate(bytes);
        }

        return block != 0 ? block : throw OutOfMemory(bytes, purpose);
    }

    private DeviceOutOfMemoryException OutOfMemory(long bytes, string? purpose)
    {
        (long free, long total) = source.Capacity();
        IEnumerable<DeviceBuffer> used = _blocks.Where(block => block.Purpose is not null);
        string[] largest =
            [.. used.OrderByDescending(block => block.Bytes).Take(LargestNamed).Select(block => $"{block.Purpose} {block.Bytes:N0}")];
        return new DeviceOutOfMemoryException(deviceName, purpose ?? "a tensor", bytes, free, total, _inUse, largest, source.Hint);
    }
}
