using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// Tests of the bindings: a context of their own, on the second device where there is one, so that they may break it, and the simulator's
/// settings. What a test forgets to release is found.
/// </summary>
[Collection(CudaCollection.Name)]
public abstract unsafe class InteropTest : IDisposable
{
    private static readonly Lazy<nint> Core = new(
        () => NativeLibrary.Load(Path.Combine(Environment.GetEnvironmentVariable(CudaLibrary.SimulatorVariable)!, "libcudasim_core.so")));

    private readonly int _undisposed = CudaContext.Undisposed;

    /// <summary>A new context, or the test is skipped.</summary>
    private protected static CudaContext Open()
    {
        Assert.SkipUnless(Interop.Cuda.IsAvailable, $"no CUDA: {Interop.Cuda.UnavailableReason}");
        return new CudaContext(Interop.Cuda.Devices.Count > 1 ? 1 : 0);
    }

    /// <summary>The same, for tests that make the device fail.</summary>
    private protected static CudaContext OpenSimulated()
    {
        Assert.SkipUnless(Interop.Cuda.IsAvailable, $"no CUDA: {Interop.Cuda.UnavailableReason}");
        Assert.SkipUnless(Interop.Cuda.IsSimulated, "a real GPU cannot be made to fail on demand");
        return Open();
    }

    protected static void Configure(string key, string value)
    {
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(key + "\0"), text = System.Text.Encoding.UTF8.GetBytes(value + "\0"))
        {
            ((delegate* unmanaged<byte*, byte*, int>)NativeLibrary.GetExport(Core.Value, "cudasimConfigure"))(name, text).ShouldBe(0, key);
        }
    }

    /// <summary>What the simulator has counted since it began.</summary>
    protected static long Counted(string counter)
    {
        fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(counter + "\0"))
        {
            return ((delegate* unmanaged<byte*, long>)NativeLibrary.GetExport(Core.Value, "cudasimCounter"))(name);
        }
    }

    /// <summary>A kernel by itself, for launches in sizes of their own; it ends with its library.</summary>
    private protected static CudaKernel Load<TArguments>(KernelLibrary library, GpuKernelMethod<TArguments> method)
        where TArguments : unmanaged
        => new GpuKernel<TArguments>(library, method).Loaded;

    /// <summary>Device memory with these numbers, read back by <see cref="Read"/>; it ends with the context.</summary>
    private protected static nint Upload<T>(CudaStream stream, params T[] values)
        where T : unmanaged
    {
        long bytes = (long)values.Length * sizeof(T);
        nint device = stream.Context.TryAllocate(bytes);
        device.ShouldNotBe(0);
        using PinnedMemory host = stream.Context.AllocatePinned(bytes);
        values.CopyTo(new Span<T>((void*)host.Pointer, values.Length));
        stream.CopyToDevice(host.Pointer, device, bytes);
        stream.Synchronize();
        return device;
    }

    private protected static T[] Read<T>(CudaStream stream, nint device, int count)
        where T : unmanaged
    {
        long bytes = (long)count * sizeof(T);
        using PinnedMemory host = stream.Context.AllocatePinned(bytes);
        stream.CopyToHost(device, host.Pointer, bytes);
        stream.Synchronize();
        return new Span<T>((void*)host.Pointer, count).ToArray();
    }

    public void Dispose()
    {
        if (Interop.Cuda.IsSimulated)
        {
            ((delegate* unmanaged<void>)NativeLibrary.GetExport(Core.Value, "cudasimReset"))();
        }

        CudaContext.Undisposed.ShouldBe(_undisposed);
        GC.SuppressFinalize(this);
    }
}
