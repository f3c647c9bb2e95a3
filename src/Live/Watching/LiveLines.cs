using System.Globalization;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Live.Watching;

/// <summary>What happens at cameras in lines for people; answers have none. For <see cref="LiveNews"/> in order.</summary>
internal sealed class LiveLines
{
    /// <summary>What was said last of each camera; one that is away is tried often, and one line is enough.</summary>
    private readonly Dictionary<string, string> _said = [];

    /// <returns>Null where there is nothing to say.</returns>
    public (Severity Severity, string Text)? Of(LiveNews news) => news switch
    {
        CameraChanged changed => Of(changed),
        LoadChanged { Of: 1 } => (Severity.Info, "every window is computed again"),
        LoadChanged load => (Severity.Warning,
            Invariant($"the machine does not keep up: all windows are {load.Load:0.0} times what it manages; ") +
                $"one of {load.Of} is computed"),
        DriftBegan began => (Severity.Warning, $"{began.Camera}: {began.Sentence}"),
        DriftEnded ended => (Severity.Info,
            $"{ended.Camera}: {(ended.Class is null ? ended.Quantity : $"the share of {ended.Class}")} is usual again"),
        EventBegan began => (Severity.Warning,
            Invariant($"{began.Camera}: {began.Label} since {began.Start.ToLocalTime():HH:mm:ss}, {began.Peak:0.00}")),
        EventEnded ended => (Severity.Info,
            Invariant($"{ended.Camera}: {ended.Label} over: {ended.Start.ToLocalTime():HH:mm:ss} to ") +
                Invariant($"{ended.End.ToLocalTime():HH:mm:ss}, {ended.Peak:0.00}")),
        EventSaved saved => (Severity.Info, $"{saved.Camera}: saved as {saved.File}"),
        ArchiveTrouble trouble => (Severity.Warning, trouble.Reason),
        NoticeTrouble trouble => (Severity.Warning, $"{trouble.Target}: {trouble.Reason}"),
        _ => null,
    };

    private (Severity Severity, string Text)? Of(CameraChanged changed)
    {
        string text = changed switch
        {
            { State: CameraState.Connecting } => "",
            { State: CameraState.Waiting } => $"{changed.Reason}; it is tried again until it answers",
            { Reason: { } reason } => $"over: {reason}",
            _ => changed.State == CameraState.Live ? "live" : "over",
        };
        if (text.Length == 0 || _said.GetValueOrDefault(changed.Camera) == text)
        {
            return null;
        }

        _said[changed.Camera] = text;
        return (changed.Reason is null ? Severity.Info : Severity.Warning, $"{changed.Camera}: {text}");
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
