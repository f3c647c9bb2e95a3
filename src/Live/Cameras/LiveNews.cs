namespace CudaTrainer.Live.Cameras;

/// <summary>Something that those who watch are told; never from two threads at once.</summary>
/// <param name="At">Wall-clock time.</param>
public abstract record LiveNews(DateTimeOffset At);

/// <summary>The answer for one window of a camera.</summary>
/// <param name="Camera">Name.</param>
/// <param name="Start">Wall-clock time of the beginning of the window.</param>
/// <param name="End">Of its end.</param>
/// <param name="Violent">p(violent); null for classes other than the known pair.</param>
/// <param name="Label">The class that the window is called; null where it reaches the threshold of none.</param>
public sealed record LiveAnswer(DateTimeOffset At, string Camera, DateTimeOffset Start, DateTimeOffset End, double? Violent, string? Label)
    : LiveNews(At)
{
    /// <summary>Seconds of the window's beginning since the first frame of the connection.</summary>
    public double From { get; init; }

    /// <summary>Likewise of its end.</summary>
    public double To { get; init; }

    /// <summary>Of each class by its name; null for the known pair.</summary>
    public IReadOnlyDictionary<string, double>? Probabilities { get; init; }

    /// <summary>From the clips that the model learned from, in limits; null if the model does not say.</summary>
    public double? Distance { get; init; }

    /// <summary>Weight of each sampled frame; null for models without attention.</summary>
    public IReadOnlyList<double>? Attention { get; init; }

    /// <summary>Seconds of the sampled frames since the first frame of the connection.</summary>
    public IReadOnlyList<double> FrameSeconds { get; init; } = [];

    /// <summary>Seconds from when the last frame of the window was taken to the answer.</summary>
    public double Latency { get; init; }

    /// <summary>p(violent), or the probability of <see cref="Label"/>, or the largest where there is none.</summary>
    public double Score => Violent ?? (Label is null ? Probabilities!.Values.Max() : Probabilities![Label]);
}

/// <summary>A camera connected, broke off, or ended.</summary>
/// <param name="Reason">Why it is not live, without credentials; null where nothing is wrong.</param>
public sealed record CameraChanged(DateTimeOffset At, string Camera, CameraState State, string? Reason) : LiveNews(At)
{
    /// <summary>Seconds until it is connected to again; null where it is not.</summary>
    public double? Pause { get; init; }
}

/// <summary>The machine does not keep up, or does again.</summary>
/// <param name="Of">One window of so many is computed, of every camera; 1 = all.</param>
/// <param name="Load">The work that all windows would be, in times of what the machine manages.</param>
public sealed record LoadChanged(DateTimeOffset At, int Of, double Load) : LiveNews(At);

/// <summary>What a camera shows, or what the model makes of it, has left what the model fits: docs/drift.md.</summary>
/// <param name="Quantity">For example <c>luminance</c>.</param>
/// <param name="Sentence">For people.</param>
/// <param name="Value">Median of the latest windows.</param>
/// <param name="Low">Of the clips that the model learned from.</param>
/// <param name="High">Likewise.</param>
public sealed record DriftBegan(DateTimeOffset At, string Camera, string Quantity, string? Class, string Sentence, double Value, double Low,
    double High) : LiveNews(At);

/// <summary>That is over.</summary>
public sealed record DriftEnded(DateTimeOffset At, string Camera, string Quantity, string? Class) : LiveNews(At);

/// <summary>Where a camera is.</summary>
public enum CameraState
{
    Connecting,
    Live,

    /// <summary>It will be connected to again.</summary>
    Waiting,

    /// <summary>It was a file or a pipe, and is over, or cannot be read at all.</summary>
    Ended,
}
