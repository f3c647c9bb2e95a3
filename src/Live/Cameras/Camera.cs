using CudaTrainer.Data.Video;

namespace CudaTrainer.Live.Cameras;

/// <summary>A camera to watch.</summary>
/// <param name="Name">Unique.</param>
public sealed record Camera(string Name, CameraAddress Address)
{
    /// <summary>The model that answers for it; null for that of all.</summary>
    public string? Checkpoint { get; init; }

    /// <summary>p(violent) from which it is violent; null for that of all.</summary>
    public double? Threshold { get; init; }

    /// <summary>Where the table names it; 0 for a camera that no table names.</summary>
    internal int Line { get; init; }

    /// <summary>The part of the picture that is looked at; null for the whole.</summary>
    public PictureZone? Zone { get; init; }
}

/// <summary>A connection to a camera, from its first frame to where it breaks off.</summary>
/// <param name="Number">From 1; more with each connection.</param>
/// <param name="Tap">The packets of the last while, in seconds since the first frame; null where nothing is saved.</param>
/// <param name="Began">Wall-clock time of the first frame.</param>
public sealed record CameraSession(Camera Camera, int Number, PacketTap? Tap, DateTimeOffset Began);
