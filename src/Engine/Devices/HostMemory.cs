using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;

namespace CudaTrainer.Engine.Devices;

/// <summary>The host's heap.</summary>
internal sealed unsafe class HostMemorySource : IMemorySource
{
    public int Alignment => 64;

    public string Hint => $"Use a smaller {SettingName.Of("BatchSize")} or free memory on the machine.";

    public nint TryAllocate(long bytes)
    {
        try
        {
            return (nint)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)Alignment);
        }
        catch (OutOfMemoryException)
        {
            return 0;
        }
    }

    public void Free(nint block) => NativeMemory.AlignedFree((void*)block);

    public (long Free, long Total) Capacity() => default;
}

/// <summary>What the <c>cpu</c> and <c>reference</c> devices share: host memory, where queued work is done when the call returns.</summary>
public abstract unsafe class HostDevice : IDevice
{
    private readonly CachingArena _arena;

    protected HostDevice(string name)
    {
        Name = name;
        _arena = new CachingArena(name, new HostMemorySource());
    }

    public string Name { get; }

    public abstract string Description { get; }

    public abstract ITensorOps TensorOps { get; }

    public bool SharesHostMemory => true;

    public virtual bool ComputesInHalf => false;

    public bool CapturesGraphs => false;

    public MemoryFigures Memory => _arena.Memory;

    public DeviceBuffer Allocate(long bytes, string? purpose = null) => _arena.Allocate(bytes, purpose);

    public void Free(DeviceBuffer buffer) => _arena.Free(buffer);

    public void TrimMemory() => _arena.Trim();

    public HostBuffer AllocateHost(long bytes) => new NativeBuffer(bytes);

    public void Upload(ReadOnlySpan<byte> source, nint destination) => source.CopyTo(new Span<byte>((void*)destination, source.Length));

    public DeviceMark UploadAsync(HostBuffer source, long bytes, nint destination, DeviceMark after)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, source.Bytes);
        Copy(source.Pointer, destination, bytes);
        return default;
    }

    public void Download(nint source, Span<byte> destination) =>
        new ReadOnlySpan<byte>((void*)source, destination.Length).CopyTo(destination);

    public void Copy(nint source, nint destination, long bytes) => Buffer.MemoryCopy((void*)source, (void*)destination, bytes, bytes);

    public void CopyFromPeer(IDevice peer, nint source, nint destination, long bytes)
    {
        if (peer.SharesHostMemory)
        {
            Copy(source, destination, bytes);
            return;
        }

        for (long done = 0; done < bytes; done += int.MaxValue)
        {
            peer.Download((nint)(source + done), new Span<byte>((byte*)destination + done, (int)Math.Min(int.MaxValue, bytes - done)));
        }
    }

    public virtual void Fill(nint destination, byte value, long bytes) => NativeMemory.Fill((void*)destination, (nuint)bytes, value);

    public DeviceMark Mark() => default;

    public void QueueWait(DeviceMark mark)
    {
    }

    public void Wait(DeviceMark mark)
    {
    }

    public IDeviceGraph Capture(Action record) => throw new NotSupportedException($"{Name} does not capture graphs.");

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
