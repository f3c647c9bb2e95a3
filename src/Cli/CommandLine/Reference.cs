using System.Text;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Options that several commands take, and that are described once.</summary>
/// <param name="Title">For example <c>Options about training</c>.</param>
internal sealed record SharedOptions(string Title, IReadOnlyList<OptionDefinition> Options);

/// <summary>How a reference describes the options of a command.</summary>
/// <param name="SameAs">An earlier command that has the same; then nothing follows. Null if there is none.</param>
/// <param name="Parts">Shared options that it takes, with those among them that it does not have.</param>
/// <param name="Own">The others, by group.</param>
internal sealed record CommandReference(
    CliCommand? SameAs, IReadOnlyList<(SharedOptions Part, IReadOnlyList<string> Without)> Parts, IReadOnlyList<OptionDefinition> Own);

/// <summary>
/// What references say of the options of the commands, docs/cli.md and <see cref="ManPage"/>. Options that several commands take are
/// described once.
/// </summary>
internal static class Reference
{
    /// <summary>Paragraphs on command lines in general; what is typed stands in backquotes.</summary>
    public static IReadOnlyList<string> Conventions { get; } =
    [
        """
        `cudatrainer COMMAND [options]`. Results go to standard output, progress and logs to standard error. Switches have a
        negative form: `--shuffle`, `--no-shuffle`. What is wrong with a command line is reported all at once.
        """,
        """
        `@FILE` stands for what FILE holds, a line for each word or option with its value; lines that begin with `#` are comments.
        `cudatrainer "[suggest]" "train --model "` lists how a command line can go on, which is what shells ask that complete words
        by the script of `cudatrainer completion`.
        """,
    ];

    public static IReadOnlyList<(int Code, string Meaning)> ExitCodes { get; } =
    [
        (ExitCode.Ok, "done"),
        (ExitCode.Failed, "failed; the error says why and what to do"),
        (ExitCode.Usage, "wrong usage; nothing was started"),
        (ExitCode.Interrupted, "interrupted (Ctrl-C, SIGTERM) with everything saved"),
    ];

    public static IReadOnlyList<SharedOptions> Shared { get; } =
    [
        Part<VideoOptions>("Options about videos and devices"),
        Part<FeatureOptions>("Options about clips and features"),
        Part<TrainingOptions>("Options about training"),
        Part<StudyOptions>("Options about repeated trainings"),
        Part<WindowOptions>("Options about windows"),
        Part<PredictionOptions>("Options about prediction"),
    ];

    /// <param name="commands">All, in the order in which they are described.</param>
    public static CommandReference Of(CliCommand command, IReadOnlyList<CliCommand> commands)
    {
        HashSet<string> names = [.. command.Options.Select(option => option.Name)];
        if (commands.TakeWhile(other => other != command)
            .FirstOrDefault(other => other.Options.Count > 2 && names.SetEquals(other.Options.Select(option => option.Name))) is { } same)
        {
            return new(same, [], []);
        }

        SharedOptions[] parts = [.. Shared.Where(part => command.Options.Any(own => part.Options.Any(option => IsSame(own, option))))];
        return new(null,
            [.. parts.Select(part => (part, (IReadOnlyList<string>)[.. part.Options
                .Where(option => !command.Options.Any(own => IsSame(own, option))).Select(option => option.Name)]))],
            [.. command.Options.Where(own => !parts.Any(part => part.Options
                .Any(option => IsSame(own, option) && own.Default == option.Default))).OrderBy(option => option.Group)]);
    }

    public static string Markdown(IReadOnlyList<CliCommand> commands)
    {
        StringBuilder text = new();
        text.AppendLine("# Command line");
        text.AppendLine();
        text.AppendLine("<!-- Written by `cudatrainer docs > docs/cli.md` from the options themselves; a test fails when it is stale. -->");
        text.AppendLine();
        foreach (string paragraph in Conventions)
        {
            text.AppendLine(paragraph).AppendLine();
        }

        text.AppendLine("| exit code | meaning |");
        text.AppendLine("|---|---|");
        foreach ((int code, string meaning) in ExitCodes)
        {
            text.AppendLine($"| {code} | {meaning} |");
        }

        text.AppendLine().AppendLine("Every command takes:").AppendLine();
        text.AppendLine("| option | meaning |");
        text.AppendLine("|---|---|");
        foreach ((string name, string description) in HelpText.Common)
        {
            text.AppendLine($"| `{name}` | {description} |");
        }

        text.AppendLine();
        foreach (CliCommand command in commands)
        {
            text.AppendLine($"- {Link(command.Name)}: {command.Summary}");
        }

        foreach (CliCommand command in commands)
        {
            AppendCommand(text, command, commands);
        }

        foreach (SharedOptions part in Shared)
        {
            text.AppendLine().AppendLine($"## {part.Title}");
            foreach (IGrouping<SettingGroup, OptionDefinition> group
                in part.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
            {
                text.AppendLine().AppendLine($"### {HelpText.Title(group.Key)}").AppendLine();
                AppendTable(text, group);
            }
        }

        return text.ToString();
    }

    /// <summary>The options that a record declares itself.</summary>
    private static SharedOptions Part<TOptions>(string title)
        where TOptions : class, new() =>
        new(title, [.. OptionDefinition.Of<TOptions>().Where(option => option.Property.DeclaringType == typeof(TOptions))]);

    private static string Link(string title) => $"[{title}](#{title.ToLowerInvariant().Replace(' ', '-')})";

    private static void AppendCommand(StringBuilder text, CliCommand command, IReadOnlyList<CliCommand> commands)
    {
        text.AppendLine().AppendLine($"## {command.Name}").AppendLine();
        text.AppendLine(command.Summary).AppendLine();
        text.AppendLine("```");
        foreach (string usage in command.Usages)
        {
            text.AppendLine($"cudatrainer {command.Name} {usage}".TrimEnd());
        }

        text.AppendLine("```");
        foreach (string note in command.Notes)
        {
            text.AppendLine().AppendLine(note);
        }

        if (command.TakesConfig)
        {
            text.AppendLine().AppendLine($"`{ArgumentParser.ConfigOption} FILE.json`: {HelpText.ConfigDescription}.");
        }

        CommandReference reference = Of(command, commands);
        if (reference.SameAs is { } same)
        {
            text.AppendLine().AppendLine($"Takes the options of {Link(same.Name)}.");
            return;
        }

        if (reference.Parts.Count > 0)
        {
            text.AppendLine();
        }

        foreach ((SharedOptions part, IReadOnlyList<string> without) in reference.Parts)
        {
            text.AppendLine($"- {Link(part.Title)}{(without.Count > 0 ? $", without `{string.Join("`, `", without)}`" : "")}");
        }

        if (reference.Own.Count > 0)
        {
            text.AppendLine();
            AppendTable(text, reference.Own);
        }
    }

    /// <summary>Two commands may have options of one name that mean something else.</summary>
    private static bool IsSame(OptionDefinition one, OptionDefinition other) =>
        one.Property.Name == other.Property.Name && one.Property.DeclaringType == other.Property.DeclaringType;

    private static void AppendTable(StringBuilder text, IEnumerable<OptionDefinition> options)
    {
        text.AppendLine("| option | value | default | accepted | meaning |");
        text.AppendLine("|---|---|---|---|---|");
        foreach (OptionDefinition option in options)
        {
            string fallback = option.Default.Length == 0 ? "" : $"`{option.Default}`";
            string form = HelpText.Form(option).Replace("|", "\\|", StringComparison.Ordinal);
            text.AppendLine($"| `{form}` | {option.Kind} | {fallback} | {option.Range} | {option.Description} |");
        }
    }
}
