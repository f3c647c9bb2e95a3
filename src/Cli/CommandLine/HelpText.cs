using System.Text;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Help, written from the option tables.</summary>
internal static class HelpText
{
    /// <summary>Where descriptions begin beside names of options and of commands, and below them on narrow terminals.</summary>
    private const int NameColumn = 30, CommandColumn = 16, NarrowColumn = 6;

    /// <summary>Columns below which descriptions have no room beside names.</summary>
    private const int Narrow = 80;

    /// <summary>Options that every command takes.</summary>
    public static IReadOnlyList<(string Name, string Description)> Common { get; } =
    [
        ("--quiet", "Results, warnings and errors only"),
        ($"{ArgumentParser.ProgressOption} json", "Standard error as JSON, an object a line, for programs (docs/file-formats.md)"),
        ("--debug", "Stack traces with errors"),
        ("--help", "This help"),
    ];

    public const string ConfigDescription = "Options from a file, JSON {\"batch-size\": 32, …} or YAML; the command line wins";

    public const string ExitCodes = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted with everything saved.";

    private static readonly (string Command, string Description)[] Examples =
    [
        ("demo", "a small labelled data set, trained and judged in minutes"),
        ("train --dataset-path videos --epochs 30", "clips in, a tested classifier out"),
        ("predict clip.mp4 --checkpoint checkpoints", "how violent a clip is"),
    ];

    /// <summary>What <c>cudatrainer</c> alone prints.</summary>
    /// <param name="width">Columns to wrap at.</param>
    public static string Overview(IReadOnlyList<CliCommand> commands, int width)
    {
        StringBuilder text = new();
        AppendWrapped(text, "cudatrainer trains classifiers that tell violent from nonviolent videos.", 0, width);
        text.AppendLine();
        int column = 2 + Examples.Max(example => $"cudatrainer {example.Command}".Length) + 2;
        foreach ((string command, string description) in Examples)
        {
            AppendRow(text, $"cudatrainer {command}", description, column, width);
        }

        text.AppendLine().AppendLine("Commands:");
        AppendSummaries(text, commands, width);
        text.AppendLine();
        AppendWrapped(text, "cudatrainer COMMAND --help lists the options of a command; cudatrainer --version prints the version.", 0,
            width);
        AppendWrapped(text, ExitCodes, 0, width);
        return text.ToString();
    }

    /// <summary>What the name of a group of commands prints, such as <c>cache</c>.</summary>
    /// <param name="width">Columns to wrap at.</param>
    public static string OfGroup(string group, IReadOnlyList<CliCommand> commands, int width)
    {
        StringBuilder text = new();
        text.AppendLine($"Usage: cudatrainer {group} COMMAND [options]").AppendLine().AppendLine("Commands:");
        AppendSummaries(text, commands.Where(command => command.Name.StartsWith($"{group} ", StringComparison.Ordinal)), width);
        text.AppendLine();
        AppendWrapped(text, $"cudatrainer {group} COMMAND --help lists the options of a command.", 0, width);
        return text.ToString();
    }

    /// <param name="width">Columns to wrap at.</param>
    public static string Of(CliCommand command, int width)
    {
        StringBuilder text = new();
        AppendWrapped(text, command.Summary, 0, width);
        text.AppendLine();
        for (int i = 0; i < command.Usages.Count; i++)
        {
            text.Append(i == 0 ? "Usage: " : "       ");
            AppendWrapped(text, $"cudatrainer {command.Name} {command.Usages[i]}".TrimEnd(), "Usage: ".Length, width);
        }

        foreach (string note in command.Notes)
        {
            text.AppendLine();
            AppendWrapped(text, note, 0, width);
        }

        foreach (IGrouping<SettingGroup, OptionDefinition> group
            in command.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
        {
            text.AppendLine().AppendLine($"{Title(group.Key)}:");
            foreach (OptionDefinition option in group)
            {
                AppendRow(text, Form(option), Describe(option), NameColumn, width);
            }
        }

        text.AppendLine().AppendLine("General:");
        if (command.TakesConfig)
        {
            AppendRow(text, $"{ArgumentParser.ConfigOption} FILE.json", ConfigDescription, NameColumn, width);
        }

        foreach ((string name, string description) in Common)
        {
            AppendRow(text, name, description, NameColumn, width);
        }

        text.AppendLine();
        AppendWrapped(text, ExitCodes, 0, width);
        return text.ToString();
    }

    public static string Title(SettingGroup group) => group == SettingGroup.Precision ? "Precision & devices" : group.ToString();

    /// <summary>An option as it is typed, for example <c>--epochs N</c> or <c>--[no-]shuffle</c>.</summary>
    public static string Form(OptionDefinition option) =>
        option.IsSwitch ? $"--[no-]{option.Name[2..]}" : $"{option.Name} {option.Placeholder}";

    /// <summary>What an option means, what it accepts and its default.</summary>
    public static string Describe(OptionDefinition option)
    {
        List<string> facts = [];
        if (option.Range is not null)
        {
            facts.Add(option.Range);
        }

        if (option.Default.Length > 0)
        {
            facts.Add($"default {option.Default}");
        }

        return facts.Count == 0 ? option.Description : $"{option.Description} [{string.Join("; ", facts)}]";
    }

    private static void AppendSummaries(StringBuilder text, IEnumerable<CliCommand> commands, int width)
    {
        foreach (CliCommand command in commands)
        {
            AppendRow(text, command.Name, command.Summary, CommandColumn, width);
        }
    }

    /// <param name="column">Where the description begins.</param>
    private static void AppendRow(StringBuilder text, string name, string description, int column, int width)
    {
        text.Append("  ").Append(name);
        column = width < Narrow ? NarrowColumn : column;
        if (name.Length + 4 > column)
        {
            text.AppendLine().Append(' ', column);
        }
        else
        {
            text.Append(' ', column - 2 - name.Length);
        }

        AppendWrapped(text, description, column, width);
    }

    /// <summary>
    /// Appends words, breaking before <paramref name="width"/>; further lines start at <paramref name="indent"/>, where the text already
    /// stands.
    /// </summary>
    private static void AppendWrapped(StringBuilder text, string words, int indent, int width)
    {
        int column = indent;
        foreach (string word in words.Split(' '))
        {
            if (column > indent && column + 1 + word.Length > width)
            {
                text.AppendLine().Append(' ', indent);
                column = indent;
            }
            else if (column > indent)
            {
                text.Append(' ');
                column++;
            }

            text.Append(word);
            column += word.Length;
        }

        text.AppendLine();
    }
}
