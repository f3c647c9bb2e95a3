using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Training.Extraction;

/// <summary>Video faults as the short texts that tables, the cache and CSV files use.</summary>
internal static class VideoFaults
{
    public static string StatusOf(VideoFault fault) => fault switch
    {
        VideoFault.NotFound => "not found",
        VideoFault.Unreadable => FailureStatus.ReadError,
        VideoFault.NotARegularFile => ClipFault.NotRegularFile,
        VideoFault.Empty => "empty file",
        VideoFault.NotAVideo => "not a video",
        VideoFault.NoVideoStream => "no video stream",
        VideoFault.UnsupportedCodec => "unsupported codec",
        VideoFault.ZeroFrames => "no frame decodes",
        VideoFault.Truncated => "truncated",
        VideoFault.DecodeError => "decode error",
        VideoFault.TimedOut => FailureStatus.TimedOut,
        VideoFault.InvalidArgument => "invalid option",
        VideoFault.Refused => "refused",
        VideoFault.Unreachable => "unreachable",
        _ => FailureStatus.ReadError,
    };
}
