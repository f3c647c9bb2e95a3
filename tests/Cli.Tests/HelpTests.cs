using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

public class HelpTests
{
    public static TheoryData<string> CommandNames => [.. Program.Commands.Select(command => command.Name)];

    [Fact]
    public void Without_arguments_a_short_help_with_three_examples_and_every_command_is_shown()
    {
        CommandOutcome outcome = CommandRunner.Run();

        outcome.ExitCode.ShouldBe(0);
        outcome.Error.ShouldBeEmpty();
        string[] lines = outcome.Output.TrimEnd('\n').Split('\n');
        lines.Length.ShouldBeLessThanOrEqualTo(50);
        lines.Count(line => line.StartsWith("  cudatrainer ", StringComparison.Ordinal)).ShouldBe(3);
        foreach (CliCommand command in Program.Commands)
        {
            lines.ShouldContain(line => line.StartsWith($"  {command.Name} ", StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("cache", "info verify clear")]
    [InlineData("data", "scan")]
    [InlineData("config", "print")]
    public void A_group_of_commands_has_help_of_its_own(string group, string names)
    {
        CommandOutcome outcome = CommandRunner.RunInside(group, "--help");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldStartWith($"Usage: cudatrainer {group} COMMAND [options]\n");
        foreach (string name in names.Split(' '))
        {
            outcome.Output.ShouldContain($"  {group} {name} ");
        }

        outcome.Output.ShouldNotContain("  train ");
        CommandRunner.RunInside("help", group).ShouldBe(outcome);
    }

    [Fact]
    public void Help_of_a_command_can_be_asked_for_in_front()
    {
        CommandRunner.RunInside("help", "cache", "info").ShouldBe(CommandRunner.RunInside("cache", "info", "--help"));
        CommandRunner.RunInside("help").ShouldBe(CommandRunner.RunInside("--help"));
        CommandOutcome unknown = CommandRunner.RunInside("help", "trian");
        unknown.ExitCode.ShouldBe(2);
        unknown.ErrorLines[0].ShouldBe("error: unknown command \"trian\"; did you mean train?");
    }

    [Fact]
    public void Version_is_one_line()
    {
        CommandOutcome outcome = CommandRunner.Run("--version");

        outcome.ExitCode.ShouldBe(0);
        outcome.Output.ShouldMatch(@"^cudatrainer \d+\.\d+\.\d+(\+[0-9a-f]+)?\n$");
    }

    [Theory]
    [MemberData(nameof(CommandNames))]
    public void Help_of_a_command_lists_each_of_its_options(string name)
    {
        CommandOutcome outcome = CommandRunner.RunInside([.. name.Split(' '), "--help"]);

        outcome.ExitCode.ShouldBe(0);
        CliCommand command = Program.Commands.Single(command => command.Name == name);
        outcome.Output.ShouldContain(command.Summary[..30]);
        foreach (OptionDefinition option in command.Options)
        {
            outcome.Output.ShouldContain($"  {HelpText.Form(option)}");
        }
    }

    [Fact]
    public void Help_is_grouped_and_shows_default_and_range()
    {
        string help = HelpText.Of(Program.Commands.Single(command => command.Name == "train"), width: 1000);

        string[] titles = ["Data:", "Model:", "Loss:", "Optimiser:", "Precision & devices:", "Output:"];
        titles.Select(title => help.IndexOf($"\n{title}\n", StringComparison.Ordinal)).ShouldBeInOrder();
        titles.ShouldAllBe(title => help.Contains($"\n{title}\n"));
        help.ShouldContain("[1 or more; default 64]");
        help.ShouldContain("[0 or more, less than 1; default 0.1]");
    }

    [Fact]
    public void Help_fits_the_width_it_is_given()
    {
        foreach (int width in new[] { 60, 80, 120 })
        {
            string[] pages = [HelpText.Overview(Program.Commands, width), HelpText.OfGroup("cache", Program.Commands, width),
                .. Program.Commands.Select(command => HelpText.Of(command, width))];

            // What cannot be broken is a single word, such as an option with its placeholder.
            pages.SelectMany(page => page.Split('\n')).ShouldAllBe(line => line.Length <= width || !line.Trim().Contains(' '));
        }
    }

    [Fact]
    public void Reference_is_up_to_date()
    {
        string path = Path.Combine(Repository.Root, "docs", "cli.md");

        File.ReadAllText(path)
            .ShouldBe(Reference.Markdown(Program.Commands), "docs/cli.md is stale; write it again with ./cudatrainer docs > docs/cli.md");
    }
}
