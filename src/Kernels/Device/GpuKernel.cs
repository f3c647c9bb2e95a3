using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Device;

/// <summary>A kernel of one device, loaded at its first launch. Arguments are one structure, so the compiler checks their number, order
/// and types.</summary>
/// <param name="library">The device's kernels.</param>
/// <param name="method">A static method with <see cref="GpuKernelAttribute"/>.</param>
/// <typeparam name="TArguments">The structure that the method takes.</typeparam>
internal sealed class GpuKernel<TArguments>(KernelLibrary library, GpuKernelMethod<TArguments> method)
    where TArguments : unmanaged
{
    private readonly KernelSource _source = new(method.Method);
    private CudaKernel? _kernel;

    /// <summary>The loaded kernel, for its registers and limits.</summary>
    public CudaKernel Loaded => _kernel ??= library.Load(_source);

    /// <summary>Queues a launch of <paramref name="blocks"/> blocks of as many threads as the kernel's declaration says.</summary>
    /// <param name="blocks">Blocks in each dimension.</param>
    /// <param name="arguments">What every thread gets.</param>
    /// <param name="sharedBytes">Shared memory beyond what the kernel declares.</param>
    public void Launch(CudaStream stream, Grid blocks, in TArguments arguments, int sharedBytes = 0)
    {
        CudaKernel kernel = Loaded;
        if (sharedBytes > LaunchSize.SharedBytes)
        {
            kernel.AllowShared(sharedBytes);
        }

        kernel.Launch(stream, blocks, new Grid(_source.Threads), sharedBytes, arguments);
    }
}

/// <summary>The two versions of a kernel, for activations in single and in half precision.</summary>
/// <param name="library">The device's kernels.</param>
/// <param name="single">The method for <see cref="Float32"/>.</param>
/// <param name="half">The method for <see cref="Float16"/>.</param>
/// <typeparam name="TArguments">The structure that both take.</typeparam>
internal sealed class TypedKernel<TArguments>(KernelLibrary library, GpuKernelMethod<TArguments> single, GpuKernelMethod<TArguments> half)
    where TArguments : unmanaged
{
    private readonly GpuKernel<TArguments> _single = new(library, single);
    private readonly GpuKernel<TArguments> _half = new(library, half);

    public GpuKernel<TArguments> this[CudaType type] => type == CudaType.Float32 ? _single : _half;
}
