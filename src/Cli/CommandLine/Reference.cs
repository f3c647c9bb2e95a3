using System.Text;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Writes docs/cli.md from the options of the commands. Those that several commands take are described once.</summary>
internal static class Reference
{
    private static readonly (string Title, IReadOnlyList<OptionDefinition> Options)[] Shared =
    [
        Part<VideoOptions>("Options about videos and devices"),
        Part<FeatureOptions>("Options about clips and features"),
        Part<TrainingOptions>("Options about training"),
        Part<StudyOptions>("Options about repeated trainings"),
        Part<WindowOptions>("Options about windows"),
        Part<PredictionOptions>("Options about prediction"),
    ];

    public static string Markdown(IReadOnlyList<CliCommand> commands)
    {
        StringBuilder text = new();
        text.AppendLine("# Command line");
        text.AppendLine();
        text.AppendLine("<!-- Written by `cudatrainer docs > docs/cli.md` from the options themselves; a test fails when it is stale. -->");
        text.AppendLine();
        text.AppendLine("""
            `cudatrainer COMMAND [options]`. Results go to standard output, progress and logs to standard error. Switches have a
            negative form: `--shuffle`, `--no-shuffle`. What is wrong with a command line is reported all at once.

            `@FILE` stands for what FILE holds, a line for each word or option with its value; lines that begin with `#` are comments.
            `cudatrainer "[suggest]" "train --model "` lists how a command line can go on, which is what shells need to complete words
            (with [dotnet-suggest](https://learn.microsoft.com/dotnet/standard/commandline/how-to-enable-tab-completion), for instance).

            | exit code | meaning |
            |---|---|
            | 0 | done |
            | 1 | failed; the error says why and what to do |
            | 2 | wrong usage; nothing was started |
            | 130 | interrupted (Ctrl-C, SIGTERM) with everything saved |

            Every command takes:

            | option | meaning |
            |---|---|
            """);
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

        foreach ((string title, IReadOnlyList<OptionDefinition> options) in Shared)
        {
            text.AppendLine().AppendLine($"## {title}");
            foreach (IGrouping<SettingGroup, OptionDefinition> group in options.GroupBy(option => option.Group).OrderBy(group => group.Key))
            {
                text.AppendLine().AppendLine($"### {HelpText.Title(group.Key)}").AppendLine();
                AppendTable(text, group);
            }
        }

        return text.ToString();
    }

    /// <summary>The options that a record declares itself.</summary>
    private static (string Title, IReadOnlyList<OptionDefinition> Options) Part<TOptions>(string title)
        where TOptions : class, new() =>
        (title, [.. OptionDefinition.Of<TOptions>().Where(option => option.Property.DeclaringType == typeof(TOptions))]);

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

        HashSet<string> names = [.. command.Options.Select(option => option.Name)];
        if (commands.TakeWhile(other => other != command)
            .FirstOrDefault(other => other.Options.Count > 2 && names.SetEquals(other.Options.Select(option => option.Name))) is { } same)
        {
            text.AppendLine().AppendLine($"Takes the options of {Link(same.Name)}.");
            return;
        }

        HashSet<OptionDefinition> described = [];
        text.AppendLine();
        foreach ((string title, IReadOnlyList<OptionDefinition> options) in Shared)
        {
            if (command.Options.Any(own => options.Any(option => IsSame(own, option))))
            {
                string without = string.Join(", ",
                    options.Where(option => !command.Options.Any(own => IsSame(own, option))).Select(option => $"`{option.Name}`"));
                text.AppendLine($"- {Link(title)}{(without.Length > 0 ? $", without {without}" : "")}");
                described.UnionWith(command.Options.Where(own =>
                    options.Any(option => IsSame(own, option) && own.Default == option.Default)));
            }
        }

        if (described.Count > 0)
        {
            text.AppendLine();
        }

        AppendTable(text, command.Options.Where(option => !described.Contains(option)).OrderBy(option => option.Group));
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
