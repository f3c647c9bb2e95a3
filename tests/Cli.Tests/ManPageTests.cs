using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

public sealed class ManPageTests
{
    private static readonly string Page = CommandRunner.RunInside("man").Output;

    [Fact]
    public void Every_command_option_and_exit_code_has_a_place_in_the_page()
    {
        string[] lines = Page.Split('\n');
        foreach (CliCommand command in Program.Commands)
        {
            lines.ShouldContain($".SS \"{command.Name.Replace("-", "\\-", StringComparison.Ordinal)}\"");
        }

        IEnumerable<string> options = Program.Commands.SelectMany(command => command.Options).Select(HelpText.Form)
            .Concat(HelpText.Common.Select(option => option.Name)).Append($"{ArgumentParser.ConfigOption} FILE.json").Distinct();
        options.Select(Escaped).Where(option => !lines.Contains($"\\fB{option}\\fR")).ShouldBeEmpty();
        Reference.ExitCodes.Select(code => $"\\fB{code.Code}\\fR").ShouldBeSubsetOf(lines);
    }

    [Fact]
    public void What_means_something_to_roff_stands_for_itself()
    {
        Page.ShouldAllBe(character => character == '\n' || (character >= ' ' && character <= '~'));
        string[] requests = [".TH", ".nh", ".ad", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".br", ".nf", ".fi"];
        Page.Split('\n').Where(line => line.StartsWith('.') || line.StartsWith('\'')).Select(line => line.Split(' ')[0]).Distinct()
            .ShouldBe(requests, ignoreOrder: true);
    }

    /// <summary>Without warnings, and with nothing lost: options come out of it as they went in, hyphens too.</summary>
    [Fact]
    public void The_page_renders_without_warnings()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/groff"), "groff is not installed (Debian: apt-get install groff-base)");
        using TemporaryFolder folder = new();

        CommandOutcome outcome = ChildProcess.Run(
            "groff", ["-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=100n", folder.File("cudatrainer.1", Page)]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldBeEmpty();
        string[] lines = [.. outcome.Output.Split('\n').Select(line => line.Trim())];
        lines.ShouldContain("cudatrainer - trains classifiers that tell violent from nonviolent videos");
        foreach (OptionDefinition option in Program.Commands.SelectMany(command => command.Options))
        {
            lines.ShouldContain(line => line.StartsWith(HelpText.Form(option)), option.Name);
        }
    }

    private static string Escaped(string text) =>
        string.Concat(text.Replace("-", "\\-", StringComparison.Ordinal).Select(character =>
            character < 128 ? character.ToString() : $"\\[u{(int)character:X4}]"));
}
