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
public sealed record CudaDeviceInfo(
    int Ordinal, string Name, string Uuid, int ComputeMajor, int ComputeMinor, long MemoryBytes, int Multiprocessors, int SharedBytesPerBlockOptin, int WarpSize);

/// <summary>
/// What this process can use of CUDA: looked up once, at first use. A machine without it is a normal state with a reason; nothing here throws.
/// </summary>
public static unsafe class Cuda
{
    /// <summary>11.4: the first driver with all functions that are called.</summary>
    public const int MinimumDriver = 11040;

    private static readonly Lazy<Probe> Found = new(Probe.Run);

    /// <summary>Driver, NVRTC and cuBLAS are here, and at least one GPU. cuDNN is needed for VGG19 only.</summary>
    public static bool IsAvailable => UnavailableReason.Length == 0;

    /// <summary>Why CUDA cannot be used; empty when it can.</summary>
    public static string UnavailableReason => Found.Value.Reason;

    /// <summary>Whether all of it is the simulator.</summary>
    public static bool IsSimulated => Found.Value.Libraries.Any(library => library.IsSimulated);

    public static IReadOnlyList<CudaDeviceInfo> Devices => Found.Value.Devices;

    /// <summary>The CUDA version that the driver supports, 1000·major + 10·minor; 0 without a driver.</summary>
    public static int DriverVersion => Found.Value.DriverVersion;

    /// <summary>Driver, NVRTC, cuBLAS, cuDNN.</summary>
    public static IReadOnlyList<CudaLibrary> Libraries => Found.Value.Libraries;

    public static bool HasCudnn => IsAvailable && Libraries[3].Found;

    /// <summary>Why there is no cuDNN; empty when there is.</summary>
    public static string CudnnReason => Libraries[3].Reason;

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
            bool windows = OperatingSystem.IsWindows();
            CudaLibrary driver = CudaLibrary.Find("the CUDA driver", "CUDATRAINER_LIBCUDA", windows ? ["nvcuda.dll"] : ["libcuda.so.1"], typeof(DriverApi));
            CudaLibrary nvrtc = CudaLibrary.Find(
                "NVRTC", "CUDATRAINER_LIBNVRTC",
                windows ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"] : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"], typeof(NvrtcApi));
            CudaLibrary cublas = CudaLibrary.Find(
                "cuBLAS", "CUDATRAINER_LIBCUBLAS",
                windows ? ["cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"] : ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11"], typeof(CublasApi));
            CudaLibrary cudnn = CudaLibrary.Find(
                "cuDNN", "CUDATRAINER_LIBCUDNN", windows ? ["cudnn64_9.dll", "cudnn64_8.dll"] : ["libcudnn.so.9", "libcudnn.so.8"], typeof(CudnnApi));
            var probe = new Probe { Libraries = [driver, nvrtc, cublas, cudnn] };
            NativeLibrary.SetDllImportResolver(typeof(Cuda).Assembly, (name, _, _) => name switch
            {
                DriverApi.Library => driver.Handle,
                NvrtcApi.Library => nvrtc.Handle,
                CublasApi.Library => cublas.Handle,
                CudnnApi.Library => cudnn.Handle,
                _ => 0,
            });
            probe.Look();
            return probe;
        }

        private void Look()
        {
            CudaLibrary driver = Libraries[0];
            if (!driver.Found)
            {
                Reason = driver.Reason;
                return;
            }

            int result = DriverApi.cuInit(0), version = 0, count = 0;
            if (result == DriverApi.Success)
            {
                result = DriverApi.cuDriverGetVersion(&version);
            }

            if (result == DriverApi.Success)
            {
                result = DriverApi.cuDeviceGetCount(&count);
            }

            DriverVersion = version;
            driver.Version = $"{version / 1000}.{version % 1000 / 10}";
            NameVersions();
            Reason = result != DriverApi.Success ? $"the driver {driver.Path} says {CudaException.NameOf(result)} ({result}): {CudaException.TextOf(result)}"
                : version < MinimumDriver ? $"the driver {driver.Path} supports CUDA {driver.Version}; {MinimumDriver / 1000}.{MinimumDriver % 1000 / 10} or newer is needed: install a newer NVIDIA driver"
                : count == 0 ? "the driver finds no GPU"
                : Libraries.Skip(1).Take(2).FirstOrDefault(library => !library.Found)?.Reason ?? string.Empty;
            if (Reason.Length == 0)
            {
                Devices = [.. Enumerable.Range(0, count).Select(Describe)];
            }
        }

        private void NameVersions()
        {
            int major = 0, minor = 0;
            if (Libraries[1].Found && NvrtcApi.nvrtcVersion(&major, &minor) == 0)
            {
                Libraries[1].Version = $"{major}.{minor}";
            }

            // cuBLAS gives its version only to whoever has made a handle, for which a context is needed; the file's name tells the major one.
            Libraries[2].Version = Libraries[2].Found ? MajorOf(Libraries[2].Path) : string.Empty;
            if (Libraries[3].Found)
            {
                long cudnn = (long)CudnnApi.cudnnGetVersion(), divisor = cudnn >= 90000 ? 10000 : 1000;
                Libraries[3].Version = $"{cudnn / divisor}.{cudnn % divisor / 100}.{cudnn % 100}";
            }

            foreach (CudaLibrary library in Libraries.Where(library => library.IsSimulated))
            {
                library.Version = $"SIMULATED {library.Version}";
            }
        }

        private static string MajorOf(string path) => new([.. Path.GetFileName(path).SkipWhile(letter => !char.IsDigit(letter)).TakeWhile(letter => char.IsDigit(letter) || letter == '.')]);

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
                Attribute(DriverApi.AttributeMultiprocessors), Attribute(DriverApi.AttributeSharedPerBlockOptin), Attribute(DriverApi.AttributeWarpSize));

            int Attribute(int attribute)
            {
                int value;
                CudaException.Check(DriverApi.cuDeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute", ordinal);
                return value;
            }
        }
    }
}
