namespace CudaTrainer.Cli.Tests;

/// <summary>Where a process may have few files open.</summary>
public sealed class OpenFileTests
{
    [Theory]
    [InlineData(100)]
    [InlineData(200)]
    public void Too_few_are_named_before_any_work(int files)
    {
        using TemporaryFolder folder = new();

        CommandOutcome outcome = Run(folder, $"ulimit -n {files}", "train", "--dataset-path", "nowhere");

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines.ShouldBe(
        [
            $"error: This process may have only {files} files open at a time; it needs 256.",
            "hint: Raise the limit in the shell that starts it: ulimit -n 1024.",
        ]);
        Run(folder, $"ulimit -n {files}", "help", "train").ExitCode.ShouldBe(0);
    }

    [Fact]
    public void A_soft_limit_is_raised()
    {
        using TemporaryFolder folder = new();

        Run(folder, "ulimit -S -n 100", "train", "--dataset-path", "nowhere").ErrorLines[0].ShouldContain("does not exist");
    }

    private static CommandOutcome Run(TemporaryFolder folder, string limit, params string[] arguments) => ChildProcess.Run(
        "bash", ["-c", $"{limit}; exec dotnet \"$@\"", "bash", CommandRunner.ProgramFile, .. arguments], folder.Path);
}
