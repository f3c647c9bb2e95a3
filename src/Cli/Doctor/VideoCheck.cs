using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Doctor;

/// <summary>Whether videos can be decoded, and by which FFmpeg.</summary>
internal static class VideoCheck
{
    public static Check Run() => VideoLibrary.IsAvailable
        ? Check.Ok("video", $"{VideoLibrary.Version}, {VideoLibrary.Detail}")
        : Check.Fail("video", VideoLibrary.Detail, "without it only --features-dir works; run make setup build");
}
