using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Tests;

/// <summary>
/// The device, stream and kernels that all CUDA tests share: the simulator, switched on for this process where it has been built, or with
/// CUDATRAINER_TEST_GPU=1 the machine's own GPU. Without either the tests are skipped.
/// </summary>
public sealed partial class CudaFixture : IDisposable
{
    private const string SimulatorFolder = "CUDATRAINER_CUDA_SIMULATOR";

    private readonly CudaContext? _context;
    private readonly CudaStream? _stream;
    private readonly KernelLibrary? _library;

    public CudaFixture()
    {
        if (Interop.Cuda.IsAvailable)
        {
            _context = new CudaContext(0);
            _stream = new CudaStream(_context);
            _library = new KernelLibrary(_context);
        }
    }

    internal CudaContext Context
    {
        get
        {
            Assert.SkipUnless(_context is not null, $"no CUDA: {Interop.Cuda.UnavailableReason}");
            return _context!;
        }
    }

    internal CudaStream Stream => Context is null ? null! : _stream!;

    internal KernelLibrary Library => Context is null ? null! : _library!;

    [ModuleInitializer]
    internal static void SwitchOn()
    {
        string folder = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../cudasim"));
        if (Environment.GetEnvironmentVariable("CUDATRAINER_TEST_GPU") != "1" && Environment.GetEnvironmentVariable(
            SimulatorFolder) is null && Directory.Exists(folder))
        {
            Environment.SetEnvironmentVariable(SimulatorFolder, folder);
        }

        // Three, for collectives. The runtime's own environment is a copy, which the simulator does not read.
        if (OperatingSystem.IsLinux())
        {
            _ = SetEnvironment("CUDASIM_DEVICES", "3", overwrite: 0);
        }
    }

    public void Dispose()
    {
        _library?.Dispose();
        _stream?.Dispose();
        _context?.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}

/// <summary>CUDA tests run one after the other, beside those of the CPU.</summary>
[CollectionDefinition(Name)]
public sealed class CudaCollection : ICollectionFixture<CudaFixture>
{
    public const string Name = "cuda";
}
