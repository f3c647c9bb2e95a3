
namespace CudaTrainer.Formats;

/// <summary>Whether HDF5 files can be read here. A missing library is a normal state.</summary>
public static class Hdf5Library
{
    /// <summary>Environment variable with the path of the native library; it comes before every other place.</summary>
    public const string PathVariable = "CUDATRAINER_HDF5_LIB";

    private const string FileName = "libcudatrainer_hdf5.so";
    private const string Remedy = "Install the Debian package libhdf5-dev and run 'make build' " +
        "(beside NuGet packages libhdf5-103-1 is enough)";

    private static readonly Lazy<(NativeHdf5? Native,
        string Detail)> Loaded = new(() => Load(NativeShim.Candidates(FileName, PathVariable)));

    public static bool IsAvailable => Native is not null;

    /// <summary>The library in use, such as <c>HDF5 1.10.8</c>; null without one.</summary>
    public static string? Version => Native?.ReadVersion();

    /// <summary>Where the library was loaded from, or why there is none: every path tried and what to do.</summary>
    public static string Detail => Loaded.Value.Detail;

    internal static NativeHdf5? Native => Loaded.Value.Native;

    /// <exception cref="FileFormatException">There is no library; says what to install.</exception>
    internal static NativeHdf5 Require(string path) => Require(path, Loaded.Value);

    internal static NativeHdf5 Require(string path, (NativeHdf5? Native, string Detail) loaded) => loaded.Native
        ?? throw new FileFormatException(path, $"this is an HDF5 (Keras) file, and {loaded.Detail}",
            "Without it, convert the weights to .safetensors.");

    /// <returns>The library and its path, or null and the account of what was tried.</returns>
    internal static (NativeHdf5? Native, string Detail) Load(IEnumerable<string> candidates)
    {
        (NativeHdf5? native, string? detail) = NativeShim.Load(candidates, NativeHdf5.Load);
        return native is not null ? (native, detail) : (null, $"the native HDF5 library does not load; tried {detail}. {Remedy}");
    }
}
