namespace CudaTrainer.Cli.Tests;

/// <summary>What is not a terminal gets plain lines.</summary>
public class OutputTests
{
    [Theory]
    [InlineData("doctor")]
    [InlineData("gradcheck")]
    [InlineData("train --help")]
    [InlineData("train --epochs 0")]
    [InlineData("train --features-dir does-not-exist")]
    public void Pipes_get_no_control_codes(string line)
    {
        CommandOutcome outcome = CommandRunner.RunIn(Environment.CurrentDirectory, new() { ["TERM"] = "xterm-256color" }, line.Split(' '));

        (outcome.Output + outcome.Error).ShouldAllBe(letter => !char.IsControl(letter) || letter == '\n');
    }

    [Fact]
    public void Errors_have_a_stack_trace_only_with_debug()
    {
        string[] line = ["train", "--features-dir", "does-not-exist"];

        CommandOutcome plain = CommandRunner.Run(line);
        CommandOutcome debug = CommandRunner.Run([.. line, "--debug"]);

        plain.ExitCode.ShouldBe(1);
        plain.ErrorLines.Count(error => error.StartsWith("error: ")).ShouldBe(1);
        plain.Error.ShouldNotContain("   at ");
        debug.ExitCode.ShouldBe(1);
        debug.Error.ShouldContain("   at CudaTrainer");
    }
}
