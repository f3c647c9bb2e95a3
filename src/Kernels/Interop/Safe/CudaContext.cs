using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>What has been asked of a device.</summary>
internal sealed class CudaCounters
{
    public long DeviceAllocations { get; internal set; }

    public long DeviceFrees { get; internal set; }

    /// <summary>Launched one by one, not inside a graph.</summary>
    public long KernelLaunches { get; internal set; }

    public long GraphLaunches { get; internal set; }

    public long Copies { get; internal set; }

    public long CopiedBytes { get; internal set; }

    public long Fills { get; internal set; }

    /// <summary>Times the host waited for the device.</summary>
    public long HostWaits { get; internal set; }

    /// <summary>Calls of cuBLAS, cuDNN and NCCL that queue work.</summary>
    public long LibraryCalls { get; internal set; }
}

/// <summary>
/// The primary context of one device and the owner of everything made from it, which ends with it. After an error that the driver does not
/// recover from, every use throws at once and names the call that failed first; disposing still works.
/// </summary>
/// <remarks>Used by one thread at a time. Nothing is released by finalizers: <see cref="Undisposed"/> counts what was forgotten.</remarks>
internal sealed unsafe class CudaContext : IDisposable
{
    private static readonly bool SynchronizesAlways = IsOn(Environment.GetEnvironmentVariable("CUDATRAINER_SYNC"));
    private static int _undisposed;

    [ThreadStatic]
    private static CudaContext? _current;

    private readonly LinkedList<CudaOwned> _children = [];
    private readonly int _device;
    private readonly nint _handle;
    private bool _disposed;

    /// <param name="ordinal">Number among <see cref="Cuda.Devices"/>.</param>
    /// <exception cref="CudaException">The driver refuses.</exception>
    public CudaContext(int ordinal)
    {
        if (!Cuda.IsAvailable)
        {
            throw new InvalidOperationException($"CUDA is not available: {Cuda.UnavailableReason}");
        }

        Info = Cuda.Devices[ordinal];
        int device;
        nint handle;
        CudaException.Check(DriverApi.cuDeviceGet(&device, ordinal), "cuDeviceGet", ordinal);
        CudaException.Check(DriverApi.cuDevicePrimaryCtxRetain(&handle, device), "cuDevicePrimaryCtxRetain", ordinal);
        _device = device;
        _handle = handle;
        Interlocked.Increment(ref _undisposed);
    }

    /// <summary>Contexts of this process that were made and not disposed.</summary>
    public static int Undisposed => Volatile.Read(ref _undisposed);

    public CudaDeviceInfo Info { get; }

    public int Ordinal => Info.Ordinal;

    public CudaCounters Counters { get; } = new();

    /// <summary>The error that made the device unusable; null while it works.</summary>
    public CudaException? FirstFailure { get; private set; }

    internal nint Handle => _handle;

    /// <summary>Streams that are capturing.</summary>
    internal int Captures { get; set; }

    /// <summary>Makes the context current on this thread.</summary>
    /// <exception cref="CudaException">The device has failed before.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Use()
    {
        if (_current != this || FirstFailure is not null || _disposed)
        {
            MakeCurrent();
        }
    }

    /// <summary>Bytes of the device's memory that are left, and all of it.</summary>
    public (long Free, long Total) MemoryInfo()
    {
        nuint free, total;
        Use();
        Check(DriverApi.cuMemGetInfo_v2(&free, &total), "cuMemGetInfo");
        return ((long)free, (long)total);
    }

    /// <returns>A device address aligned to 256 bytes, or 0 when there is not so much memory.</returns>
    public nint TryAllocate(long bytes)
    {
        nint address;
        Use();
        Counters.DeviceAllocations++;
        int result = DriverApi.cuMemAlloc_v2(&address, (nuint)bytes);
        if (result == DriverApi.ErrorOutOfMemory)
        {
            return 0;
        }

        Check(result, "cuMemAlloc");
        return address;
    }

    /// <summary>Gives memory back, when all queued work is done. Never throws.</summary>
    public void Free(nint address)
    {
        if (Enter())
        {
            Counters.DeviceFrees++;
            Note(DriverApi.cuMemFree_v2(address), "cuMemFree");
        }
    }

    public PinnedMemory AllocatePinned(long bytes) => new(this, bytes);

    /// <summary>Waits for everything that was queued on the device.</summary>
    public void Synchronize()
    {
        Use();
        Counters.HostWaits++;
        Check(DriverApi.cuCtxSynchronize(), "cuCtxSynchronize");
    }

    /// <summary>
    /// Whether the driver says that this device can use the peer's memory. It has been seen to say so and then to corrupt data.
    /// </summary>
    public bool CanAccessPeer(CudaContext peer)
    {
        int can;
        Use();
        Check(DriverApi.cuDeviceCanAccessPeer(&can, _device, peer._device), "cuDeviceCanAccessPeer");
        return can != 0;
    }

    /// <summary>Lets this device's kernels and copies use the peer's memory.</summary>
    public void EnablePeerAccess(CudaContext peer)
    {
        Use();
        int result = DriverApi.cuCtxEnablePeerAccess(peer._handle, 0);
        if (result != DriverApi.ErrorPeerAccessAlreadyEnabled)
        {
            Check(result, "cuCtxEnablePeerAccess");
        }
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        // The newest first: what was made from something goes before it.
        while (Newest() is { } child)
        {
            child.Dispose();
        }

        if (Enter())
        {
            Note(DriverApi.cuCtxSetCurrent(0), "cuCtxSetCurrent");
        }

        _current = null;
        _ = DriverApi.cuDevicePrimaryCtxRelease_v2(_device);
        _disposed = true;
        Interlocked.Decrement(ref _undisposed);
    }

    /// <summary>Throws for a failed driver call, and remembers it when the device does not recover from it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Check(int result, string call, string? kernel = null)
    {
        if (result != DriverApi.Success)
        {
            CudaResult.Throw(this, result, call, kernel);
        }
    }

    /// <summary>After a launch: waits for it when CUDATRAINER_SYNC asks for that, so that an error is found where it happened.</summary>
    internal void Launched(string call, string? kernel)
    {
        // Waiting would invalidate a capture, in which nothing runs anyway.
        if (SynchronizesAlways && Captures == 0)
        {
            Check(DriverApi.cuCtxSynchronize(), call, kernel);
        }
    }

    /// <summary>
    /// A library reports in codes of its own that its kernel failed. Whether the device survived that, only the driver knows.
    /// </summary>
    internal CudaException LibraryFailed(string call, int status, string library, string text, bool executionFailed)
    {
        int result = executionFailed && Captures == 0 ? DriverApi.cuCtxSynchronize() : DriverApi.Success;
        return Failed(CudaException.IsStickyCode(result)
            ? CudaException.FromDriver(result, call, Ordinal, kernel: null)
            : new CudaException(call, status, library, text, Ordinal, kernel: null, isSticky: false));
    }

    internal CudaException Failed(CudaException exception)
    {
        if (exception.IsSticky)
        {
            FirstFailure ??= exception;
        }

        return exception;
    }

    /// <summary>What a release notices is told by the next call instead of by Dispose.</summary>
    internal void Note(int result, string call)
    {
        if (result != DriverApi.Success)
        {
            Failed(CudaException.FromDriver(result, call, Ordinal, kernel: null));
        }
    }

    /// <summary>Makes the context current for a release.</summary>
    /// <returns>Whether releasing makes sense: not when the device is dead, since its memory went with it.</returns>
    internal bool Enter()
    {
        if (_disposed || FirstFailure is not null)
        {
            return false;
        }

        if (_current != this)
        {
            if (DriverApi.cuCtxSetCurrent(_handle) != DriverApi.Success)
            {
                return false;
            }

            _current = this;
        }

        return true;
    }

    internal LinkedListNode<CudaOwned> Own(CudaOwned child)
    {
        lock (_children)
        {
            return _children.AddLast(child);
        }
    }

    internal void Disown(LinkedListNode<CudaOwned> child)
    {
        lock (_children)
        {
            _children.Remove(child);
        }
    }

    private static bool IsOn(string? value) => value is not null
        && value.Trim().ToLowerInvariant() is not ("" or "0" or "false" or "off" or "no");

    private CudaOwned? Newest()
    {
        lock (_children)
        {
            return _children.Last?.Value;
        }
    }

    private void MakeCurrent()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (FirstFailure is { } first)
        {
            throw new CudaException($"cuda:{Ordinal} cannot be used any more since {first.Message}. Start a new process", first);
        }

        Check(DriverApi.cuCtxSetCurrent(_handle), "cuCtxSetCurrent");
        _current = this;
    }
}

/// <summary>Something that was made from a context and ends with it at the latest.</summary>
internal abstract class CudaOwned : IDisposable
{
    private LinkedListNode<CudaOwned>? _place;

    private protected CudaOwned(CudaContext context)
    {
        Context = context;
        context.Use();
        _place = context.Own(this);
    }

    public CudaContext Context { get; }

    /// <summary>Releases it. Never throws; on a dead device there is nothing to release.</summary>
    public void Dispose()
    {
        if (_place is { } place)
        {
            _place = null;
            Context.Disown(place);
            if (Context.Enter())
            {
                Release();
            }
            else
            {
                Forsake();
            }
        }
    }

    /// <summary>
    /// Gives back what the constructor made. After a constructor that threw, that is a part: handles that are 0 were not made.
    /// </summary>
    private protected abstract void Release();

    /// <summary>Runs in place of <see cref="Release"/> on a dead device, and undoes what concerns others than the device.</summary>
    private protected virtual void Forsake()
    {
    }

    /// <summary>Runs the calls of a constructor. When one fails, those before it are undone.</summary>
    private protected void Make(Action calls)
    {
        try
        {
            calls();
        }
        catch
        {
            Dispose();
            throw;
        }
    }
}

/// <summary>
/// Page-locked host memory, which every device copies from and to without waiting, and which kernels may read and write at the same
/// address.
/// </summary>
internal sealed unsafe class PinnedMemory : CudaOwned
{
    internal PinnedMemory(CudaContext context, long bytes)
        : base(context)
    {
        Bytes = bytes;
        Make(() =>
        {
            nint pointer;
            context.Check(DriverApi.cuMemHostAlloc(&pointer, (nuint)bytes,
                DriverApi.MemHostAllocPortable | DriverApi.MemHostAllocDeviceMap), "cuMemHostAlloc");
            Pointer = pointer;
        });
    }

    public nint Pointer { get; private set; }

    public long Bytes { get; }

    private protected override void Release()
    {
        if (Pointer != 0)
        {
            Context.Note(DriverApi.cuMemFreeHost(Pointer), "cuMemFreeHost");
        }
    }
}
