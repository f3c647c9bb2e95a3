using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace CudaTrainer.Kernels.Interop;

/// <summary>A CUDA source does not compile.</summary>
public sealed class KernelSourceException(string file, string log) : Exception($"{file} does not compile:{Environment.NewLine}{log.Trim()}")
{
    public string File { get; } = file;

    /// <summary>What NVRTC says, with file and line of each error.</summary>
    public string Log { get; } = log;
}

/// <summary>
/// CUDA C++ to machine code of the device, by NVRTC, and to PTX of the newest architecture that NVRTC knows where the device is newer than it. Results are kept on disk, in <c>CUDATRAINER_KERNEL_CACHE</c>
/// or <c>$XDG_CACHE_HOME/cudatrainer/kernels</c>, by the hash of everything that decides them.
/// </summary>
public sealed unsafe class KernelCompiler
{
    public const string CacheVariable = "CUDATRAINER_KERNEL_CACHE";

    private const string CacheMagic = "cudatrainer kernel 1\n";

    /// <summary>Where compiled kernels are kept.</summary>
    public static string CacheFolder
    {
        get
        {
            if (Environment.GetEnvironmentVariable(CacheVariable) is { Length: > 0 } chosen)
            {
                return chosen;
            }

            string root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache
                ? cache
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Path.Combine(root, "cudatrainer", "kernels");
        }
    }

    /// <param name="context">Whose device.</param>
    /// <param name="fileName">For messages; with its path if it is a file on disk.</param>
    /// <param name="source">CUDA C++.</param>
    /// <param name="headers">What it may include, by name.</param>
    /// <exception cref="KernelSourceException">The source does not compile.</exception>
    /// <exception cref="CudaException">The driver refuses the result.</exception>
    public CudaModule Load(CudaContext context, string fileName, string source, IReadOnlyDictionary<string, string> headers)
    {
        context.Use();
        var (architecture, isMachineCode) = Architecture(context.Info);
        string option = $"--gpu-architecture={(isMachineCode ? "sm" : "compute")}_{architecture}";
        string path = Path.Combine(CacheFolder, $"{KeyOf(source, headers, option)}.bin");
        byte[]? image = ReadCache(path);
        if (image is null)
        {
            image = Compile(context, fileName, source, headers, option, isMachineCode);
            WriteCache(path, image);
        }

        return new CudaModule(context, image, fileName);
    }

    private static (int Architecture, bool IsMachineCode) Architecture(CudaDeviceInfo device)
    {
        int own = (10 * device.ComputeMajor) + device.ComputeMinor, count;
        Check(NvrtcApi.nvrtcGetNumSupportedArchs(&count), "nvrtcGetNumSupportedArchs", device.Ordinal);
        int[] known = new int[count];
        fixed (int* start = known)
        {
            Check(NvrtcApi.nvrtcGetSupportedArchs(start), "nvrtcGetSupportedArchs", device.Ordinal);
        }

        int best = known.Where(architecture => architecture <= own).DefaultIfEmpty(known.Min()).Max();
        return (best, best == own);
    }

    private static string KeyOf(string source, IReadOnlyDictionary<string, string> headers, string option)
    {
        int major, minor;
        Check(NvrtcApi.nvrtcVersion(&major, &minor), "nvrtcVersion", 0);
        var text = new StringBuilder();
        text.Append(Cuda.Libraries[1].Version).Append('\0').Append(major).Append('.').Append(minor).Append('\0').Append(option).Append('\0').Append(source);
        foreach (var (name, content) in headers.OrderBy(header => header.Key, StringComparer.Ordinal))
        {
            text.Append('\0').Append(name).Append('\0').Append(content);
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <returns>Null when there is no entry, or a damaged one, which is then compiled anew.</returns>
    private static byte[]? ReadCache(string path)
    {
        try
        {
            byte[] file = File.ReadAllBytes(path);
            int header = CacheMagic.Length + SHA256.HashSizeInBytes;
            return file.Length > header
                && Encoding.ASCII.GetString(file, 0, CacheMagic.Length) == CacheMagic
                && SHA256.HashData(file.AsSpan(header)).AsSpan().SequenceEqual(file.AsSpan(CacheMagic.Length, SHA256.HashSizeInBytes))
                ? file[header..]
                : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes beside and renames: other processes see no half-written entry. A cache that cannot be written only costs time.</summary>
    private static void WriteCache(string path, byte[] image)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(temporary, [.. Encoding.ASCII.GetBytes(CacheMagic), .. SHA256.HashData(image), .. image]);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static byte[] Compile(CudaContext context, string fileName, string source, IReadOnlyDictionary<string, string> headers, string option, bool isMachineCode)
    {
        using var strings = new NativeStrings();
        byte** contents = strings.Array(headers.Values), names = strings.Array(headers.Keys), options = strings.Array([option, "--std=c++17"]);
        nint program;
        Check(NvrtcApi.nvrtcCreateProgram(&program, strings.Add(source), strings.Add(Path.GetFileName(fileName)), headers.Count, contents, names), "nvrtcCreateProgram", context.Ordinal);
        try
        {
            if (NvrtcApi.nvrtcCompileProgram(program, 2, options) != 0)
            {
                throw new KernelSourceException(fileName, LogOf(program, context.Ordinal));
            }

            nuint bytes;
            Check(isMachineCode ? NvrtcApi.nvrtcGetCUBINSize(program, &bytes) : NvrtcApi.nvrtcGetPTXSize(program, &bytes), "nvrtcGetCUBINSize", context.Ordinal);
            byte[] image = new byte[bytes];
            fixed (byte* start = image)
            {
                Check(isMachineCode ? NvrtcApi.nvrtcGetCUBIN(program, start) : NvrtcApi.nvrtcGetPTX(program, start), "nvrtcGetCUBIN", context.Ordinal);
            }

            return image;
        }
        finally
        {
            _ = NvrtcApi.nvrtcDestroyProgram(&program);
        }
    }

    private static string LogOf(nint program, int device)
    {
        nuint bytes;
        Check(NvrtcApi.nvrtcGetProgramLogSize(program, &bytes), "nvrtcGetProgramLogSize", device);
        byte[] log = new byte[bytes];
        fixed (byte* start = log)
        {
            Check(NvrtcApi.nvrtcGetProgramLog(program, start), "nvrtcGetProgramLog", device);
        }

        return Encoding.UTF8.GetString(log).TrimEnd('\0');
    }

    private static void Check(int result, string call, int device)
    {
        if (result != 0)
        {
            throw new CudaException(call, result, "NVRTC", Marshal.PtrToStringUTF8((nint)NvrtcApi.nvrtcGetErrorString(result)) ?? string.Empty, device, kernel: null, isSticky: false);
        }
    }

    /// <summary>C strings that live until they are disposed together.</summary>
    private sealed class NativeStrings : IDisposable
    {
        private readonly List<nint> _memory = [];

        public byte* Add(string text)
        {
            nint pointer = Marshal.StringToCoTaskMemUTF8(text);
            _memory.Add(pointer);
            return (byte*)pointer;
        }

        public byte** Array(IEnumerable<string> texts)
        {
            nint[] pointers = [.. texts.Select(text => (nint)Add(text))];
            nint array = Marshal.AllocCoTaskMem(Math.Max(1, pointers.Length) * sizeof(nint));
            _memory.Add(array);
            pointers.CopyTo(new Span<nint>((void*)array, pointers.Length));
            return (byte**)array;
        }

        public void Dispose()
        {
            foreach (nint pointer in _memory)
            {
                Marshal.FreeCoTaskMem(pointer);
            }
        }
    }
}
