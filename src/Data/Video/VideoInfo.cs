namespace CudaTrainer.Data.Video;

/// <summary>What decoding a video showed, as opposed to what its container claims.</summary>
/// <param name="DecodedFrames">Frames that really decode.</param>
/// <param name="Width">
/// Pixels across, as displayed (with the shape of the pixels and the rotation that the metadata say), before resizing.
/// </param>
/// <param name="Height">Pixels down, likewise.</param>
/// <param name="FrameRate">
/// Frames per second: the mean by the time stamps, or what the container says where that is within half a percent; 0 when unknown.
/// </param>
/// <param name="Duration">From the first frame to the end of the last, by the time stamps.</param>
/// <param name="Codec">FFmpeg's name, such as <c>h264</c>.</param>
/// <param name="Container">FFmpeg's name, such as <c>matroska,webm</c>.</param>
/// <param name="DecodeErrors">Damaged packets and frames; not zero in a successful read only with
/// <see cref="VideoReadOptions.TolerateDamage"/>.</param>
/// <param name="Passes">1, or 2 when the file had to be decoded again for its samples.</param>
/// <param name="MotionPairs">Pairs of frames that motion was measured between; 0 where nobody asked for it, or there is none.</param>
/// <param name="ResizeTime">Wall time that converting and resizing the samples took; 0 in a walk.</param>
/// <param name="Pictures">What the pictures look like that motion was measured between; null where there are none.</param>
public readonly record struct VideoInfo(
    long DecodedFrames,
    int Width,
    int Height,
    double FrameRate,
    TimeSpan Duration,
    string Codec,
    string Container,
    long DecodeErrors,
    int Passes,
    int MotionPairs = 0,
    TimeSpan ResizeTime = default,
    PictureStatistics? Pictures = null);

/// <summary>The outcome of <see cref="VideoReader.TryRead(string, int, Span{byte}, VideoReadOptions?, CancellationToken)"/>.</summary>
/// <param name="Fault"><see cref="VideoFault.None"/> on success.</param>
/// <param name="Reason">Why it failed, without the path; empty on success.</param>
/// <param name="Info">Filled as far as reading got.</param>
public readonly record struct VideoReadResult(VideoFault Fault, string Reason, VideoInfo Info)
{
    public bool Succeeded => Fault == VideoFault.None;
}
