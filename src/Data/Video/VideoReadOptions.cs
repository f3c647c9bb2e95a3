namespace CudaTrainer.Data.Video;

/// <summary>How <see cref="VideoReader"/> reads a file.</summary>
public sealed record VideoReadOptions
{
    public static VideoReadOptions Default { get; } = new();

    /// <summary>Width of each sample in pixels; the picture is stretched to it.</summary>
    public int Width { get; init; } = 224;

    /// <summary>Height of each sample in pixels.</summary>
    public int Height { get; init; } = 224;

    /// <summary>Which frames are sampled.</summary>
    public FrameTiming Timing { get; init; }

    /// <summary>Wall-clock limit for one file; <see cref="TimeSpan.Zero"/> for none.</summary>
    public TimeSpan TimeLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Deliver what decodes of a damaged or truncated file instead of failing; <see cref="VideoInfo.DecodeErrors"/> then tells.
    /// </summary>
    public bool TolerateDamage { get; init; }

    /// <summary>
    /// Bytes of decoded frames held while the number of frames is still unknown. When a video needs more, and its container
    /// misstates the number of frames, it is decoded a second time.
    /// </summary>
    public long KeepBytes { get; init; } = 64L << 20;
}
