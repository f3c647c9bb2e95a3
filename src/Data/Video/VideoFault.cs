namespace CudaTrainer.Data.Video;

/// <summary>Why a video could not be read or written. The numbers are those of <c>enum ctv_fault</c> in native/video.</summary>
public enum VideoFault
{
    None = 0,

    /// <summary>No such file.</summary>
    NotFound = 1,

    /// <summary>No permission, or the file system failed to deliver the bytes.</summary>
    Unreadable = 2,

    /// <summary>A directory, FIFO, socket or device; none is ever opened.</summary>
    NotARegularFile = 3,

    /// <summary>0 bytes.</summary>
    Empty = 4,

    /// <summary>The content is no container FFmpeg knows, is a still image, or has a header that makes no sense.</summary>
    NotAVideo = 5,

    /// <summary>Sound or subtitles only.</summary>
    NoVideoStream = 6,

    /// <summary>The FFmpeg in use has no decoder (or encoder) for the codec.</summary>
    UnsupportedCodec = 7,

    /// <summary>A video stream out of which no frame decodes.</summary>
    ZeroFrames = 8,

    /// <summary>The data end before the container says: an interrupted copy or recording.</summary>
    Truncated = 9,

    /// <summary>Damaged packets or frames.</summary>
    DecodeError = 10,

    /// <summary><see cref="VideoReadOptions.TimeLimit"/> was reached.</summary>
    TimedOut = 11,

    /// <summary>The caller's cancellation token; surfaces as <see cref="OperationCanceledException"/>.</summary>
    Cancelled = 12,

    OutOfMemory = 13,

    /// <summary>An option is out of range or does not suit the codec or container.</summary>
    InvalidArgument = 14,

    /// <summary>The file could not be written: the disk is full, the folder is not writable.</summary>
    WriteFailed = 15,

    /// <summary>A fault of this program or of FFmpeg.</summary>
    Internal = 16,

    /// <summary>The native library is not there or does not load.</summary>
    LibraryMissing = 17,

    /// <summary>A camera or server wants a login, or another one.</summary>
    Refused = 18,

    /// <summary>A camera or server does not answer, there is no such host, or the connection broke.</summary>
    Unreachable = 19,
}
