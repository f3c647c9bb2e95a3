namespace CudaTrainer.Data.Video;

/// <summary>How <see cref="VideoFrameReader"/> reads what does not end.</summary>
/// <remarks>Whoever takes frames must keep up: when it does not, frames are left out and counted instead of waiting.</remarks>
public sealed record LiveReading
{
    /// <summary>
    /// An address (rtsp, rtsps, http, https, udp, tcp), <c>pipe:0</c> or a device below /dev; otherwise a file that is taken for live.
    /// </summary>
    public bool IsAddress { get; init; }

    /// <summary>Whether a file is read no faster than it was recorded.</summary>
    public bool Paced { get; init; }

    /// <summary>Whether frames are left out where nobody takes them in time, and packets that come late; a file may wait instead.</summary>
    public bool KeepsUp { get; init; } = true;

    /// <summary>What comes later than this, measured against the least delay of the last minute, is passed over up to a keyframe.</summary>
    public TimeSpan Late { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Wall-clock limit for opening.</summary>
    public TimeSpan OpenLimit { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Gets the packets; null for nobody.</summary>
    public PacketTap? Tap { get; init; }

    /// <summary>Called on the reading thread when there is a frame to take, and when reading has ended; null for nobody.</summary>
    public Action? Arrived { get; init; }

    /// <summary>
    /// Whether anybody wants the frames around a time, in seconds from the first; asked on the reading thread. Frames that nobody wants
    /// have neither picture nor motion. Null for all frames.
    /// </summary>
    public Func<double, bool>? Wants { get; init; }
}

/// <summary>A part of each picture, in fractions of its width and height.</summary>
/// <param name="Left">Of the left edge, from 0.</param>
/// <param name="Top">Of the upper edge, from 0.</param>
/// <param name="Width">At least 0.02; at most 1 together with <paramref name="Left"/>.</param>
/// <param name="Height">Likewise.</param>
public readonly record struct PictureZone(double Left, double Top, double Width, double Height)
{
    /// <summary>Of a side.</summary>
    private const double Least = 0.02;

    /// <summary>Whether it lies in the picture, and shows something of it.</summary>
    public bool IsValid => Left >= 0 && Top >= 0 && Width >= Least && Height >= Least && Left + Width <= 1 && Top + Height <= 1;
}
