using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <param name="Ordinal">Number among the visible devices.</param>
/// <param name="Name">As the driver gives it.</param>
/// <param name="Uuid">In NVIDIA's notation, <c>GPU-…</c>.</param>
/// <param name="ComputeMajor">Compute capability.</param>
/// <param name="ComputeMinor">Compute capability.</param>
/// <param name="MemoryBytes">All of its memory.</param>
/// <param name="Multiprocessors">Streaming multiprocessors.</param>
/// <param name="SharedBytesPerBlockOptin">The most shared memory that a block may be given.</param>
/// <param name="WarpSize">Threads of a warp.</param>
internal sealed record CudaDeviceInfo(
    int Ordinal, string Name, string Uuid, int ComputeMajor, int ComputeMinor, long MemoryBytes, int Multiprocessors,
        int SharedBytesPerBlockOptin, int WarpSize);

/// <summary>
/// What this process can use of CUDA: looked up once, at first use. A machine without it is a normal state with a reason; nothing here
/// throws.
/// </summary>
internal static unsafe class Cuda
{
    /// <summary>11.4: the first driver with all functions that are called.</summary>
    public const int MinimumDriver = 11040;

    /// <summary>The version of PTX that kernels are written in: drivers of CUDA 11.0 and newer read it.</summary>
    public const string PtxVersion = "7.0";

    private static readonly Lazy<Probe> Found = new(Probe.Run);

    /// <summary>Driver and cuBLAS are here, and at least one GPU. cuDNN is needed for VGG19 only, NCCL for several GPUs only.</summary>
    public static bool IsAvailable => UnavailableReason.Length == 0;

    /// <summary>Why CUDA cannot be used; empty when it can.</summary>
    public static string UnavailableReason => Found.Value.Reason;

    /// <summary>Whether all of it is the simulator.</summary>
    public static bool IsSimulated => Found.Value.Libraries.Any(library => library.IsSimulated);

    public static IReadOnlyList<CudaDeviceInfo> Devices => Found.Value.Devices;

    /// <summary>The CUDA version that the driver supports, 1000·major + 10·minor; 0 without a driver.</summary>
    public static int DriverVersion => Found.Value.DriverVersion;

    /// <summary>Driver, cuBLAS, cuDNN, NCCL.</summary>
    public static IReadOnlyList<CudaLibrary> Libraries => Found.Value.Libraries;

    public static bool HasCudnn => IsAvailable && Libraries[2].Found;

    /// <summary>Why there is no cuDNN; empty when there is.</summary>
    public static string CudnnReason => Libraries[2].Reason;

    public static bool HasNccl => IsAvailable && Nccl.Found;

    /// <summary>Why there is no NCCL; empty when there is.</summary>
    public static string NcclReason => Nccl.Reason;

    /// <summary>What NCCL says of itself; empty without it.</summary>
    public static string NcclVersion => Nccl.Version;

    internal static CudaLibrary Nccl => Libraries[3];

    private sealed class Probe
    {
        private Probe()
        {
        }

        public string Reason { get; private set; } = string.Empty;

        public int DriverVersion { get; private set; }

        public IReadOnlyList<CudaLibrary> Libraries { get; private set; } = [];

        public IReadOnlyList<CudaDeviceInfo> Devices { get; private set; } = [];

        public static Probe Run()
        {
            CudaLibrary driver = CudaLibrary.Find(LibraryDescriptions.Driver, cudaMajor: 0);
            int version = VersionOf(driver);
            CudaLibrary[] libraries = [driver, .. LibraryDescriptions.AfterDriver.Select(it => CudaLibrary.Find(it, version / 1000))];
            NativeLibrary.SetDllImportResolver(typeof(Cuda).Assembly, (name, _, _) => name switch
            {
                DriverApi.Library => libraries[0].Handle,
                CublasApi.Library => libraries[1].Handle,
                CudnnApi.Library => libraries[2].Handle,
                NcclApi.Library => libraries[3].Handle,
                _ => 0,
            });
            var probe = new Probe { Libraries = libraries, DriverVersion = version };
            probe.Look();
            return probe;
        }

        /// <summary>The driver tells its version before it is initialised, and on machines where that fails.</summary>
        private static int VersionOf(CudaLibrary driver)
        {
            int version = 0;
            return driver.Found && ((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(driver.Handle, "cuDriverGetVersion"))(&version) == DriverApi.Success ? version : 0;
        }

        private void Look()
        {
            CudaLibrary driver = Libraries[0];
            if (!driver.Found)
            {
                Reason = driver.Reason;
                return;
            }

            // Before cuInit, which an old driver may refuse with a less helpful error.
            if (DriverVersion < MinimumDriver)
            {
                Reason = $"the driver {driver.Path} supports CUDA {driver.Version}; {MinimumDriver / 1000}.{MinimumDriver % 1000 / 10} or newer is needed: install a newer NVIDIA driver";
                return;
            }

            try
            {
                int count = 0;
                CudaException.Check(DriverApi.cuInit(0), "cuInit", device: -1);
                CudaException.Check(DriverApi.cuDeviceGetCount(&count), "cuDeviceGetCount", device: -1);
                Reason = count == 0 ? $"the driver {driver.Path} finds no GPU" : Libraries[1].Reason;
                Devices = [.. Enumerable.Range(0, count).Select(Describe)];
            }
            catch (CudaException exception)
            {
                Reason = $"the driver {driver.Path}: {exception.Message}";
            }
        }

        private static CudaDeviceInfo Describe(int ordinal)
        {
            int handle;
            byte* name = stackalloc byte[256];
            byte* uuid = stackalloc byte[16];
            nuint memory;
            CudaException.Check(DriverApi.cuDeviceGet(&handle, ordinal), "cuDeviceGet", ordinal);
            int device = handle;
            CudaException.Check(DriverApi.cuDeviceGetName(name, 256, device), "cuDeviceGetName", ordinal);
            CudaException.Check(DriverApi.cuDeviceGetUuid_v2(uuid, device), "cuDeviceGetUuid", ordinal);
            CudaException.Check(DriverApi.cuDeviceTotalMem_v2(&memory, device), "cuDeviceTotalMem", ordinal);
            string hex = Convert.ToHexStringLower(new ReadOnlySpan<byte>(uuid, 16));
            return new CudaDeviceInfo(
                ordinal, Marshal.PtrToStringUTF8((nint)name)!, $"GPU-{hex[..8]}-{hex[8..12]}-{hex[12..16]}-{hex[16..20]}-{hex[20..]}",
                Attribute(DriverApi.AttributeComputeMajor), Attribute(DriverApi.AttributeComputeMinor), (long)memory,
                Attribute(DriverApi.AttributeMultiprocessors), Attribute(DriverApi.AttributeSharedPerBlockOptin),
                    Attribute(DriverApi.AttributeWarpSize));

            int Attribute(int attribute)
            {
                int value;
                CudaException.Check(DriverApi.cuDeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute", ordinal);
                return value;
            }
        }
    }
}
