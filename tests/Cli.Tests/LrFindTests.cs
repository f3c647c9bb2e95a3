using System.Globalization;
using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

public sealed class LrFindTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public LrFindTests() => FeatureFolder.Write(_folder.File("features"), train: 120);

    [Fact]
    public void The_rate_grows_evenly_over_the_run_s_own_batches_and_nothing_is_written()
    {
        string[] before = Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories);

        CommandOutcome outcome = Run("lr-find", "--csv", "--from", "1e-5", "--to", "0.01", "--steps", "30");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).ShouldBe(before, ignoreOrder: true);
        string[] lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        lines[0].ShouldBe("step,lr,loss,smoothed_loss");
        double[][] rows = [.. lines[1..].Select(
            line => line.Split(',').Select(field => double.Parse(field, CultureInfo.InvariantCulture)).ToArray())];
        rows.Length.ShouldBe(30);
        rows[0][1].ShouldBe(1e-5, 1e-12);
        rows[29][1].ShouldBe(0.01, 1e-9);
        rows.Zip(rows.Skip(1)).ShouldAllBe(pair => Math.Abs((pair.Second[1] / pair.First[1]) - Math.Pow(1000, 1.0 / 29)) < 1e-9);
        rows[1][3].ShouldBe(((0.9 * rows[0][2]) + rows[1][2]) / 1.9, 1e-9);

        // The first loss is that of training's first step, before any update.
        Run("train", "--log-every-steps", "1", "--epochs", "1", "--checkpoint-dir", "run").ExitCode.ShouldBe(0);
        string first = File.ReadAllLines(_folder.File("run/training_steps.csv"))[1].Split(',')[3];
        lines[1].Split(',')[2].ShouldBe(first);
    }

    [Fact]
    public void A_suggestion_comes_in_one_sentence_from_where_the_loss_falls()
    {
        CommandOutcome text = Run("lr-find");
        using var json = JsonDocument.Parse(Run("lr-find", "--json").Output);

        text.ExitCode.ShouldBe(0, text.Error);
        double suggestion = json.RootElement.GetProperty("suggestion").GetDouble();
        text.Output.TrimEnd()
            .Split('\n')[^1].ShouldStartWith(
            $"Try --learning-rate {suggestion.ToString("G2", CultureInfo.InvariantCulture)}, where the loss falls fastest.");
        JsonElement[] steps = json.RootElement.GetProperty("steps").EnumerateArray().ToArray();
        int at = Array.FindIndex(steps, step => step.GetProperty("learning_rate").GetDouble() == suggestion);
        double fall = steps[at - 1].GetProperty("smoothed").GetDouble() - steps[at + 1].GetProperty("smoothed").GetDouble();
        fall.ShouldBeGreaterThan(0);
        for (int i = 3; i < steps.Length - 1; i++)
        {
            (steps[i - 1].GetProperty("smoothed").GetDouble() - steps[i + 1].GetProperty("smoothed").GetDouble())
                .ShouldBeLessThanOrEqualTo(fall + 1e-12);
        }
    }

    [Fact]
    public void Few_clips_come_again_until_the_sweep_is_over()
    {
        FeatureFolder.Write(_folder.File("few"), train: 24);

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "lr-find", "--features-dir", "few", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        json.RootElement.GetProperty("steps").GetArrayLength().ShouldBeGreaterThan(20);
    }

    [Fact]
    public void Mistakes_are_named()
    {
        CommandRunner.RunInside("lr-find", "--features-dir", "x", "--from", "1", "--to", "0.1")
            .ErrorLines[0].ShouldBe("error: --from: is not below --to");
        CommandRunner.RunInside("lr-find", "--features-dir", "x", "--steps", "3")
            .ErrorLines[0].ShouldBe("error: --steps: 3 is out of range; expected 10 or more");
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(string command, params string[] options) =>
        CommandRunner.RunIn(_folder.Path, [],
            [command, "--features-dir", "features", .. options,
            .. options.Contains("--batch-size") ? (string[])[] : ["--batch-size", "4"]]);
}
