using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace CudaTrainer.OnnxRuntime;

/// <summary>
/// Which ONNX Runtime is loaded: the library beside the program, which computes on the processor, or one with CUDA that somebody has
/// brought, for every device then. A process has one.
/// </summary>
internal static class OnnxRuntimeLibrary
{
    private const string Core = "libonnxruntime.so", Cuda = "libonnxruntime_providers_cuda.so";

    private static readonly Lazy<string?> WhyNot = new(Choose);

    /// <summary>Why no CUDA can be used by the library; null where it may. The first look decides which one is loaded.</summary>
    public static string? WhyNoCuda => WhyNot.Value;

    /// <summary>Where one with CUDA is put: <c>CUDATRAINER_ONNXRUNTIME</c>, else beside the other things that the program keeps for its
    /// user.</summary>
    private static string Folder
    {
        get
        {
            string cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } home
                ? home
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
            return Environment.GetEnvironmentVariable("CUDATRAINER_ONNXRUNTIME") is { Length: > 0 } given
                ? Path.GetFullPath(given)
                : Path.Combine(cache, "cudatrainer", "onnxruntime-gpu");
        }
    }

    private static string? Choose()
    {
        string folder = Folder;
        if (new[] { Core, Cuda }.FirstOrDefault(name => !File.Exists(Path.Combine(folder, name))) is { } missing)
        {
            return $"there is no '{Path.Combine(folder, missing)}', which 'scripts/setup.sh --onnx-gpu' brings";
        }

        if (!NativeLibrary.TryLoad(Path.Combine(folder, Core), out nint library))
        {
            return $"'{Path.Combine(folder, Core)}' cannot be loaded";
        }

        OrtEnv.DisableDllImportResolver = true;
        NativeLibrary.SetDllImportResolver(typeof(InferenceSession).Assembly, Resolve);
        return null;

        nint Resolve(string name, Assembly assembly, DllImportSearchPath? path) => name == "onnxruntime" ? library : 0;
    }
}
