namespace CudaTrainer.Live.Cameras;

/// <summary>A camera at a moment.</summary>
/// <param name="Name">Unique.</param>
/// <param name="Address">Without credentials.</param>
/// <param name="Reason">Why it is not live; null while it is.</param>
/// <param name="Since">Wall-clock time since when it is in this state.</param>
public sealed record CameraStatus(string Name, string Address, CameraState State, string? Reason, DateTimeOffset Since)
{
    /// <summary>Of the picture, in pixels as displayed; 0 before the first frame.</summary>
    public int Width { get; init; }

    /// <summary>Likewise.</summary>
    public int Height { get; init; }

    /// <summary>Frames a second over the connection so far.</summary>
    public double FrameRate { get; init; }

    /// <summary>Frames decoded.</summary>
    public long Frames { get; init; }

    /// <summary>Frames left out because nobody took them in time.</summary>
    public long LeftOut { get; init; }

    /// <summary>Packets passed over because they came late.</summary>
    public long PassedOver { get; init; }

    /// <summary>Times that it was connected to.</summary>
    public int Connections { get; init; }

    /// <summary>Windows that were answered.</summary>
    public long Windows { get; init; }

    /// <summary>Windows that were left out because the machine does not keep up.</summary>
    public long Skipped { get; init; }

    /// <summary>The latest answer; null before there is one.</summary>
    public LiveAnswer? Answer { get; init; }

    /// <summary>In what the camera has left what the model fits; empty while it has not.</summary>
    public IReadOnlyList<DriftBegan> Drift { get; init; } = [];
}

/// <summary>A picture of a camera, with the shape that it should be shown in.</summary>
/// <param name="Rgb">[height, width, 3].</param>
/// <param name="Aspect">Width of the camera's picture by its height.</param>
/// <param name="At">Wall-clock time that it was taken.</param>
public sealed record CameraPicture(byte[] Rgb, int Width, int Height, double Aspect, DateTimeOffset At);
