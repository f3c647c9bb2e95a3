namespace CudaTrainer.Cli.Tests;

/// <summary><c>config print</c>: every option of train, and who gave it.</summary>
public class ConfigPrintTests
{
    [Fact]
    public void Each_value_comes_with_its_origin()
    {
        using TemporaryFolder folder = new();
        string config = folder.File("run.json", """{ "epochs": 7, "batch-size": 16, "features-dir": "features", "shuffle": false }""");

        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], "config", "print", "--config", config, "--epochs", "9", "--xla");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldBeEmpty();
        Dictionary<string, string> rows = Rows(outcome.Output);
        rows["--epochs"].ShouldBe("9 | command line");
        rows["--xla"].ShouldBe("on | command line");
        rows["--batch-size"].ShouldBe($"16 | {config}");
        rows["--features-dir"].ShouldBe($"features | {config}");
        rows["--shuffle"].ShouldBe($"off | {config}");
        rows["--dropout"].ShouldBe("as the data asks | recipe");
        rows["--gradient-clip-norm"].ShouldBe("1 | default");
        rows["--mixed-precision"].ShouldBe("on for cuda, off for cpu | default");
        rows.Count.ShouldBe(new Commands.TrainCommand().Options.Count);
    }

    [Fact]
    public void Json_is_a_file_for_config()
    {
        using TemporaryFolder folder = new();
        string[] options =
        [
            "--dataset-path", "videos", "--epochs", "9", "--clip-mode", "per-parameter", "--allreduce-dtype", "float16", "--feature-dtype",
            "float16", "--on-corrupt", "zeros", "--no-shuffle", "--distributed", "mpi",
            "--focal-alpha", "0.25,0.75", "--min-learning-rate", "1e-9",
        ];
        string first = CommandRunner.RunInside(["config", "print", .. options]).Output;

        CommandOutcome again = CommandRunner.RunInside("config", "print", "--config",
            folder.File("run.json", CommandRunner.RunInside(["config", "print", "--json", .. options]).Output));

        again.ExitCode.ShouldBe(0, again.Error);
        Dictionary<string, string> expected = Rows(first);
        foreach ((string name, string row) in Rows(again.Output))
        {
            row.Split(" | ")[0].ShouldBe(expected[name].Split(" | ")[0], name);
        }
    }

    [Fact]
    public void The_configuration_that_a_run_leaves_gives_the_same_run()
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        string[] options = ["--epochs", "2", "--batch-size", "8", "--model", "simple-lstm", "--clip-mode", "per-parameter", "--seed", "3",
            "--threads", "1"];
        Train(["--features-dir", "features", .. options, "--checkpoint-dir", "a"]).ExitCode.ShouldBe(0);

        Train("--config", "a/training_config.json", "--checkpoint-dir", "b").ExitCode.ShouldBe(0);

        File.ReadAllBytes(folder.File("b/best_model.safetensors")).ShouldBe(File.ReadAllBytes(folder.File("a/best_model.safetensors")));

        CommandOutcome Train(params string[] arguments) => CommandRunner.RunIn(folder.Path, [], ["train", .. arguments]);
    }

    [Fact]
    public void What_train_would_refuse_is_said_and_what_nobody_understands_is_an_error()
    {
        CommandOutcome refused = CommandRunner.RunInside("config", "print", "--epochs", "0");
        refused.ExitCode.ShouldBe(0);
        refused.Error.ShouldContain("warning: train would refuse this: --epochs: 0 is out of range; expected 1 or more");
        refused.Error.ShouldContain("warning: train would refuse this: --dataset-path: nothing to train on");

        CommandOutcome wrong = CommandRunner.RunInside("config", "print", "--epoch", "3", "--dropout", "much");
        wrong.ExitCode.ShouldBe(2);
        wrong.Output.ShouldBeEmpty();
        wrong.ErrorLines.ShouldBe(
            ["error: unknown option --epoch; did you mean --epochs?", "error: --dropout: \"much\" is not a number",
            "Run \"cudatrainer config print --help\" for help."]);
    }

    private static Dictionary<string, string> Rows(string output)
    {
        string[] lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        int value = lines[0].IndexOf("value", StringComparison.Ordinal), from = lines[0].IndexOf("from", StringComparison.Ordinal);
        return lines.Skip(1).ToDictionary(line => line[..value].Trim(), line => $"{line[value..from].Trim()} | {line[from..].Trim()}");
    }
}
