using CudaTrainer.Cli.CommandLine;

namespace CudaTrainer.Cli.Tests;

public class HelpTests
{
    public static TheoryData<string> CommandNames => [.. Program.Commands.Select(command => command.Name)];

    [Fact]
    public void Without_arguments_a_short_help_with_three_examples_is_shown()
    {
        CommandOutcome outcome = CommandRunner.Run();

        outcome.ExitCode.ShouldBe(0);
        outcome.Error.ShouldBeEmpty();
        string[] lines = outcome.Output.TrimEnd('\n').Split('\n');
        lines.Length.ShouldBeLessThanOrEqualTo(10);
        lines.Count(line => line.StartsWith("  cudatrainer ", StringComparison.Ordinal)).ShouldBe(3);
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
        foreach (CliCommand command in Program.Commands)
        {
            string help = HelpText.Of(command, width: 80);
            help.Split('\n').Where(line => line.StartsWith("      ", StringComparison.Ordinal)).ShouldAllBe(line => line.Length <= 80);
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
