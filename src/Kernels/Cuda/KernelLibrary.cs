using System.Reflection;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// The CUDA kernels of one device: finds the <c>.cu</c> files, compiles each the first time one of its kernels is asked for, and owns the modules. A file of the same name in the folder that
/// <c>CUDATRAINER_KERNELS</c> names, a header too, takes the place of an embedded one, so that a kernel can be edited without building anything.
/// </summary>
/// <remarks>
/// Loading a module is forbidden while a stream captures a graph, so a step must have run once before it is captured. Not thread-safe: a device is driven by one thread.
/// </remarks>
public sealed class KernelLibrary : IDisposable
{
    /// <summary>The environment variable with the folder of sources that go before the embedded ones.</summary>
    public const string FolderVariable = "CUDATRAINER_KERNELS";

    private static readonly Lazy<IReadOnlyDictionary<string, string>> _embedded = new(ReadEmbedded);
    private readonly KernelCompiler _compiler = new();
    private readonly Dictionary<string, CudaModule> _modules = [];
    private readonly string? _folder;
    private readonly Dictionary<string, string> _headers;

    /// <param name="context">Whose device.</param>
    /// <exception cref="DirectoryNotFoundException"><c>CUDATRAINER_KERNELS</c> names no folder.</exception>
    public KernelLibrary(CudaContext context)
    {
        Context = context;
        _folder = Folder;
        _headers = Headers.ToDictionary(header => header.Key, header => Override(header.Key) is { } path ? File.ReadAllText(path) : header.Value);
    }

    /// <summary>Names of the embedded sources, for example <c>batch_norm.cu</c>, in alphabetical order.</summary>
    public static IReadOnlyList<string> Files { get; } =
        [.. _embedded.Value.Keys.Where(name => name.EndsWith(".cu", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>What every <c>.cu</c> file, embedded or not, can include: <c>common.cuh</c> and the other headers, by name.</summary>
    public static IReadOnlyDictionary<string, string> Headers { get; } =
        _embedded.Value.Where(file => file.Key.EndsWith(".cuh", StringComparison.Ordinal)).ToDictionary();

    /// <summary>The folder whose sources go before the embedded ones, with its full path; null without <see cref="FolderVariable"/>.</summary>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    public static string? Folder => Environment.GetEnvironmentVariable(FolderVariable) switch
    {
        null or "" => null,
        { } folder when Directory.Exists(folder) => Path.GetFullPath(folder),
        { } folder => throw new DirectoryNotFoundException($"{FolderVariable}={folder}: there is no such folder."),
    };

    public CudaContext Context { get; }

    /// <summary>The text of an embedded source.</summary>
    /// <param name="file">One of <see cref="Files"/>.</param>
    public static string Source(string file) =>
        _embedded.Value.TryGetValue(file, out string? text) ? text : throw new ArgumentException($"There is no CUDA source named {file}; there are {string.Join(", ", Files)}.", nameof(file));

    /// <summary>A kernel of a file; compiles the file when it is the first.</summary>
    /// <param name="file">One of <see cref="Files"/>, or a file of <see cref="Folder"/>.</param>
    /// <param name="kernel">Its C name.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="KernelSourceException">The file does not compile.</exception>
    /// <exception cref="CudaException">The driver refuses the module, or it has no such kernel.</exception>
    public CudaKernel Get(string file, string kernel)
    {
        if (Override(file) is { } path)
        {
            return LoadFile(path).GetKernel(kernel);
        }

        if (!_modules.TryGetValue(file, out CudaModule? module))
        {
            module = _compiler.Load(Context, file, Source(file), _headers);
            _modules.Add(file, module);
        }

        return module.GetKernel(kernel);
    }

    /// <summary>
    /// Compiles a <c>.cu</c> file from disk, for an op of one's own. It may include <see cref="Headers"/>. The module belongs to this library; the same path is compiled once.
    /// </summary>
    /// <param name="path">A text file in UTF-8.</param>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <inheritdoc cref="Get"/>
    public CudaModule LoadFile(string path)
    {
        string full = Path.GetFullPath(path);
        if (!_modules.TryGetValue(full, out CudaModule? module))
        {
            module = _compiler.Load(Context, full, File.ReadAllText(full), _headers);
            _modules.Add(full, module);
        }

        return module;
    }

    public void Dispose()
    {
        foreach (CudaModule module in _modules.Values)
        {
            module.Dispose();
        }

        _modules.Clear();
    }

    /// <summary>The file of this name in <see cref="Folder"/>, if there is one.</summary>
    private string? Override(string file) => _folder is not null && Path.Combine(_folder, file) is var path && File.Exists(path) ? path : null;

    private static Dictionary<string, string> ReadEmbedded()
    {
        Assembly assembly = typeof(KernelLibrary).Assembly;
        var files = new Dictionary<string, string>();
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.EndsWith(".cu", StringComparison.Ordinal) || name.EndsWith(".cuh", StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            files.Add(name, reader.ReadToEnd());
        }

        return files;
    }
}
