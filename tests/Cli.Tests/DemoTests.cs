using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Cli.Tests;

public class DemoTests
{
    [Fact]
    public void A_folder_that_is_no_demo_is_left_alone()
    {
        using TemporaryFolder folder = new();
        string mine = folder.File("mine.txt", "precious");

        CommandOutcome outcome = CommandRunner.RunInside("demo", "--output", folder.Path);

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines[0].ShouldBe($"error: '{folder.Path}' holds something that is not a demo.");
        outcome.ErrorLines[1].ShouldStartWith("hint: Choose another folder");
        Directory.EnumerateFileSystemEntries(folder.Path).ShouldBe([mine]);
        File.ReadAllText(mine).ShouldBe("precious");
    }

    [Fact]
    public void Bad_options_of_the_demo_are_reported_at_once()
    {
        CommandOutcome outcome = CommandRunner.RunInside("demo", "--clips", "3", "--threads", "-1");

        outcome.ExitCode.ShouldBe(2);
        string[] expected =
        [
            "error: --clips: 3 is out of range; expected 12 to 2000",
            "error: --threads: -1 is out of range; expected 0 to 1024",
            "Run \"cudatrainer demo --help\" for help.",
        ];
        outcome.ErrorLines.ShouldBe(expected);
    }

    [Theory]
    [InlineData("clip.mp4", "clip.mp4")]
    [InlineData("./runs/1/best_model.safetensors", "./runs/1/best_model.safetensors")]
    [InlineData("my clips", "'my clips'")]
    [InlineData("it's", @"'it'\''s'")]
    [InlineData("", "''")]
    public void Printed_commands_can_be_pasted_into_a_shell(string word, string expected) => ShellWord.Quote(word).ShouldBe(expected);
}
