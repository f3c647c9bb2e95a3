using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using CudaTrainer.Training.Events;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What happens at cameras, as lines for people or as JSON Lines.</summary>
internal sealed class LiveReport(Terminal terminal, RunPresenter presenter, bool json)
{
    /// <summary>What was said last of each camera; a camera that is away is tried often, and one line is enough.</summary>
    private readonly Dictionary<string, string> _said = [];

    /// <summary>For <see cref="LiveNews"/> in order, never from two threads at once.</summary>
    public void Tell(LiveNews news)
    {
        if (json)
        {
            terminal.Output.WriteLine(Line(news).ToJsonString(JsonFormat.Line));
            terminal.Output.Flush();
        }

        switch (news)
        {
            case CameraChanged changed:
                Tell(changed);
                break;
            case LoadChanged { Of: 1 }:
                presenter.Message(Severity.Info, "every window is computed again");
                break;
            case LoadChanged load:
                presenter.Message(Severity.Warning, string.Create(CultureInfo.InvariantCulture,
                    $"the machine does not keep up: all windows are {load.Load:0.0} times what it manages; one of {load.Of} is computed"));
                break;
            case EventBegan began:
                presenter.Message(Severity.Warning, string.Create(CultureInfo.InvariantCulture,
                    $"{began.Camera}: {began.Label} since {began.Start.ToLocalTime():HH:mm:ss}, {began.Peak:0.00}"));
                break;
            case EventEnded ended:
                presenter.Message(Severity.Info, string.Create(CultureInfo.InvariantCulture,
                    $"{ended.Camera}: {ended.Label} over: {ended.Start.ToLocalTime():HH:mm:ss} to {ended.End.ToLocalTime():HH:mm:ss}, {ended.Peak:0.00}"));
                break;
            case EventSaved saved:
                presenter.Message(Severity.Info, $"{saved.Camera}: saved as {saved.File}");
                break;
            case ArchiveTrouble trouble:
                presenter.Message(Severity.Warning, trouble.Reason);
                break;
            case NoticeTrouble trouble:
                presenter.Message(Severity.Warning, $"{trouble.Target}: {trouble.Reason}");
                break;
            case LiveAnswer answer when !json:
                terminal.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{answer.End.ToLocalTime():HH:mm:ss.f}  {answer.Camera}  {answer.Score:0.000}  {answer.Label}"));
                break;
        }
    }

    private void Tell(CameraChanged changed)
    {
        string text = changed switch
        {
            { State: CameraState.Connecting } => "",
            { State: CameraState.Waiting } => $"{changed.Reason}; it is tried again until it answers",
            { Reason: { } reason } => $"over: {reason}",
            _ => changed.State == CameraState.Live ? "live" : "over",
        };
        if (text.Length > 0 && _said.GetValueOrDefault(changed.Camera) != text)
        {
            _said[changed.Camera] = text;
            presenter.Message(changed.Reason is null ? Severity.Info : Severity.Warning, $"{changed.Camera}: {text}");
        }
    }

    /// <summary>The object of a line: what happened first, by its name, then the rest.</summary>
    private static JsonObject Line(LiveNews news)
    {
        string name = news.GetType().Name;
        var line = new JsonObject
        {
            ["type"] = JsonNamingPolicy.SnakeCaseLower.ConvertName(name.StartsWith("Live", StringComparison.Ordinal) ? name[4..] : name),
        };
        JsonObject rest = JsonSerializer.SerializeToNode(news, news.GetType(), JsonFormat.Line)!.AsObject();
        foreach ((string key, JsonNode? value) in rest.ToArray())
        {
            rest.Remove(key);
            if (value is not null)
            {
                line[key] = value;
            }
        }

        return line;
    }
}
