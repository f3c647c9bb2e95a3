using System.Reflection;
using System.Text;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Device;

/// <summary>The kernels of one GPU: compiles or finds each the first time it is launched, and owns the modules.</summary>
/// <remarks>
/// Loading a module is forbidden while a stream captures a graph, so a step must have run once before it is captured. Not thread-safe: a device is driven by one thread.
/// </remarks>
/// <param name="context">Whose device.</param>
public sealed class KernelLibrary(CudaContext context) : IDisposable
{
    private readonly Dictionary<MethodInfo, CudaKernel> _kernels = [];
    private readonly List<CudaModule> _modules = [];

    public CudaContext Context { get; } = context;

    /// <summary>What kernels are compiled for on this device: ten times its compute capability, or the newest that the compiler writes for.</summary>
    public int Target => Math.Min((10 * Context.Info.ComputeMajor) + Context.Info.ComputeMinor, PtxCompiler.NewestTarget);

    /// <exception cref="KernelRefusedException">The method does what GPUs cannot.</exception>
    /// <exception cref="CudaException">The driver refuses the module.</exception>
    internal CudaKernel Load(KernelSource kernel)
    {
        if (!_kernels.TryGetValue(kernel.Method, out CudaKernel? loaded))
        {
            string text = PtxCache.Get(kernel, Target);
            var module = new CudaModule(Context, Encoding.UTF8.GetBytes(text + '\0'), kernel.Name);
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
}
