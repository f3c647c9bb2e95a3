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

    [Theory]
    [InlineData("yaml")]
    [InlineData("YML")]
    public void Yaml_gives_the_same_options(string extension)
    {
        using TemporaryFolder folder = new();
        string config = folder.File($"run.{extension}", """
            # How a run is written down.
            epochs: 7
            batch_size: 16
            LearningRate: 1e-2
            shuffle: false
            split: [0.6, 0.2, 0.2]
            weights: ~
            focal-alpha:
              - 0.1
              - 0.2
            checkpoint-dir: "null"
            """);
        List<string> problems = [];
        var command = new TrainCommand();

        TrainOptions options = command.Bind(ConfigFile.Read(config, command.Options, problems), problems, out _);

        problems.ShouldBeEmpty();
        options.Run.Epochs.ShouldBe(7);
        options.Run.BatchSize.ShouldBe(16);
        options.Run.LearningRate.ShouldBe(0.01);
        options.Run.Shuffle.ShouldBeFalse();
        options.Run.Split.ShouldBe([0.6, 0.2, 0.2]);
        options.Run.FocalAlpha.ShouldBe([0.1, 0.2]);
        options.Run.Weights.ShouldBeNull();
        options.Run.CheckpointDir.ShouldBe("null");
    }

    [Theory]
    [InlineData("- epochs", "a list in line 1; expected a mapping of options to values")]
    [InlineData("epochs", "a single value in line 1; expected a mapping of options to values")]
    [InlineData("seed: 1\nepochs: {a: 1}", "a mapping in line 2; expected a value, or a list of values")]
    [InlineData("split: [0.6, [0.2, 0.2]]", "a list in line 1; expected a value")]
    [InlineData("seed: &a 1\nepochs: *a", "an alias in line 2; expected a value, or a list of values")]
    [InlineData("epochs: 3\n---\nepochs: 4", "another document in line 2; expected one document")]
    [InlineData("epochs: 3\n\tseed: 1", "found a tab character that violate indentation. (line 1)")]
    public void Yaml_that_is_no_mapping_of_options_says_where(string text, string expected)
    {
        using TemporaryFolder folder = new();
        string config = folder.File("run.yaml", text);
        List<string> problems = [];

        ConfigFile.Read(config, new TrainCommand().Options, problems).ShouldBeEmpty();
        problems.ShouldHaveSingleItem().ShouldStartWith($"--config: {config} is not a YAML file of options: ");
        problems[0].ShouldEndWith(expected);
    }

    [Fact]
    public void Yaml_may_nest_as_deep_as_it_likes_or_give_an_option_twice()
    {
        using TemporaryFolder folder = new();
        List<string> problems = [];
        IReadOnlyList<OptionDefinition> options = new TrainCommand().Options;

        ConfigFile.Read(folder.File("deep.yaml", $"epochs: {new string('[', 200_000)}"), options, problems).ShouldBeEmpty();
        problems.ShouldHaveSingleItem().ShouldContain("a list in line 1; expected a value");
        ConfigFile.Read(folder.File("twice.yaml", "epochs: 3\nEpochs: 4"), options, problems);
        problems[1].ShouldEndWith("gives \"Epochs\" twice");
        ConfigFile.Read(folder.File("empty.yaml", "# Nothing.\n"), options, problems).ShouldBeEmpty();
        problems.Count.ShouldBe(2);
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
        outcome.ErrorLines[0].ShouldBe($"error: --config: {folder.Path} is a folder; expected a JSON or YAML file");
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        CommandOutcome outcome = CommandRunner.RunInside("extract", "--dataset-path", "videos", "--config", "no-such-file.json");

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldStartWith("error: --config: cannot read no-such-file.json: ");
    }
}
