using System.Globalization;
using System.Text;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.CommandLine;

/// <summary>Writes cudatrainer(1), in the man macros of roff and in ASCII alone, from the options of the commands.</summary>
internal static class ManPage
{
    /// <param name="version">For the foot of the page.</param>
    public static string Of(IReadOnlyList<CliCommand> commands, string version)
    {
        StringBuilder page = new();
        page.AppendLine($".TH CUDATRAINER 1 \"\" \"cudatrainer {Text(version)}\" \"User Commands\"");
        page.AppendLine(".nh").AppendLine(".ad l");
        Section(page, "Name");
        Paragraph(page, "cudatrainer - trains classifiers that tell violent from nonviolent videos");
        Section(page, "Synopsis");
        page.AppendLine(".B cudatrainer").AppendLine(".I COMMAND").AppendLine("[options]").AppendLine(".br");
        Paragraph(page, "`cudatrainer --version`");
        Section(page, "Description");
        Paragraph(page, Reference.Conventions[0].ReplaceLineEndings(" "));
        foreach (string paragraph in Reference.Conventions.Skip(1))
        {
            page.AppendLine(".PP");
            Paragraph(page, paragraph.ReplaceLineEndings(" "));
        }

        foreach (CliCommand command in commands)
        {
            Item(page, command.Name, command.Summary);
        }

        Section(page, "General options");
        Paragraph(page, "Every command takes:");
        foreach ((string name, string description) in HelpText.Common)
        {
            Item(page, name, description);
        }

        Section(page, "Commands");
        foreach (CliCommand command in commands)
        {
            AppendCommand(page, command, commands);
        }

        foreach (SharedOptions part in Reference.Shared)
        {
            Section(page, part.Title);
            foreach (IGrouping<SettingGroup, OptionDefinition> group
                in part.Options.GroupBy(option => option.Group).OrderBy(group => group.Key))
            {
                page.AppendLine($".SS \"{Text(HelpText.Title(group.Key))}\"");
                Options(page, group);
            }
        }

        Section(page, "Exit status");
        foreach ((int code, string meaning) in Reference.ExitCodes)
        {
            Item(page, code.ToString(CultureInfo.InvariantCulture), meaning);
        }

        return page.ToString();
    }

    private static void AppendCommand(StringBuilder page, CliCommand command, IReadOnlyList<CliCommand> commands)
    {
        page.AppendLine($".SS \"{Text(command.Name)}\"");
        Paragraph(page, command.Summary);
        page.AppendLine(".PP").AppendLine(".nf");
        foreach (string usage in command.Usages)
        {
            Paragraph(page, $"cudatrainer {command.Name} {usage}".TrimEnd());
        }

        page.AppendLine(".fi");
        foreach (string note in command.Notes)
        {
            page.AppendLine(".PP");
            Paragraph(page, note);
        }

        CommandReference reference = Reference.Of(command, commands);
        IEnumerable<string> elsewhere = reference.SameAs is { } same
            ? [$"Takes the options of {same.Name}."]
            : reference.Parts.Select(part =>
                $"Takes what is below {Title(part.Part.Title)}" +
                    $"{(part.Without.Count > 0 ? $", without {string.Join(", ", part.Without)}" : "")}.");
        foreach (string sentence in elsewhere)
        {
            page.AppendLine(".PP");
            Paragraph(page, sentence);
        }

        if (command.TakesConfig)
        {
            Item(page, $"{ArgumentParser.ConfigOption} FILE.json", HelpText.ConfigDescription);
        }

        Options(page, reference.Own);
    }

    private static void Options(StringBuilder page, IEnumerable<OptionDefinition> options)
    {
        foreach (OptionDefinition option in options)
        {
            Item(page, HelpText.Form(option), HelpText.Describe(option));
        }
    }

    private static void Section(StringBuilder page, string title) => page.AppendLine($".SH \"{Text(Title(title))}\"");

    private static string Title(string title) => title.ToUpperInvariant();

    private static void Item(StringBuilder page, string name, string description)
    {
        page.AppendLine(".TP").Append("\\fB").Append(Text(name)).AppendLine("\\fR");
        Paragraph(page, description);
    }

    /// <summary>One line of input, whatever its first character would mean there.</summary>
    private static void Paragraph(StringBuilder page, string text) => page.Append("\\&").AppendLine(Text(text));

    /// <summary>
    /// Text as it is: hyphens that can be copied to a shell, what is not ASCII by its code, and what stands in backquotes in bold.
    /// </summary>
    private static string Text(string text)
    {
        bool bold = false;
        StringBuilder escaped = new();
        foreach (Rune rune in text.EnumerateRunes())
        {
            escaped.Append(rune.Value switch
            {
                '\\' => "\\e",
                '-' => "\\-",
                '"' => "\\(dq",
                '\'' => "\\(aq",
                '`' => (bold = !bold) ? "\\fB" : "\\fR",
                '^' => "\\(ha",
                '~' => "\\(ti",
                < 128 => rune.ToString(),
                _ => $"\\[u{rune.Value:X4}]",
            });
        }

        return escaped.ToString();
    }
}
