using CudaTrainer.Formats;

namespace CudaTrainer.Data.Video;

/// <summary>Whether videos can be decoded here, and by which FFmpeg. A missing library is a normal state, not a crash.</summary>
public static class VideoLibrary
{
    /// <summary>Environment variable with the path of the native library; it comes before every other place.</summary>
    public const string PathVariable = "CUDATRAINER_VIDEO_LIB";

    private const string FileName = "libcudatrainer_video.so";

    private static readonly Lazy<(NativeVideo? Native,
        string Detail)> Loaded = new(() => Load(NativeShim.Candidates(FileName, PathVariable)));

    public static bool IsAvailable => Native is not null;

    /// <summary>The FFmpeg in use, such as <c>FFmpeg 5.1.9 (libavformat 59.27.100, …)</c>; <c>null</c> without a library.</summary>
    public static string? Version => Native?.ReadVersion();

    /// <summary>Where the library was loaded from, or why there is none: every path tried and what to do.</summary>
    public static string Detail => Loaded.Value.Detail;

    internal static NativeVideo? Native => Loaded.Value.Native;

    internal static NativeVideo Require(string path) =>
        Native ?? throw new VideoException(VideoFault.LibraryMissing, path, Detail);

    /// <summary>Loads the first library that loads and has the interface this program was built for.</summary>
    /// <returns>The library and its path, or <c>null</c> and the account of what was tried.</returns>
    internal static (NativeVideo? Native, string Detail) Load(IEnumerable<string> candidates)
    {
        (NativeVideo? native, string? detail) = NativeShim.Load(candidates, NativeVideo.Load);
        return native is not null
            ? (native, detail)
            : (null, $"the native video library does not load; tried {detail}. Run 'make setup' "
                + "(it needs the Debian packages cmake, pkg-config, libavformat-dev, libavcodec-dev, libswscale-dev and "
                + $"libavutil-dev), beside NuGet packages install FFmpeg 5.1 (Debian 12: ffmpeg), or set {PathVariable} to its path");
    }
}
