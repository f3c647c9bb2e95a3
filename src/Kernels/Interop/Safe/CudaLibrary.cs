using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <param name="Path">What was asked of the system's loader, or a folder without the file.</param>
/// <param name="Reason">Why it was not taken; empty for the one that was.</param>
/// <param name="IsFolder">A folder in which there was nothing to try.</param>
internal readonly record struct LookupAttempt(string Path, string Reason, bool IsFolder = false);

/// <summary>One of NVIDIA's libraries: where it was found, or everything that was tried.</summary>
internal sealed class CudaLibrary
{
    /// <summary>The environment variable that names the simulator's folder. It alone leads to the simulator.</summary>
    public const string SimulatorVariable = "CUDATRAINER_CUDA_SIMULATOR";

    private readonly List<LookupAttempt> _trace = [];
    private readonly LibraryDescription _description;

    private CudaLibrary(LibraryDescription description) => _description = description;

    /// <summary>The name that messages use, for example <c>cuBLAS</c>.</summary>
    public string Name => _description.Name;

    /// <summary>The environment variable that names the file to take, and no other.</summary>
    public string Variable => _description.Variable;

    /// <summary>The file; empty when it was not found.</summary>
    public string Path { get; private set; } = string.Empty;

    /// <summary>The version that the library gives; empty when it was not found.</summary>
    public string Version { get; private set; } = string.Empty;

    public bool Found => Handle != 0;

    public bool IsSimulated { get; private set; }

    /// <summary>Every attempt, in order.</summary>
    public IReadOnlyList<LookupAttempt> Trace => _trace;

    /// <summary>Why it was not found, with everything that was tried; empty when it was.</summary>
    public string Reason
    {
        get
        {
            string[] folders = [.. _trace.Where(attempt => attempt.IsFolder).Select(attempt => attempt.Path)];
            return Found ? string.Empty
                : $"{Name} was not found (tried {string.Join("; ", _trace.Where(attempt => !attempt.IsFolder).Select(attempt => $"{attempt.Path}: {attempt.Reason}"))}"
                    + $"{(folders.Length > 0 ? $"; not in {string.Join(", ", folders)}" : string.Empty)})";
        }
    }

    /// <summary>Whether a library was there and did not do: too old, too new, or the simulator.</summary>
    public bool WasRefused { get; private set; }

    internal nint Handle { get; private set; }

    private static string Simulator => Environment.GetEnvironmentVariable(SimulatorVariable) ?? string.Empty;

    /// <summary>Looks for a library that has every function that is called, and that works with the driver.</summary>
    /// <param name="description">What to look for.</param>
    /// <param name="cudaMajor">The newest major version of CUDA that the driver supports; 0 when that is not known.</param>
    internal static CudaLibrary Find(LibraryDescription description, int cudaMajor)
    {
        var library = new CudaLibrary(description);
        string[] functions = [.. description.Api.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.DeclaredOnly)
            .Select(method => method.Name)];
        foreach (string candidate in library.Candidates())
        {
            if (library.TryTake(candidate, functions, cudaMajor))
            {
                break;
            }
        }

        return library;
    }

    /// <summary>What to hand to the loader. Folders without the file are noted on the way, so that the trace shows where it would have
    /// been found.</summary>
    private IEnumerable<string> Candidates()
    {
        IReadOnlyList<string> files = _description.Files;
        if (Simulator.Length > 0)
        {
            return files.Select(file => System.IO.Path.Combine(Simulator, file)).Where(File.Exists)
                .DefaultIfEmpty(System.IO.Path.Combine(Simulator, files[0]));
        }

        // The loader's own search first: ld.so.conf, LD_LIBRARY_PATH, PATH.
        return Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } chosen
            ? [chosen]
            : files.Concat(LibraryFolders.All().Distinct().SelectMany(FilesIn));
    }

    private string[] FilesIn(string folder)
    {
        string[] present = [.. _description.Files.Select(file => System.IO.Path.Combine(folder, file)).Where(File.Exists)];
        if (present.Length == 0)
        {
            _trace.Add(new LookupAttempt(folder,
                Directory.Exists(folder) ? $"has no {string.Join(", ", _description.Files)}" : "no such folder", IsFolder: true));
        }

        return present;
    }

    private bool TryTake(string candidate, string[] functions, int cudaMajor)
    {
        nint handle;
        try
        {
            handle = NativeLibrary.Load(candidate);
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            _trace.Add(new LookupAttempt(candidate, Shorten(exception.Message, candidate)));
            return false;
        }

        string reason = Objection(handle, candidate, functions, cudaMajor);
        _trace.Add(new LookupAttempt(candidate, reason));
        if (reason.Length > 0)
        {
            WasRefused = true;
            NativeLibrary.Free(handle);
            return false;
        }

        Handle = handle;
        Path = LoadedFile.Of(NativeLibrary.GetExport(handle, functions[0])) ?? candidate;
        IsSimulated = NativeLibrary.TryGetExport(handle, "cudasimVersion", out _);
        string version = _description.Version(handle, candidate);
        Version = IsSimulated ? $"SIMULATED {version}" : version;
        return true;
    }

    private string Objection(nint handle, string candidate, string[] functions, int cudaMajor)
    {
        bool simulated = NativeLibrary.TryGetExport(handle, "cudasimVersion", out _);
        if (simulated != Simulator.Length > 0)
        {
            return simulated
                ? $"it is the simulator, which only {SimulatorVariable} may choose, for tests"
                : $"{SimulatorVariable} is set, but this is not the simulator";
        }

        string[] missing = [.. functions.Where(function => !NativeLibrary.TryGetExport(handle, function, out _))];
        string version = _description.Version(handle, candidate);
        if (missing.Length > 0)
        {
            return $"{(version.Length > 0 ? $"version {version} " : "it ")}has no {string.Join(", ", missing.Take(3))}{(missing.Length > 3 ? $" and {missing.Length - 3} more" : string.Empty)}: too old, or another library";
        }

        int major = _description.CudaMajor(handle, version);
        return major > cudaMajor && cudaMajor > 0
            ? $"it is of CUDA {major}, and the driver supports only CUDA {cudaMajor}: install a newer driver, or {Name} for CUDA " +
                $"{cudaMajor}"
            : string.Empty;
    }

    /// <summary>The system's own words, without the runtime's advice around them.</summary>
    private static string Shorten(string message, string candidate)
    {
        string? line = message.Split('\n').Select(text => text.Trim())
            .FirstOrDefault(text => text.StartsWith(candidate + ":", StringComparison.Ordinal));
        return line is null ? "cannot be loaded" : line[(candidate.Length + 1)..].Trim();
    }
}

/// <summary>What is known of a library before it is found.</summary>
/// <param name="Name">What messages call it.</param>
/// <param name="Variable">The environment variable that names the file to take.</param>
/// <param name="Files">File names, newest version first.</param>
/// <param name="Api">The class with its LibraryImports.</param>
/// <param name="Version">Handle and file → version; empty when the library does not tell.</param>
/// <param name="CudaMajor">Handle and version → the major version of CUDA that it was made for; 0 when it does not matter or is not
/// known.</param>
internal sealed record LibraryDescription(
    string Name, string Variable, IReadOnlyList<string> Files, Type Api, Func<nint, string, string> Version,
        Func<nint, string, int> CudaMajor);

/// <summary>The four libraries. Versions are asked of whatever exports them: at this point it may be an old or a wrong library.</summary>
internal static unsafe class LibraryDescriptions
{
    private static readonly bool Windows = OperatingSystem.IsWindows();

    public static readonly LibraryDescription Driver = new(
        "the CUDA driver", "CUDATRAINER_LIBCUDA", Windows ? ["nvcuda.dll"] : ["libcuda.so.1"], typeof(DriverApi), (handle, _) =>
            DriverVersion(handle), (_, _) => 0);

    public static readonly LibraryDescription Cublas = new(
        "cuBLAS", "CUDATRAINER_LIBCUBLAS", Windows
            ? ["cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"]
            : ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11"],
        typeof(CublasApi), CublasVersion, (_, version) => MajorOf(version));

    public static readonly LibraryDescription Cudnn = new(
        "cuDNN", "CUDATRAINER_LIBCUDNN", Windows ? ["cudnn64_9.dll", "cudnn64_8.dll"] : ["libcudnn.so.9", "libcudnn.so.8"],
        typeof(CudnnApi), (handle, _) => CudnnVersion(handle),
        (handle, _) => CudnnCudaMajor(handle));

    /// <summary>NCCL, which Windows does not have and which does not tell for which CUDA it was made.</summary>
    public static readonly LibraryDescription Nccl = new(
        "NCCL", "CUDATRAINER_LIBNCCL", Windows ? ["nccl.dll"] : ["libnccl.so.2"], typeof(NcclApi), (handle, _) =>
            NcclVersion(handle), (_, _) => 0);

    /// <summary>The libraries that need the driver, in the order of <see cref="Cuda.Libraries"/>.</summary>
    public static readonly IReadOnlyList<LibraryDescription> AfterDriver = [Cublas, Cudnn, Nccl];

    private static int MajorOf(string version) =>
        int.TryParse(version.Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major) ? major : 0;

    private static string DriverVersion(nint handle)
    {
        int version = 0;
        return NativeLibrary.TryGetExport(handle, "cuDriverGetVersion", out nint function)
            && ((delegate* unmanaged<int*, int>)function)(&version) == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version % 1000 / 10}")
            : string.Empty;
    }

    /// <summary>cuBLAS tells its version without a handle by cublasGetProperty; the file's name has the major one.</summary>
    private static string CublasVersion(nint handle, string file)
    {
        if (NativeLibrary.TryGetExport(handle, "cublasGetProperty", out nint function))
        {
            var property = (delegate* unmanaged<int, int*, int>)function;
            int major, minor, patch;
            if (property(0, &major) == 0 && property(1, &minor) == 0 && property(2, &patch) == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{major}.{minor}.{patch}");
            }
        }

        string name = Path.GetFileNameWithoutExtension(file).Replace("cublas64_", string.Empty, StringComparison.OrdinalIgnoreCase);
        return new([.. Path.GetFileName(Windows ? name : file).SkipWhile(letter => !char.IsDigit(letter)).TakeWhile(letter => char.IsDigit(letter) || letter == '.')]);
    }

    /// <summary>Version 8 counts major·1000 + minor·100 + patch, version 9 major·10000 + minor·100 + patch.</summary>
    private static string CudnnVersion(nint handle)
    {
        if (!NativeLibrary.TryGetExport(handle, "cudnnGetVersion", out nint function))
        {
            return string.Empty;
        }

        long version = (long)((delegate* unmanaged<nuint>)function)(), major = version >= 90000 ? version / 10000 : version / 1000;
        return string.Create(CultureInfo.InvariantCulture, $"{major}.{version % (version >= 90000 ? 10000 : 1000) / 100}.{version % 100}");
    }

    /// <summary>Up to 2.8 it counts major·1000 + minor·100 + patch, from 2.9 on major·10000 + minor·100 + patch.</summary>
    private static string NcclVersion(nint handle)
    {
        int version = 0;
        if (!NativeLibrary.TryGetExport(handle, "ncclGetVersion",
            out nint function) || ((delegate* unmanaged<int*, int>)function)(&version) != 0)
        {
            return string.Empty;
        }

        int scale = version >= 10000 ? 10000 : 1000;
        return string.Create(CultureInfo.InvariantCulture, $"{version / scale}.{version % scale / 100}.{version % 100}");
    }

    /// <summary>The same file name serves several versions of CUDA: cuDNN says which it was built with, as 1000·major + 10·minor.</summary>
    private static int CudnnCudaMajor(nint handle) =>
        NativeLibrary.TryGetExport(handle, "cudnnGetCudartVersion", out nint function)
            ? (int)(((delegate* unmanaged<nuint>)function)() / 1000)
            : 0;
}
