using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Ops;

namespace CudaTrainer.Engine.Tests.Cuda;

/// <summary>
/// Tests that share the simulator's settings, or count what a device does, run one after another, beside the tests of the CPU.
/// </summary>
[CollectionDefinition(Name)]
public static class CudaCollection
{
    public const string Name = "CUDA";
}

/// <summary>
/// The CUDA devices of the tests: the simulator, switched on for this process, or with CUDATRAINER_TEST_GPU=1 the machine's own GPU.
/// </summary>
internal static partial class CudaSimulator
{
    private const string Folder = "CUDATRAINER_CUDA_SIMULATOR";

    /// <summary>Whether faults can be injected.</summary>
    public static bool IsSimulated => Kernels.Interop.Cuda.IsSimulated;

    [ModuleInitializer]
    internal static void SwitchOn()
    {
        string folder = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));
        if (Environment.GetEnvironmentVariable("CUDATRAINER_TEST_GPU") != "1" && Environment.GetEnvironmentVariable(
            Folder) is null && Directory.Exists(folder))
        {
            Environment.SetEnvironmentVariable(Folder, folder);

            // The simulator reads the process's own environment, which .NET's copy does not reach.
            setenv("CUDASIM_DEVICES", "8", 0);
        }
    }

    /// <summary>A device, or the test is skipped with the reason.</summary>
    public static CudaDevice Open(CudaDeviceOptions? options = null)
    {
        Assert.SkipUnless(Kernels.Interop.Cuda.IsAvailable, Kernels.Interop.Cuda.UnavailableReason);
        return new CudaDevice(0, options);
    }

    /// <summary>The test is skipped on a real GPU.</summary>
    public static void Require()
    {
        Assert.SkipUnless(Kernels.Interop.Cuda.IsAvailable, Kernels.Interop.Cuda.UnavailableReason);
        Assert.SkipUnless(IsSimulated, "a real GPU cannot be made to fail on demand");
    }

    public static void Configure(string key, string value) => cudasimConfigure(key, value);

    public static void Configure(string key, long value) => cudasimConfigure(key, $"{value}");

    public static void Reset() => cudasimReset();

    [DllImport("libc", CharSet = CharSet.Ansi)]
    private static extern int setenv(string name, string value, int overwrite);

    [DllImport("cudasim_core", CharSet = CharSet.Ansi)]
    private static extern void cudasimConfigure(string key, string value);

    [DllImport("cudasim_core")]
    private static extern void cudasimReset();

    static CudaSimulator() => NativeLibrary.SetDllImportResolver(
        typeof(CudaSimulator).Assembly,
        (name, _, _) => name == "cudasim_core"
            ? NativeLibrary.Load(Path.Combine(Environment.GetEnvironmentVariable(Folder)!, "libcudasim_core.so"))
            : 0);
}
