namespace CudaTrainer.Engine.Tensors;

/// <summary>A block of device memory from a device's arena.</summary>
/// <param name="pointer">Device address, 64-byte aligned (256 on CUDA).</param>
/// <param name="bytes">Usable bytes, at least what was asked for.</param>
public sealed class DeviceBuffer(nint pointer, long bytes)
{
    public nint Pointer { get; } = pointer;

    public long Bytes { get; } = bytes;

    /// <summary>What it holds, for messages; null while it rests in the arena.</summary>
    internal string? Purpose { get; set; }
}

/// <summary>A device's memory in bytes.</summary>
/// <param name="InUse">Held by live buffers.</param>
/// <param name="Cached">Freed buffers kept for reuse.</param>
/// <param name="Peak">The largest InUse so far.</param>
public readonly record struct MemoryFigures(long InUse, long Cached, long Peak);

/// <summary>
/// Memory, transport and time of one place that runs ops. Work is queued in order (on CUDA: on the device's stream) and may return before
/// it is done; only <see cref="Download"/>, <see cref="Wait"/> and <see cref="Synchronize"/> wait.
/// </summary>
public interface IDevice : IDisposable
{
    /// <summary>For example <c>cpu</c>, <c>cpu:1</c>, <c>reference</c>, <c>cuda:0</c>.</summary>
    string Name { get; }

    /// <summary>What it is, for a person: threads and SIMD level, or the GPU's name.</summary>
    string Description { get; }

    /// <summary>The maths of this device, as far as tensors themselves need it.</summary>
    ITensorOps TensorOps { get; }

    /// <summary>Whether device addresses are host addresses, so that host memory can be used in place.</summary>
    bool SharesHostMemory { get; }

    /// <summary>
    /// Whether mixed precision computes in half precision here, with activations of type Float16, rather than only storing in it.
    /// </summary>
    bool ComputesInHalf { get; }

    /// <summary>Whether <see cref="Capture"/> works.</summary>
    bool CapturesGraphs { get; }

    MemoryFigures Memory { get; }

    /// <summary>Takes memory from the caching arena; its contents are undefined.</summary>
    /// <exception cref="DeviceOutOfMemoryException">There is none even after the cache was emptied.</exception>
    /// <param name="purpose">What an out-of-memory message calls the buffer.</param>
    DeviceBuffer Allocate(long bytes, string? purpose = null);

    /// <summary>Gives memory back to the arena; work queued before may still use it.</summary>
    void Free(DeviceBuffer buffer);

    /// <summary>Returns the memory of freed buffers to the system: after a phase that needed much more than the next.</summary>
    void TrimMemory();

    /// <summary>
    /// Host memory that the device copies from at full speed without waiting (page-locked on CUDA), and that ops may read in place.
    /// </summary>
    HostBuffer AllocateHost(long bytes);

    void Upload(ReadOnlySpan<byte> source, nint destination);

    /// <summary>
    /// Begins a copy beside the queued work, as soon as <paramref name="after"/> has passed. The source stays unchanged until the returned
    /// mark has passed; work that needs the copy is queued after <see cref="QueueWait"/> of that mark.
    /// </summary>
    DeviceMark UploadAsync(HostBuffer source, long bytes, nint destination, DeviceMark after = default);

    /// <summary>Copies to the host; waits for all queued work first.</summary>
    void Download(nint source, Span<byte> destination);

    void Copy(nint source, nint destination, long bytes);

    /// <summary>Copies from another device's memory into this one's, after the work queued on both so far.</summary>
    void CopyFromPeer(IDevice peer, nint source, nint destination, long bytes);

    void Fill(nint destination, byte value, long bytes);

    /// <summary>The place after all work queued so far.</summary>
    DeviceMark Mark();

    /// <summary>Work queued from now on begins after <paramref name="mark"/>. Does not wait.</summary>
    void QueueWait(DeviceMark mark);

    /// <summary>Waits until the work queued before <paramref name="mark"/> was taken is done.</summary>
    void Wait(DeviceMark mark);

    void Synchronize();

    /// <summary>
    /// Records the work that <paramref name="record"/> queues instead of doing it, to be launched as a whole again and again. Everything it
    /// uses, memory included, must stay as it is for as long as the graph lives; it must not wait or read results.
    /// </summary>
    IDeviceGraph Capture(Action record);
}

/// <summary>Captured work.</summary>
public interface IDeviceGraph : IDisposable
{
    /// <summary>Kernels, copies and fills in it.</summary>
    int Nodes { get; }

    /// <summary>Queues all of it.</summary>
    void Launch();
}

/// <summary>A place in a device's queue (an event on CUDA). The default value has always passed.</summary>
public readonly record struct DeviceMark(nint Handle);

/// <summary>Host memory outside the GC heap, owned by whoever asked the device for it.</summary>
public abstract class HostBuffer : IDisposable
{
    public nint Pointer { get; protected set; }

    public long Bytes { get; protected init; }

    /// <summary>A part of this memory, which must not outlive it.</summary>
    public HostBuffer Slice(long offset, long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + bytes, Bytes);
        return new Part((nint)(Pointer + offset), bytes);
    }

    public unsafe Span<T> AsSpan<T>(long offsetBytes, int count)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offsetBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offsetBytes + ((long)count * sizeof(T)), Bytes);
        return new Span<T>((byte*)Pointer + offsetBytes, count);
    }

    public abstract void Dispose();

    private sealed class Part : HostBuffer
    {
        public Part(nint pointer, long bytes)
        {
            Pointer = pointer;
            Bytes = bytes;
        }

        public override void Dispose()
        {
        }
    }
}
