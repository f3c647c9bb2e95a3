using System.Diagnostics;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Device;

/// <summary>One small kernel, compiled past the cache, loaded and run: whether compiler and driver work, and how long they take.</summary>
/// <param name="PtxVersion">What kernels are written in.</param>
/// <param name="Target">Ten times the compute capability that the GPU's kernels are compiled for.</param>
/// <param name="Compilation">C# to PTX, with the start of the compiler if this is the first kernel of the process.</param>
/// <param name="Loading">PTX to machine code by the driver, which may have kept it from an earlier time.</param>
internal sealed record KernelTrial(string PtxVersion, int Target, TimeSpan Compilation, TimeSpan Loading)
{
    private const int Count = 1000;

    /// <exception cref="KernelRefusedException">The compiler does not work.</exception>
    /// <exception cref="CudaException">The driver does not take what the compiler writes, or the GPU is too old.</exception>
    public static KernelTrial Run(CudaContext context)
    {
        using var library = new KernelLibrary(context);
        var kernel = new KernelSource(((GpuKernelMethod<Arguments>)Number).Method);
        long start = Stopwatch.GetTimestamp();
        string text = PtxCompiler.Compile(kernel, library.RequireTarget(kernel.Name));
        long compiled = Stopwatch.GetTimestamp();
        using var module = new CudaModule(context, text, kernel.Name);
        CudaKernel loaded = module.GetKernel(kernel.Name);
        TimeSpan loading = Stopwatch.GetElapsedTime(compiled);
        Launch(context, loaded);
        return new KernelTrial(Interop.Cuda.PtxVersion, library.Target, Stopwatch.GetElapsedTime(start, compiled), loading);
    }

    private static void Launch(CudaContext context, CudaKernel kernel)
    {
        using var stream = new CudaStream(context);
        nint numbers = context.TryAllocate(Count * sizeof(int));
        int count = numbers == 0 ? 0 : Count;
        kernel.Launch(stream, new Grid(1), new Grid(LaunchSize.Threads), 0, new Arguments { Numbers = new(numbers, count), Count = count });
        stream.Synchronize();
        context.Free(numbers);
    }

    [GpuKernel(LaunchSize.Threads)]
    private static unsafe void Number(Arguments a)
    {
        for (long i = GpuThread.FirstItem; i < a.Count; i += GpuThread.ItemStride)
        {
            a.Numbers.Start[i] = (int)i;
        }
    }

    private struct Arguments
    {
        public GpuArray<int> Numbers;
        public long Count;
    }
}
