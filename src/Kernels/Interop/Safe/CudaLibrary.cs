using System.Reflection;
using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <param name="Path">What was asked of the system's loader.</param>
/// <param name="Reason">Why it was not taken; empty for the one that was.</param>
public readonly record struct LookupAttempt(string Path, string Reason);

/// <summary>One of NVIDIA's libraries: where it was found, or everything that was tried.</summary>
public sealed class CudaLibrary
{
    /// <summary>The environment variable that names the simulator's folder. It alone leads to the simulator.</summary>
    public const string SimulatorVariable = "CUDATRAINER_CUDA_SIMULATOR";

    private readonly List<LookupAttempt> _trace = [];

    private CudaLibrary(string name) => Name = name;

    /// <summary>For example <c>cuBLAS</c>.</summary>
    public string Name { get; }

    /// <summary>What the loader took; empty when not found.</summary>
    public string Path { get; private set; } = string.Empty;

    /// <summary>As the library gives it; empty when not found.</summary>
    public string Version { get; internal set; } = string.Empty;

    public bool Found => Handle != 0;

    public bool IsSimulated { get; private set; }

    /// <summary>Every attempt, in order.</summary>
    public IReadOnlyList<LookupAttempt> Trace => _trace;

    internal nint Handle { get; private set; }

    /// <summary>Why it was not found, in one sentence; empty when it was.</summary>
    public string Reason => Found ? string.Empty : $"{Name} was not found (tried {string.Join("; ", _trace.Select(attempt => $"{attempt.Path}: {attempt.Reason}"))})";

    /// <summary>Looks for a library that has every function of <paramref name="api"/>.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="variable">The environment variable that names the file to take.</param>
    /// <param name="files">File names by preference, newest first.</param>
    /// <param name="api">The class with its LibraryImports.</param>
    internal static CudaLibrary Find(string name, string variable, IReadOnlyList<string> files, Type api)
    {
        var library = new CudaLibrary(name);
        string[] functions = [.. api.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.DeclaredOnly).Select(method => method.Name)];
        foreach (string candidate in Candidates(variable, files))
        {
            if (library.TryTake(candidate, functions))
            {
                break;
            }
        }

        return library;
    }

    private static IEnumerable<string> Candidates(string variable, IReadOnlyList<string> files)
    {
        if (Environment.GetEnvironmentVariable(SimulatorVariable) is { Length: > 0 } simulator)
        {
            return files.Select(file => System.IO.Path.Combine(simulator, file)).Where(File.Exists).DefaultIfEmpty(System.IO.Path.Combine(simulator, files[0]));
        }

        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } chosen)
        {
            return [chosen];
        }

        // The loader's own search first (ld.so.conf, LD_LIBRARY_PATH, PATH); folders only as far as they exist, or the trace would be long.
        return files.Concat(Folders().SelectMany(folder => files.Select(file => System.IO.Path.Combine(folder, file))).Where(File.Exists));
    }

    private static IEnumerable<string> Folders()
    {
        foreach (string variable in new[] { "CUDA_PATH", "CUDA_HOME" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root)
            {
                yield return System.IO.Path.Combine(root, "lib64");
                yield return System.IO.Path.Combine(root, "bin");
            }
        }

        foreach (string root in Matching("/usr/local", "cuda*").OrderDescending(StringComparer.Ordinal))
        {
            yield return System.IO.Path.Combine(root, "lib64");
        }

        yield return "/usr/lib/wsl/lib";
        foreach (string variable in new[] { "VIRTUAL_ENV", "CONDA_PREFIX" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root)
            {
                string lib = System.IO.Path.Combine(root, "lib");
                yield return lib;
                foreach (string package in Matching(lib, "python3*").SelectMany(python => Matching(System.IO.Path.Combine(python, "site-packages", "nvidia"), "*")))
                {
                    yield return System.IO.Path.Combine(package, "lib");
                }
            }
        }

        yield return AppContext.BaseDirectory;
    }

    private static string[] Matching(string folder, string pattern) => Directory.Exists(folder) ? Directory.GetDirectories(folder, pattern) : [];

    private bool TryTake(string candidate, string[] functions)
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

        string reason = Objection(handle, functions);
        _trace.Add(new LookupAttempt(candidate, reason));
        if (reason.Length > 0)
        {
            NativeLibrary.Free(handle);
            return false;
        }

        Handle = handle;
        Path = candidate;
        return true;
    }

    private string Objection(nint handle, string[] functions)
    {
        bool simulated = NativeLibrary.TryGetExport(handle, "cudasimVersion", out _);
        if (simulated && Environment.GetEnvironmentVariable(SimulatorVariable) is not { Length: > 0 })
        {
            return $"it is the simulator, which only {SimulatorVariable} may choose, for tests";
        }

        if (!simulated && Environment.GetEnvironmentVariable(SimulatorVariable) is { Length: > 0 })
        {
            return $"{SimulatorVariable} is set, but this is not the simulator";
        }

        string[] missing = [.. functions.Where(function => !NativeLibrary.TryGetExport(handle, function, out _))];
        IsSimulated = simulated && missing.Length == 0;
        return missing.Length == 0 ? string.Empty : $"it has no {string.Join(", ", missing.Take(3))}{(missing.Length > 3 ? $" and {missing.Length - 3} more" : string.Empty)}: too old, or another library";
    }

    /// <summary>The system's own words, without the runtime's advice around them.</summary>
    private static string Shorten(string message, string candidate)
    {
        string? line = message.Split('\n').Select(text => text.Trim()).FirstOrDefault(text => text.StartsWith(candidate + ":", StringComparison.Ordinal));
        return line is null ? "cannot be loaded" : line[(candidate.Length + 1)..].Trim();
    }
}
