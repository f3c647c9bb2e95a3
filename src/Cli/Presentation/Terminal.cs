using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CudaTrainer.Live.Cameras;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>
/// Where a command writes: results to standard output, progress and logs to standard error, each in colour only where a person reads it.
/// </summary>
/// <param name="quiet">Whether progress and logs are left out.</param>
/// <param name="debug">Whether errors come with their stack trace.</param>
/// <param name="events">Whether a program reads standard error: everything there is then a JSON object in a line of its own.</param>
internal sealed class Terminal(
    TextWriter output, TextWriter error, TerminalSettings settings, bool quiet = false, bool debug = false, bool events = false)
{
    private readonly Lazy<IAnsiConsole> _results = new(() => Create(output, settings.OutputIsTerminal, settings));
    private readonly Lazy<IAnsiConsole> _log = new(() => Create(error, settings.ErrorIsTerminal, settings));

    /// <summary>Standard output: what the user asked for.</summary>
    public IAnsiConsole Results => _results.Value;

    /// <summary>Standard error: what happens meanwhile.</summary>
    public IAnsiConsole Log => _log.Value;

    public TextWriter Output => output;

    public TextWriter Error => error;

    public TerminalSettings Settings => settings;

    public bool Quiet => quiet;

    public bool Debug => debug;

    /// <summary>Whether a program reads the results, which then wants to read of a failure, too.</summary>
    public bool Json { get; set; }

    /// <summary>Whether results are an object a line, as what ends the command then is too.</summary>
    public bool JsonLines { get; set; }

    /// <summary>Whether a line may be redrawn in place on standard error.</summary>
    public bool IsLive => settings.ErrorIsTerminal && !quiet && !events;

    public bool Events => events;

    /// <summary>Says what is wrong, which repeats what was typed: also the address of a camera that went to another option.</summary>
    /// <returns>The exit code of wrong usage.</returns>
    public int UsageErrors(string? command, IReadOnlyList<string> problems)
    {
        problems = [.. problems.Select(CameraAddress.Redact)];
        foreach (string problem in problems)
        {
            WriteLabelled("error", "31", TextTable.Printable(problem));
        }

        string hint = $"Run \"cudatrainer{(command is null ? "" : $" {command}")} --help\" for help.";
        WriteNotice(hint);
        WriteJsonError(string.Join("; ", problems), hint);
        return ExitCode.Usage;
    }

    public void WriteError(string message, string? hint = null)
    {
        WriteLabelled("error", "31", message);
        if (hint is not null)
        {
            WriteLabelled("hint", "36", hint);
        }
    }

    /// <summary>What ended the command: <see cref="WriteError"/>, and the same as the one JSON object that was asked for.</summary>
    public void WriteFailure(string message, string? hint = null)
    {
        message = CameraAddress.Redact(message);
        WriteError(message, hint);
        WriteJsonError(message, hint);
    }

    /// <summary>What ended the command as JSON, if its results would have been.</summary>
    public void WriteJsonError(string message, string? hint)
    {
        if (!Json)
        {
            return;
        }

        try
        {
            if (JsonLines)
            {
                output.WriteLine(JsonSerializer.Serialize(new { Type = "error", Error = message, Hint = hint }, JsonFormat.Line));
            }
            else
            {
                WriteJson(new { Error = message, Hint = hint });
            }
        }
        catch (IOException)
        {
            // Standard output may be what failed; standard error has said it.
        }
    }

    public void WriteWarning(string message) => WriteLabelled("warning", "33", message);

    public void WriteLog(string message)
    {
        if (!quiet)
        {
            WriteNotice(message);
        }
    }

    /// <summary>On standard error whether or not that is to be quiet.</summary>
    public void WriteNotice(string message)
    {
        if (!events)
        {
            error.WriteLine(message);
        }
        else if (message.Length > 0)
        {
            WriteEvent("message", new { Severity = "info", Text = message.Trim() });
        }
    }

    /// <summary>Something that happened, as one line for a program.</summary>
    /// <param name="kind">What it is; the other keys depend on that.</param>
    public void WriteEvent<TValue>(string kind, TValue value)
    {
        JsonObject line = new() { ["event"] = kind, ["time"] = DateTime.UtcNow.ToString("o", CultureInfo.InvariantCulture) };
        foreach ((string key, JsonNode? part) in JsonSerializer.SerializeToNode(value, JsonFormat.Line)!.AsObject())
        {
            line[key] = part?.DeepClone();
        }

        error.WriteLine(line.ToJsonString(JsonFormat.Line));
    }

    /// <summary>Tells a program how the command ended.</summary>
    /// <returns>The exit code.</returns>
    public int End(int code)
    {
        if (events)
        {
            WriteEvent("end", new { ExitCode = code });
        }

        return code;
    }

    /// <summary>One JSON value on standard output, with the keys of the result files.</summary>
    public void WriteJson<TValue>(TValue value) => output.WriteLine(JsonSerializer.Serialize(value, JsonFormat.Options));

    // Errors come out without the Spectre machinery: they must be quick, and must not fail themselves.
    private void WriteLabelled(string label, string colour, string message)
    {
        if (events)
        {
            WriteEvent("message", new { Severity = label, Text = message });
        }
        else
        {
            error.WriteLine(settings.ErrorIsTerminal && settings.Colour ? $"\e[{colour}m{label}:\e[0m {message}" : $"{label}: {message}");
        }
    }

    private static IAnsiConsole Create(TextWriter writer, bool isTerminal, TerminalSettings settings)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = isTerminal && settings.Colour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        console.Profile.Width = TerminalSettings.Unlimited;
        return new SizedConsole(console, isTerminal ? settings.Width : TerminalSettings.Unlimited);
    }
}
