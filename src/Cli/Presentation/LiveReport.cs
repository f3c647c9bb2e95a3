using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CudaTrainer.Formats;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Watching;

namespace CudaTrainer.Cli.Presentation;

/// <summary>What happens at cameras, as lines for people or as JSON Lines.</summary>
internal sealed class LiveReport(Terminal terminal, RunPresenter presenter, bool json)
{
    private readonly LiveLines _lines = new();
    private bool _isUnheard;

    /// <summary>For <see cref="LiveNews"/> in order, never from two threads at once.</summary>
    public void Tell(LiveNews news)
    {
        string? output = json ? Line(news).ToJsonString(JsonFormat.Line)
            : news is LiveAnswer answer ? string.Create(CultureInfo.InvariantCulture,
                $"{answer.End.ToLocalTime():HH:mm:ss.f}  {answer.Camera}  {answer.Score:0.000}  {answer.Label ?? "-"}")
            : null;
        if (output is not null && !_isUnheard)
        {
            // A full disk, or a reader that has gone, ends the command once; what is still told on the way out must not fail for it again.
            _isUnheard = true;
            terminal.Output.WriteLine(output);
            terminal.Output.Flush();
            if (Posix.IsOutputAbandoned)
            {
                throw new OperationCanceledException("Nobody reads standard output any more.");
            }

            _isUnheard = false;
        }

        if (_lines.Of(news) is { } line)
        {
            presenter.Message(line.Severity, line.Text);
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
            line[key] = value;
        }

        return line;
    }
}
