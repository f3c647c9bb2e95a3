using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Commands;

namespace CudaTrainer.Cli.Tests;

public class ConfigFileTests
{
    [Fact]
    public void The_command_line_wins_over_the_file()
    {
        using TemporaryFolder folder = new();
        string config = folder.File("run.json", """
            {
              // Comments are fine.
              "epochs": 7, "batch_size": 16, "LearningRate": 0.01, "shuffle": false, "split": [0.6, 0.2, 0.2], "weights": null, "focal-alpha": "0.1,0.2",
            }
            """);
        List<string> problems = [];
        var command = new TrainCommand();
        List<GivenOption> given = [.. ConfigFile.Read(config, command.Options, problems), new("--epochs", "9"), new("--shuffle", "true")];

        TrainOptions options = command.Bind(given, problems, out _);

        problems.ShouldBeEmpty();
        options.Run.Epochs.ShouldBe(9);
        options.Run.Shuffle.ShouldBeTrue();
        options.Run.BatchSize.ShouldBe(16);
        options.Run.LearningRate.ShouldBe(0.01);
        options.Run.Split.ShouldBe([0.6, 0.2, 0.2]);
        options.Run.FocalAlpha.ShouldBe([0.1, 0.2]);
        options.Run.Weights.ShouldBeNull();
        options.Run.Dropout.ShouldBe(0.5);
    }

    [Fact]
    public void Everything_wrong_with_the_file_is_reported_with_the_rest()
    {
        using TemporaryFolder folder = new();
        string config = folder.File("run.json",
            """{ "batchsize": 0, "epoch": 3, "dropout": "much", "seed": 1, "Seed": 2, "zzzzzzzz": 1 }""");

        CommandOutcome outcome = CommandRunner.RunInside("train", "--features-dir", "features", "--config", config, "--epochs", "0");

        outcome.ExitCode.ShouldBe(2);
        string[] expected =
        [
            $"error: --config: {config} has the unknown option \"epoch\"; did you mean epochs?",
            $"error: --config: {config} gives \"Seed\" twice",
            $"error: --config: {config} has the unknown option \"zzzzzzzz\"",
            "error: --dropout: \"much\" is not a number",
            "error: --epochs: 0 is out of range; expected 1 or more",
            "error: --batch-size: 0 is out of range; expected 1 or more",
            "Run \"cudatrainer train --help\" for help.",
        ];
        outcome.ErrorLines.ShouldBe(expected);
    }

    [Theory]
    [InlineData("utf-8")]
    [InlineData("utf-16")]
    public void A_mark_in_front_of_the_text_does_not_count(string name)
    {
        using TemporaryFolder folder = new();
        var encoding = System.Text.Encoding.GetEncoding(name);
        string config = folder.File("run.json", [.. encoding.GetPreamble(), .. encoding.GetBytes("""{ "epochs": 7 }""")]);
        List<string> problems = [];

        ConfigFile.Read(config, new TrainCommand().Options, problems).ShouldBe([new("--epochs", "7", config)]);
        problems.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("[1, 2]", "holds a JSON array; expected an object of options")]
    [InlineData("{ \"epochs\": 3", "is not valid JSON")]
    [InlineData("", "is not valid JSON")]
    public void A_file_that_is_no_object_is_refused(string text, string expected)
    {
        using TemporaryFolder folder = new();
        string config = folder.File("run.json", text);

        CommandOutcome outcome = CommandRunner.RunInside("train", "--features-dir", "features", "--config", config);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldStartWith($"error: --config: {config} {expected}");
    }

    [Fact]
    public void A_folder_is_no_file()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = CommandRunner.RunInside("train", "--features-dir", "features", "--config", folder.Path);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldBe($"error: --config: {folder.Path} is a folder; expected a JSON file");
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        CommandOutcome outcome = CommandRunner.RunInside("extract", "--dataset-path", "videos", "--config", "no-such-file.json");

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldStartWith("error: --config: cannot read no-such-file.json: ");
    }
}
