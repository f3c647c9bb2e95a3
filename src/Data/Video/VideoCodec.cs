namespace CudaTrainer.Data.Video;

/// <summary>Codecs that <see cref="VideoWriter"/> encodes when the FFmpeg in use can.</summary>
public enum VideoCodec
{
    H264,
    Mpeg4,
    Mjpeg,
    Vp8,
    Vp9,

    /// <summary>Lossless RGB; mkv, avi or mov.</summary>
    Ffv1,
    Wmv2,
    Flv1,
    Mpeg2,
}

/// <summary>What <see cref="VideoCodec"/> is called elsewhere.</summary>
internal static class VideoCodecs
{
    /// <summary>FFmpeg's name, the one <see cref="VideoInfo.Codec"/> shows.</summary>
    public static string Name(this VideoCodec codec) => codec switch
    {
        VideoCodec.H264 => "h264",
        VideoCodec.Mpeg4 => "mpeg4",
        VideoCodec.Mjpeg => "mjpeg",
        VideoCodec.Vp8 => "vp8",
        VideoCodec.Vp9 => "vp9",
        VideoCodec.Ffv1 => "ffv1",
        VideoCodec.Wmv2 => "wmv2",
        VideoCodec.Flv1 => "flv1",
        VideoCodec.Mpeg2 => "mpeg2video",
        _ => throw new ArgumentOutOfRangeException(nameof(codec), codec, "Unknown codec."),
    };
}
