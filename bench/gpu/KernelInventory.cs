using System.Diagnostics;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Bench.Gpu;

/// <summary>A kernel on the GPU.</summary>
/// <param name="Compilation">Milliseconds from C# to PTX; next to none where the kernel cache had it.</param>
/// <param name="Load">Milliseconds of the driver, which compiles the PTX.</param>
/// <param name="Kernel">What came of it.</param>
internal sealed record LoadedKernel(double Compilation, double Load, CudaKernel Kernel);

/// <summary>PTX of a kernel.</summary>
/// <param name="Name">As in PTX.</param>
/// <param name="Text">For the assembler.</param>
internal sealed record KernelPtx(string Name, string Text);

/// <summary>Every kernel that we have.</summary>
internal static class KernelInventory
{
    private static IReadOnlyList<KernelSource> Kernels => KernelCatalog.Of(typeof(KernelLibrary).Assembly);

    /// <summary>Compiles and loads one kernel after another.</summary>
    public static IEnumerable<LoadedKernel> Load(CudaContext context)
    {
        using var library = new KernelLibrary(context);
        foreach (KernelSource kernel in Kernels)
        {
            long began = Stopwatch.GetTimestamp();
            PtxCache.Get(kernel, library.Target);
            double compilation = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
            began = Stopwatch.GetTimestamp();
            CudaKernel loaded = library.Load(kernel);
            yield return new LoadedKernel(compilation, Stopwatch.GetElapsedTime(began).TotalMilliseconds, loaded);
        }
    }

    /// <param name="architecture">Ten times the compute capability.</param>
    public static IEnumerable<KernelPtx> Ptx(int architecture) =>
        Kernels.Select(kernel => new KernelPtx(kernel.Name, PtxCompiler.Compile(kernel, Math.Min(architecture, PtxCompiler.NewestTarget))));
}
