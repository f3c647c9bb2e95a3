using System.Text.Json.Serialization;
using CudaTrainer.Live.Cameras;

namespace CudaTrainer.Live.Events;

/// <summary>Something that happens at a camera, or happened. The same object is the body of a webhook and of an MQTT message.</summary>
/// <param name="Id">Unique; of letters, digits and hyphens; in the order of the beginnings.</param>
/// <param name="Camera">Name.</param>
public abstract record EventNews(DateTimeOffset At, string Id, string Camera) : LiveNews(At)
{
    /// <summary><c>began</c> or <c>ended</c>.</summary>
    public abstract string Event { get; }

    /// <summary>The class; that with the highest probability where it changes.</summary>
    public required string Label { get; init; }

    /// <summary>Wall-clock time of the beginning.</summary>
    public required DateTimeOffset Start { get; init; }

    /// <summary>The same in seconds since the first frame of the connection, or of the file.</summary>
    public double From { get; init; }

    /// <summary>The highest smoothed probability so far.</summary>
    public required double Peak { get; init; }

    /// <summary>The middle of the window that has it.</summary>
    public required DateTimeOffset PeakTime { get; init; }

    /// <summary>
    /// Of the clips, in the folder of events; a long event has several. They are there a while after its end. Empty where none is saved.
    /// </summary>
    public IReadOnlyList<string> Clips { get; init; } = [];

    /// <summary>The same of the picture; null where none is saved.</summary>
    public string? Snapshot { get; init; }
}

/// <summary>An event has lasted long enough to be told.</summary>
public sealed record EventBegan(DateTimeOffset At, string Id, string Camera) : EventNews(At, Id, Camera)
{
    public override string Event => "began";
}

/// <summary>It is over.</summary>
/// <param name="End">Wall-clock time; earlier than <see cref="LiveNews.At"/> by the cool-down.</param>
public sealed record EventEnded(DateTimeOffset At, string Id, string Camera, DateTimeOffset End, EndReason Reason)
    : EventNews(At, Id, Camera)
{
    /// <summary><see cref="End"/> in seconds as <see cref="EventNews.From"/> has them.</summary>
    public double To { get; init; }

    public override string Event => "ended";
}

/// <summary>Why an event ended.</summary>
[JsonConverter(typeof(EndReasonConverter))]
public enum EndReason
{
    /// <summary>The probability fell below the release, or another class was called.</summary>
    Over,

    /// <summary>The connection to the camera ended.</summary>
    Disconnected,

    /// <summary>The file or the pipe was over.</summary>
    Ended,

    /// <summary>The program was stopped.</summary>
    Stopped,
}

/// <summary>The files of an event are there.</summary>
/// <param name="File">Of its JSON, in the folder of events.</param>
/// <param name="Bytes">Of all of them.</param>
public sealed record EventSaved(DateTimeOffset At, string Id, string Camera, string File, long Bytes) : LiveNews(At);

/// <summary>
/// Something of an event could not be saved, old events not be deleted, or an event is larger than all that may be kept. Later ones are
/// tried again.
/// </summary>
/// <param name="Id">Of the event; null where it is about none.</param>
public sealed record ArchiveTrouble(DateTimeOffset At, string? Id, string Reason) : LiveNews(At);

/// <summary>Somebody could not be told of an event.</summary>
/// <param name="Target">The address, without credentials.</param>
public sealed record NoticeTrouble(DateTimeOffset At, string Target, string Reason) : LiveNews(At);
