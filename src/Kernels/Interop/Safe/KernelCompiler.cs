using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace CudaTrainer.Kernels.Interop;

/// <summary>A CUDA source does not compile.</summary>
public sealed partial class KernelSourceException(string file, string log) : Exception($"{file} does not compile:{Environment.NewLine}{log.Trim()}")
{
    public string File { get; } = file;

    /// <summary>Line of the first error, from 1; 0 when the log does not tell, or when it is in a header.</summary>
    public int Line { get; } = Errors().Matches(log).FirstOrDefault(error => Path.GetFileName(error.Groups["file"].Value) == Path.GetFileName(file)) is { } first
        ? int.Parse(first.Groups["line"].Value, CultureInfo.InvariantCulture)
        : 0;

    /// <summary>What NVRTC says, with file and line of each error.</summary>
    public string Log { get; } = log;

    /// <summary><c>relu.cu(12): error: …</c> as NVRTC writes it, or <c>relu.cu:12:5: error: …</c>.</summary>
    [GeneratedRegex(@"^(?<file>[^\s():]+)(\((?<line>\d+)\)|:(?<line>\d+)(:\d+)?): (fatal |catastrophic )?error", RegexOptions.Multiline)]
    private static partial Regex Errors();
}

/// <summary>What NVRTC makes of a source for one architecture.</summary>
/// <param name="MachineCode">A cubin.</param>
/// <param name="Ptx">What the machine code was assembled from.</param>
/// <param name="Log">What compiler and assembler say.</param>
public sealed record CompiledSource(byte[] MachineCode, string Ptx, string Log);

/// <summary>
/// CUDA C++ to machine code of the device, by NVRTC, and to PTX of the newest architecture that NVRTC knows where the device is newer than it. Results are kept on disk, in <c>CUDATRAINER_KERNEL_CACHE</c>
/// or <c>$XDG_CACHE_HOME/cudatrainer/kernels</c>, by the hash of everything that decides them.
/// </summary>
public sealed unsafe class KernelCompiler
{
    public const string CacheVariable = "CUDATRAINER_KERNEL_CACHE";

    private const string LanguageOption = "--std=c++17";

    private const string CacheMagic = "cudatrainer kernel 1\n";

    /// <summary>Where compiled kernels are kept; empty, and then they are not, for a user without a home folder.</summary>
    public static string CacheFolder
    {
        get
        {
            if (Environment.GetEnvironmentVariable(CacheVariable) is { Length: > 0 } chosen)
            {
                return chosen;
            }

            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            string root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
                : home.Length > 0 ? Path.Combine(home, ".cache")
                : string.Empty;
            return root.Length > 0 ? Path.Combine(root, "cudatrainer", "kernels") : string.Empty;
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
        if (ReadCache(path) is { } kept)
        {
            try
            {
                return new CudaModule(context, kept, fileName);
            }
            catch (CudaException exception) when (!exception.IsSticky)
            {
                // Of another build of NVRTC, say, that this driver does not take: compiled anew below.
            }
        }

        byte[] image = Compile(context.Ordinal, fileName, source, headers, [option, LanguageOption], program => ImageOf(program, isMachineCode, context.Ordinal));
        WriteCache(path, image);
        return new CudaModule(context, image, fileName);
    }

    /// <summary>Compiles for a GPU that need not be here, with NVRTC alone: no driver, no cache.</summary>
    /// <param name="architecture">Ten times the compute capability: 80.</param>
    /// <param name="fileName">For messages.</param>
    /// <param name="source">CUDA C++.</param>
    /// <param name="headers">What it may include, by name.</param>
    /// <param name="options">More options, for example <c>--ptxas-options=-v</c>.</param>
    /// <exception cref="InvalidOperationException">There is no NVRTC.</exception>
    /// <exception cref="KernelSourceException">The source does not compile.</exception>
    public static CompiledSource CompileFor(int architecture, string fileName, string source, IReadOnlyDictionary<string, string> headers, params string[] options)
    {
        if (!Cuda.Libraries[1].Found)
        {
            throw new InvalidOperationException(Cuda.Libraries[1].Reason);
        }

        return Compile(device: 0, fileName, source, headers, [$"--gpu-architecture=sm_{architecture}", LanguageOption, .. options], program => new CompiledSource(
            ImageOf(program, isMachineCode: true, device: 0), Encoding.UTF8.GetString(ImageOf(program, isMachineCode: false, device: 0)).TrimEnd('\0'), LogOf(program, device: 0)));
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

        int best = known.Where(architecture => architecture <= own).DefaultIfEmpty().Max();
        return best > 0 ? (best, best == own) : throw new CudaException(
            "nvrtcGetSupportedArchs", 0, "NVRTC",
            $"version {Cuda.Libraries[1].Version} compiles for compute capability {known.Min() / 10}.{known.Min() % 10} and newer; {device.Name} has {device.ComputeMajor}.{device.ComputeMinor}",
            device.Ordinal, kernel: null, isSticky: false, "Use an older NVRTC: CUDA 12 is the last for compute capability 7.0");
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
        if (CacheFolder.Length == 0)
        {
            return null;
        }

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
        if (CacheFolder.Length == 0)
        {
            return;
        }

        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(temporary, [.. Encoding.ASCII.GetBytes(CacheMagic), .. SHA256.HashData(image), .. image]);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            TryDelete(temporary);
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
        }
    }

    /// <param name="take">Takes what is wanted from the program before it is destroyed.</param>
    private static T Compile<T>(
        int device, string fileName, string source, IReadOnlyDictionary<string, string> headers, IReadOnlyList<string> options, Func<nint, T> take)
    {
        using var strings = new NativeStrings();
        byte** contents = strings.Array(headers.Values), names = strings.Array(headers.Keys), optionTexts = strings.Array(options);
        nint program;
        Check(NvrtcApi.nvrtcCreateProgram(&program, strings.Add(source), strings.Add(Path.GetFileName(fileName)), headers.Count, contents, names), "nvrtcCreateProgram", device);
        try
        {
            int result = NvrtcApi.nvrtcCompileProgram(program, options.Count, optionTexts);
            if (result == NvrtcApi.ErrorCompilation)
            {
                throw new KernelSourceException(fileName, LogOf(program, device));
            }

            Check(result, "nvrtcCompileProgram", device);
            return take(program);
        }
        finally
        {
            _ = NvrtcApi.nvrtcDestroyProgram(&program);
        }
    }

    private static byte[] ImageOf(nint program, bool isMachineCode, int device)
    {
        nuint bytes;
        Check(isMachineCode ? NvrtcApi.nvrtcGetCUBINSize(program, &bytes) : NvrtcApi.nvrtcGetPTXSize(program, &bytes), isMachineCode ? "nvrtcGetCUBINSize" : "nvrtcGetPTXSize", device);
        byte[] image = new byte[bytes];
        fixed (byte* start = image)
        {
            Check(isMachineCode ? NvrtcApi.nvrtcGetCUBIN(program, start) : NvrtcApi.nvrtcGetPTX(program, start), isMachineCode ? "nvrtcGetCUBIN" : "nvrtcGetPTX", device);
        }

        return image;
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
