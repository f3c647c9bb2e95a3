namespace CudaTrainer.Data.Video;

/// <summary>A video that could not be read or written: which, why, and what to do about it.</summary>
public sealed class VideoException(VideoFault fault, string path, string reason)
    : Exception(Describe(fault, path, reason))
{
    public VideoFault Fault { get; } = fault;

    /// <summary>The video's path as the caller gave it.</summary>
    public string Path { get; } = path;

    /// <summary>The message without the path.</summary>
    public string Reason { get; } = reason;

    private static string Describe(VideoFault fault, string path, string reason)
    {
        string hint = Hint(fault);
        return $"'{path}': {Name(fault)}: {reason}.{(hint.Length == 0 ? "" : " " + hint)}";
    }

    private static string Name(VideoFault fault) => fault switch
    {
        VideoFault.NotFound => "not found",
        VideoFault.Unreadable => "unreadable",
        VideoFault.NotARegularFile => "not a regular file",
        VideoFault.Empty => "empty",
        VideoFault.NotAVideo => "not a video",
        VideoFault.NoVideoStream => "no video stream",
        VideoFault.UnsupportedCodec => "unsupported codec",
        VideoFault.ZeroFrames => "zero frames",
        VideoFault.Truncated => "truncated",
        VideoFault.DecodeError => "decode error",
        VideoFault.TimedOut => "timed out",
        VideoFault.OutOfMemory => "out of memory",
        VideoFault.InvalidArgument => "invalid option",
        VideoFault.WriteFailed => "cannot write",
        VideoFault.LibraryMissing => "cannot decode",
        VideoFault.Refused => "refused",
        VideoFault.Unreachable => "unreachable",
        _ => "internal error",
    };

    private static string Hint(VideoFault fault) => fault switch
    {
        VideoFault.Truncated => "Copy or download it again.",
        VideoFault.DecodeError => "Copy it again, re-encode it, or leave it out.",
        VideoFault.UnsupportedCodec => "Re-encode it (for instance to H.264) or install a complete FFmpeg.",
        VideoFault.TimedOut => "Raise the limit per file, or leave the file out.",
        VideoFault.Unreadable => "Check its permissions and the disk.",
        _ => "",
    };
}
