namespace CudaTrainer.Engine.Backends;

/// <summary>A block of device memory from a device's arena.</summary>
/// <param name="Pointer">Device address, 64-byte aligned (256 on CUDA).</param>
/// <param name="Bytes">Usable bytes, at least what was asked for.</param>
public sealed record DeviceBuffer(nint Pointer, long Bytes);

/// <summary>A device's memory in bytes.</summary>
/// <param name="InUse">Held by live buffers.</param>
/// <param name="Cached">Freed buffers kept for reuse.</param>
/// <param name="Peak">The largest InUse so far.</param>
public readonly record struct MemoryFigures(long InUse, long Cached, long Peak);

/// <summary>
/// Memory, transport and time of one place that runs ops. Work is queued in order (on CUDA: on the device's stream) and may return before it
/// is done; only <see cref="Download"/> and <see cref="Synchronize"/> wait.
/// </summary>
public interface IDevice : IDisposable
{
    /// <summary>For example <c>cpu</c>, <c>cpu:1</c>, <c>reference</c>, <c>cuda:0</c>.</summary>
    string Name { get; }

    /// <summary>What it is, for a person: threads and SIMD level, or the GPU's name.</summary>
    string Description { get; }

    /// <summary>The layer-sized maths of this device.</summary>
    IOps Ops { get; }

    /// <summary>Whether device addresses are host addresses, so that host memory can be used in place.</summary>
    bool SharesHostMemory { get; }

    MemoryFigures Memory { get; }

    /// <summary>Takes memory from the caching arena; its contents are undefined.</summary>
    /// <exception cref="Tensors.DeviceOutOfMemoryException">There is none even after the cache was emptied.</exception>
    DeviceBuffer Allocate(long bytes);

    /// <summary>Gives memory back to the arena; work queued before may still use it.</summary>
    void Free(DeviceBuffer buffer);

    /// <summary>Returns the memory of freed buffers to the system: after a phase that needed much more than the next.</summary>
    void TrimMemory();

    /// <summary>Host memory that the device copies from at full speed without waiting (page-locked on CUDA).</summary>
    HostBuffer AllocateHost(long bytes);

    void Upload(ReadOnlySpan<byte> source, nint destination);

    /// <summary>Queues a copy from host memory that stays unchanged until the returned mark has passed.</summary>
    DeviceMark UploadAsync(HostBuffer source, long bytes, nint destination);

    /// <summary>Copies to the host; waits for all queued work first.</summary>
    void Download(nint source, Span<byte> destination);

    void Copy(nint source, nint destination, long bytes);

    /// <summary>Copies from another device's memory into this one's, after the work queued on both so far.</summary>
    void CopyFromPeer(IDevice peer, nint source, nint destination, long bytes);

    void Fill(nint destination, byte value, long bytes);

    /// <summary>Waits until the work queued before <paramref name="mark"/> was taken is done.</summary>
    void Wait(DeviceMark mark);

    void Synchronize();
}

/// <summary>A place in a device's queue (an event on CUDA). The default value has always passed.</summary>
public readonly record struct DeviceMark(nint Handle);

/// <summary>Host memory outside the GC heap, owned by whoever asked the device for it.</summary>
public abstract class HostBuffer : IDisposable
{
    public nint Pointer { get; protected set; }

    public long Bytes { get; protected init; }

    public unsafe Span<T> AsSpan<T>(long offsetBytes, int count)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes + ((long)count * sizeof(T)), Bytes);
        return new Span<T>((byte*)Pointer + offsetBytes, count);
    }

    public abstract void Dispose();
}
