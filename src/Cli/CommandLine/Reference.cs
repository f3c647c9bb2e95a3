using System.Text;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Writes docs/cli.md from the option tables.</summary>
internal static class Reference
{
    public static string Markdown(IReadOnlyList<CliCommand> commands)
    {
        StringBuilder text = new();
        text.AppendLine("# Command line");
        text.AppendLine();
        text.AppendLine("<!-- Written by `cudatrainer docs > docs/cli.md` from the option tables; a test fails when it is stale. -->");
        text.AppendLine();
        text.AppendLine("""
            `cudatrainer COMMAND [options]`. Results go to standard output, progress and logs to standard error. Switches have a
            negative form: `--shuffle`, `--no-shuffle`. What is wrong with a command line is reported all at once.

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
        foreach (var (name, description) in HelpText.Common)
        {
            text.AppendLine($"| `{name}` | {description} |");
        }

        text.AppendLine();
        foreach (var command in commands)
        {
            string anchor = command.Name.Replace(' ', '-');
            text.AppendLine($"- [{command.Name}](#{anchor}): {command.Summary}");
        }

        foreach (var command in commands)
        {
            AppendCommand(text, command);
        }

        return text.ToString();
    }

    private static void AppendCommand(StringBuilder text, CliCommand command)
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

        foreach (var group in command.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
        {
            text.AppendLine().AppendLine($"### {HelpText.Title(group.Key)}").AppendLine();
            text.AppendLine("| option | value | default | accepted | meaning |");
            text.AppendLine("|---|---|---|---|---|");
            foreach (var option in group)
            {
                string fallback = option.Default.Length == 0 ? "" : $"`{option.Default}`";
                text.AppendLine($"| `{HelpText.Form(option).Replace("|", "\\|", StringComparison.Ordinal)}` | {option.Kind} | {fallback} | {option.Range} | {option.Description} |");
            }
        }
    }
}
