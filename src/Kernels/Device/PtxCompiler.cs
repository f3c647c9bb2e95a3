using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// C# to PTX by ILGPU, which is used as a compiler only and is loaded when the first kernel is compiled: modules, launches, memory and
/// graphs are ours. Everything the project uses of ILGPU outside of kernels stands here.
/// </summary>
internal static class PtxCompiler
{
    /// <summary>Volta: the first whose threads of a warp may part, which warp shuffles and barriers of kernels rest on.</summary>
    public const int OldestTarget = 70;

    /// <summary>The newest target: newer GPUs compile its PTX for themselves.</summary>
    public const int NewestTarget = 80;

    private static readonly Lock Lock = new();
    private static Context? _context;

    /// <summary>Part of the cache's key: another compiler may write other PTX.</summary>
    public static string Version { get; } = $"ILGPU 1.5.3, PTX {Interop.Cuda.PtxVersion}, {PtxText.Version}";

    /// <param name="kernel">What to compile.</param>
    /// <param name="target">Ten times a compute capability from 7.0 to 8.0; the PTX runs on this and all newer GPUs.</param>
    /// <exception cref="KernelRefusedException">The method does what GPUs cannot.</exception>
    public static string Compile(KernelSource kernel, int target)
    {
        lock (Lock)
        {
            KernelCalls.Check(kernel.Method);
            try
            {
                // O1, the default, gives loads without a state space and spills registers.
                _context ??= Context.Create(builder => builder.Optimize(OptimizationLevel.O2).EnableAlgorithms());

                // Methods that kernels share are kept as the first kernel left them: the text of the next would depend on which that was.
                _context.ClearCache(ClearCacheMode.Everything);
                using var backend = new PTXBackend(_context, new CudaArchitecture(target / 10, target % 10), CudaInstructionSet.ISA_70,
                    null!);
                var specialization = new KernelSpecialization(kernel.Threads,
                    kernel.BlocksPerMultiprocessor > 0 ? kernel.BlocksPerMultiprocessor : null);
                var compiled = (PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(kernel.Method),
                    specialization, new LateInlining());
                return PtxText.Finish(kernel, compiled.PTXAssembly);
            }
            catch (Exception exception) when (exception is not KernelRefusedException)
            {
                // A refused kernel leaves the context in a state in which it refuses others as well.
                _context?.Dispose();
                _context = null;
                Exception innermost = exception.GetBaseException();
                throw new KernelRefusedException(
                    kernel.Method, $"«{innermost.Message}» in {PlaceOf(exception)}",
                    "Kernels may not throw, allocate, use static arrays, strings, delegates, System.Half or most of the class library " +
                        "(docs/custom-kernels.md).", exception);
            }
        }
    }

    /// <summary>
    /// Inlines at last what is marked <see cref="MethodImplOptions.NoInlining"/>. A method that a kernel calls often is so optimised once
    /// rather than at every call, whereas inlined first it makes the compiler's passes, which are slower than linear, several times slower.
    /// </summary>
    private readonly struct LateInlining : IBackendHook
    {
        public void FinishedCodeGeneration(IRContext context, Method entryPoint)
        {
        }

        public void InitializedKernelContext(IRContext kernelContext, Method kernelMethod)
        {
            foreach (Method method in kernelContext.Methods)
            {
                if (method.HasImplementation && method != kernelMethod)
                {
                    method.AddFlags(MethodFlags.Inline);
                }
            }
        }

        public void OptimizedKernelContext(IRContext kernelContext, Method kernelMethod)
        {
        }
    }

    /// <summary>The method that the compiler was in, from its messages («- in method … declared in type …»).</summary>
    private static string PlaceOf(Exception exception)
    {
        const string Mark = "in method ";
        int at = exception.Message.LastIndexOf(Mark, StringComparison.Ordinal);
        return at < 0 ? "the kernel" : exception.Message[(at + Mark.Length)..].Split('\n')[0].Trim();
    }
}
