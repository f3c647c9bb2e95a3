using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using CudaTrainer.Engine.Tests.TensorBoard;

namespace CudaTrainer.Cli.Tests;

/// <summary>Training by the built program, on tiny features.</summary>
public class TrainTests
{
    [Fact]
    public void A_run_ends_with_its_results_and_files()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = Train(folder, "--epochs", "3");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("accuracy");
        outcome.Output.ShouldContain("always the larger class");
        outcome.Output.ShouldContain("best_model.safetensors");
        outcome.ErrorLines.Count(line => line.TrimStart().StartsWith("epoch ", StringComparison.Ordinal)).ShouldBe(1);
        outcome.ErrorLines.Count(line => line.Contains("/3 ", StringComparison.Ordinal) && line.Contains('%')).ShouldBe(3);
        outcome.Error.ShouldContain("*\n");
        (outcome.Output + outcome.Error).ShouldAllBe(letter => !char.IsControl(letter) || letter == '\n');
        File.ReadAllLines(folder.File("run/training_history.csv")).Length.ShouldBe(4);
        using var results = JsonDocument.Parse(File.ReadAllText(folder.File("run/training_results.json")));
        results.RootElement.GetProperty("test").GetProperty("confusion_matrix").GetArrayLength().ShouldBe(2);
    }

    [Fact]
    public void A_run_and_the_run_resumed_are_there_for_tensorboard()
    {
        using TemporaryFolder folder = new();
        string[] options = ["--batch-size", "8", "--min-learning-rate", "0.001", "--warmup-epochs", "0", "--log-every-steps", "2",
            "--tensorboard-histograms", "3"];
        CommandOutcome outcome = Train(folder, [.. options, "--epochs", "2"]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("for tensorboard --logdir");
        Train(folder, [.. options, "--epochs", "4", "--resume", "auto"]).ExitCode.ShouldBe(0);

        string[][] history = [.. File.ReadAllLines(folder.File("run/training_history.csv")).Select(line => line.Split(','))];
        foreach ((string run, string column) in new[] { ("train", "loss"), ("validation", "val_loss") })
        {
            EventFileReader[] files = EventFileReader.ReadRun(folder.File("run/tensorboard/" + run));
            files.Select(file => file.Starts.Count).ShouldBe([0, 1]);
            BoardValue[] values = [.. files.SelectMany(file => file.Values)];
            int index = Array.IndexOf(history[0], column);
            values.Where(value => value.Tag == "epoch_loss").Select(value => (value.Step, value.Numbers[0]))
                .ShouldBe(history.Skip(1)
                    .Select(row => (long.Parse(row[0], CultureInfo.InvariantCulture),
                    (double)(float)double.Parse(row[index], CultureInfo.InvariantCulture))));
            if (run == "train")
            {
                values.Where(value => value.Tag == "batch_loss").Select(value => value.Step).ShouldBe([0, 2, 4, 6, 8, 10]);
                values.Where(value => value.Kind == "histograms").Select(value => value.Step).Distinct().ShouldBe([1, 4]);
            }
        }
    }

    [Fact]
    public void Tensorboard_can_be_left_out()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = Train(folder, "--epochs", "1", "--no-tensorboard");
        outcome.ExitCode.ShouldBe(0, outcome.Error);

        outcome.Output.ShouldNotContain("--logdir");
        Directory.Exists(folder.File("run/tensorboard")).ShouldBeFalse();
    }

    [Fact]
    public void Averages_of_the_weights_are_models_of_their_own()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = Train(folder, "--epochs", "3", "--batch-size", "8", "--ema", "0.8", "--swa-start", "2");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("9 steps");
        outcome.Output.ShouldContain("2 epochs");
        using var results = JsonDocument.Parse(File.ReadAllText(folder.File("run/training_results.json")));
        foreach (JsonElement average in results.RootElement.GetProperty("averages").EnumerateArray())
        {
            string file = folder.File("run/" + average.GetProperty("file").GetString());
            CommandOutcome evaluated =
                CommandRunner.Run("evaluate", "--checkpoint", file, "--features-dir", folder.File("features"), "--device",
                "cpu", "--threads", "1", "--output", folder.File("evaluated"));
            evaluated.ExitCode.ShouldBe(0, evaluated.Error);
            using var again = JsonDocument.Parse(File.ReadAllText(folder.File("evaluated/evaluation_results.json")));
            foreach (string split in new[] { "val", "test" })
            {
                again.RootElement.GetProperty(split).GetProperty("loss").GetDouble()
                    .ShouldBe(average.GetProperty(split).GetProperty("loss").GetDouble(), 1e-6);
            }
        }

        Train(folder, "--epochs", "1", "--overwrite").ExitCode.ShouldBe(0);
        File.Exists(folder.File("run/ema_model.safetensors")).ShouldBeFalse();
    }

    [Fact]
    public void Quiet_leaves_only_results()
    {
        using TemporaryFolder folder = new();
        CommandOutcome outcome = Train(folder, "--epochs", "1", "--quiet");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.ErrorLines.ShouldAllBe(line => line.StartsWith("warning: ", StringComparison.Ordinal));
        outcome.Output.ShouldContain("balanced accuracy");
    }

    [Fact]
    public void A_folder_that_holds_a_run_is_refused()
    {
        using TemporaryFolder folder = new();
        Train(folder, "--epochs", "1").ExitCode.ShouldBe(0);
        byte[] model = File.ReadAllBytes(folder.File("run/best_model.safetensors"));

        CommandOutcome again = Train(folder, "--epochs", "2", "--seed", "7");
        again.ExitCode.ShouldBe(1);
        again.ErrorLines.ShouldContain(
            line => line.StartsWith("error: ", StringComparison.Ordinal) && line.Contains("already holds a run"));
        again.ErrorLines.ShouldContain(line => line.StartsWith("hint: ", StringComparison.Ordinal) && line.Contains("--overwrite"));
        File.ReadAllBytes(folder.File("run/best_model.safetensors")).ShouldBe(model);

        Train(folder, "--epochs", "2", "--seed", "7", "--overwrite").ExitCode.ShouldBe(0);
        File.ReadAllBytes(folder.File("run/best_model.safetensors")).ShouldNotBe(model);
    }

    [Theory]
    [InlineData("SIGINT")]
    [InlineData("SIGTERM")]
    [InlineData("SIGHUP")]
    public void A_signal_saves_the_state_and_the_run_goes_on_from_there(string signal)
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        string[] line = ["train", "--features-dir", "features", "--early-stopping-patience", "0", "--checkpoint-dir", "run"];
        using Process process = CommandRunner.Start(folder.Path, [], [.. line, "--epochs", "1000000"]);
        string before = ReadUntil(process.StandardError, text => text.Contains("\n2/1000000 "));
        process.Signal(signal[3..]);
        CommandOutcome stopped = ChildProcess.Finish(process);

        stopped.ExitCode.ShouldBe(130, before + stopped.Error);
        stopped.Output.ShouldBeEmpty();
        stopped.Error.ShouldContain("--resume auto");
        File.Exists(folder.File("run/training_results.json")).ShouldBeFalse();

        int epochs = File.ReadAllLines(folder.File("run/training_history.csv")).Length - 1;
        epochs.ShouldBeGreaterThanOrEqualTo(2);
        CommandOutcome resumed = CommandRunner.RunIn(folder.Path, [], [.. line, "--resume", "auto", "--epochs", $"{epochs + 1}"]);
        resumed.ExitCode.ShouldBe(0, resumed.Error);
        resumed.Error.ShouldContain("resumed from");
        File.ReadAllLines(folder.File("run/training_history.csv")).Length.ShouldBe(epochs + 2);
        File.Exists(folder.File("run/training_results.json")).ShouldBeTrue();
    }

    [Fact]
    public void The_written_configuration_gives_the_same_run_again()
    {
        using TemporaryFolder folder = new();
        Train(folder, "--epochs", "2", "--batch-size", "5", "--clip-mode", "per-parameter", "--no-use-focal-loss", "--focal-alpha",
            "0.3,0.6").ExitCode.ShouldBe(0);

        CommandOutcome again =
            CommandRunner.RunIn(folder.Path, [], "train", "--config", "run/training_config.json", "--checkpoint-dir", "again");

        again.ExitCode.ShouldBe(0, again.Error);
        File.ReadAllBytes(folder.File("again/best_model.safetensors"))
            .ShouldBe(File.ReadAllBytes(folder.File("run/best_model.safetensors")));
    }

    [Theory]
    [InlineData("cuda", 1)]
    [InlineData("cuda:0,1", 1)]
    [InlineData("cuda:x", 2)]
    [InlineData("cuda:1,1", 2)]
    [InlineData("cpu:65", 2)]
    public void Devices_that_are_not_there_are_an_error_and_never_replaced(string device, int exitCode)
    {
        using TemporaryFolder folder = new();
        FeatureFolder.Write(folder.File("features"));
        CommandOutcome outcome = CommandRunner.RunIn(
            folder.Path, new() { ["CUDATRAINER_LIBCUDA"] = "/nowhere/libcuda.so.1", ["CUDATRAINER_CUDA_SIMULATOR"] = null },
            "train", "--features-dir", "features", "--checkpoint-dir", "run", "--device", device);

        outcome.ExitCode.ShouldBe(exitCode);
        string reason = exitCode == 1
            ? $"--device {device}: CUDA is not available: "
            : $"--device: \"{device}\" is not a device; expected ";
        outcome.ErrorLines[0].ShouldStartWith("error: " + reason);
        Directory.Exists(folder.File("run")).ShouldBeFalse();
    }

    [Fact]
    public void Evaluate_prints_and_writes_what_training_measured()
    {
        using TemporaryFolder folder = new();
        Train(folder, "--epochs", "3").ExitCode.ShouldBe(0);

        CommandOutcome outcome = CommandRunner.RunIn(
            folder.Path, [], "evaluate", "--checkpoint", "run/best_model.safetensors", "--features-dir", "features", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var printed = JsonDocument.Parse(outcome.Output);
        using var trained = JsonDocument.Parse(File.ReadAllText(folder.File("run/training_results.json")));
        foreach (string metric in new[] { "loss", "accuracy", "auc", "threshold", "f1" })
        {
            string expected = trained.RootElement.GetProperty("test").GetProperty(metric).GetRawText();
            printed.RootElement.GetProperty("test").GetProperty(metric).GetRawText().ShouldBe(expected);
        }

        using var written = JsonDocument.Parse(File.ReadAllText(folder.File("run/evaluation_results.json")));
        foreach (string metric in new[] { "accuracy", "balanced_accuracy", "auc", "f1" })
        {
            JsonElement interval = written.RootElement.GetProperty("test").GetProperty("intervals").GetProperty(metric);
            double value = written.RootElement.GetProperty("test").GetProperty(metric).GetDouble();
            interval.GetProperty("low").GetDouble().ShouldBeLessThanOrEqualTo(value);
            interval.GetProperty("high").GetDouble().ShouldBeGreaterThanOrEqualTo(value);
        }

        trained.RootElement.GetProperty("test").TryGetProperty("intervals", out _).ShouldBeFalse();
        CommandOutcome text =
            CommandRunner.RunIn(folder.Path, [], "evaluate", "--checkpoint", "run/best_model.safetensors", "--features-dir",
            "features");
        text.Output.ShouldContain("95% confidence intervals by bootstrap (2,000 resamples");
    }

    private static CommandOutcome Train(TemporaryFolder folder, params string[] options)
    {
        FeatureFolder.Write(folder.File("features"));
        return CommandRunner.RunIn(folder.Path, [], ["train", "--features-dir", "features", "--checkpoint-dir", "run", .. options]);
    }

    private static string ReadUntil(StreamReader reader, Func<string, bool> isEnough)
    {
        string text = "";
        while (!isEnough(text) && reader.ReadLine() is { } line)
        {
            text += line + "\n";
        }

        return text;
    }
}
