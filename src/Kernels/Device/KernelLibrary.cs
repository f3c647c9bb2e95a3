using System.Reflection;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Device;

/// <summary>The kernels of one GPU: compiles or finds each the first time it is launched, and owns the modules.</summary>
/// <remarks>
/// Loading a module is forbidden while a stream captures a graph, so a step must have run once before it is captured. Not thread-safe: a
/// device is driven by one thread.
/// </remarks>
/// <param name="context">The device's context.</param>
internal sealed class KernelLibrary(CudaContext context) : IDisposable
{
    private const int NoBinaryForGpu = 209;

    private readonly Dictionary<MethodInfo, CudaKernel> _kernels = [];
    private readonly List<CudaModule> _modules = [];

    public CudaContext Context { get; } = context;

    /// <summary>What kernels are compiled for on this device: ten times its compute capability, or the newest that the compiler writes
    /// for.</summary>
    public int Target => TargetOf(Context.Info);

    internal static int TargetOf(CudaDeviceInfo device) =>
        Math.Min((10 * device.ComputeMajor) + device.ComputeMinor, PtxCompiler.NewestTarget);

    /// <exception cref="KernelRefusedException">The method does what GPUs cannot.</exception>
    /// <exception cref="CudaException">The driver refuses the module, or the GPU is too old.</exception>
    internal CudaKernel Load(KernelSource kernel)
    {
        if (!_kernels.TryGetValue(kernel.Method, out CudaKernel? loaded))
        {
            string text = PtxCache.Get(kernel, RequireTarget(kernel.Name));
            var module = new CudaModule(Context, text, kernel.Name);
            _modules.Add(module);
            loaded = module.GetKernel(kernel.Name);
            _kernels.Add(kernel.Method, loaded);
        }

        return loaded;
    }

    public void Dispose()
    {
        foreach (CudaModule module in _modules)
        {
            module.Dispose();
        }

        _modules.Clear();
        _kernels.Clear();
    }

    /// <returns><see cref="Target"/>, unless the GPU is too old: the driver would only say that it finds no code for it.</returns>
    internal int RequireTarget(string kernel)
    {
        if (Target >= PtxCompiler.OldestTarget)
        {
            return Target;
        }

        const int Oldest = PtxCompiler.OldestTarget;
        string text = $"kernels are written for compute capability {Oldest / 10}.{Oldest % 10} and newer; " +
            $"{Context.Info.Name} has {Context.Info.ComputeMajor}.{Context.Info.ComputeMinor}";
        throw new CudaException("Loading", NoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", text, Context.Ordinal, kernel, isSticky: false);
    }
}
