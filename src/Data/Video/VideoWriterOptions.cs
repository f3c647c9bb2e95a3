namespace CudaTrainer.Data.Video;

/// <summary>Frames per second as a fraction: 25 is (25, 1), NTSC's 29.97 is (30000, 1001).</summary>
public readonly record struct FrameRate(int Numerator, int Denominator = 1);

/// <summary>What <see cref="VideoWriter"/> writes.</summary>
public sealed record VideoWriterOptions
{
    /// <summary>Pixels across, 1 to 16384.</summary>
    public required int Width { get; init; }

    /// <summary>Pixels down, 1 to 16384.</summary>
    public required int Height { get; init; }

    /// <summary>Of the frames; with <see cref="HasTimes"/> only of a container that knows nothing else (avi).</summary>
    public FrameRate FrameRate { get; init; } = new(25);

    /// <summary>Whether each frame comes with the time when it is shown.</summary>
    public bool HasTimes { get; init; }

    public VideoCodec Codec { get; init; } = VideoCodec.H264;

    /// <summary>1 (small) to 100 (good); without meaning for a lossless codec.</summary>
    public int Quality { get; init; } = 75;

    /// <summary>
    /// 0, 90, 180 or 270: degrees clockwise that a player must turn the pictures, stored as metadata (mp4 and mov keep it).
    /// </summary>
    public int RotationDegrees { get; init; }

    /// <summary>mp4 and mov: index before the pictures, so that playing can start while the file still arrives.</summary>
    public bool FastStart { get; init; }
}
