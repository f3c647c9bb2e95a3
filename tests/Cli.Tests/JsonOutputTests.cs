using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>Results of train and extract for programs: one JSON object on standard output, everything else on standard error.</summary>
public sealed class JsonOutputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public JsonOutputTests() => FeatureFolder.Write(_folder.File("features"));

    [Fact]
    public void A_run_prints_what_its_results_file_holds()
    {
        CommandOutcome outcome = Train("--epochs", "2", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("2/2 ");
        using var printed = JsonDocument.Parse(outcome.Output);
        using var written = JsonDocument.Parse(File.ReadAllText(_folder.File("run/training_results.json")));
        JsonElement.DeepEquals(printed.RootElement, written.RootElement).ShouldBeTrue(outcome.Output);
        printed.RootElement.GetProperty("outcome").GetString().ShouldBe("completed");
        string[] promised = ["accuracy", "balanced_accuracy", "auc", "precision", "recall", "f1", "class_0_accuracy", "class_1_accuracy",
            "confusion_matrix", "threshold"];
        foreach (string split in new[] { "val", "test" })
        {
            promised.ShouldBeSubsetOf(printed.RootElement.GetProperty(split).EnumerateObject().Select(property => property.Name));
        }

        new[] { "stages", "device", "precision", "backbone" }.ShouldBeSubsetOf(printed.RootElement.EnumerateObject()
            .Select(property => property.Name));
    }

    [Fact]
    public void Progress_for_programs_is_one_object_a_line()
    {
        CommandOutcome outcome = Train("--epochs", "2", "--progress", "json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        JsonElement[] lines = [.. outcome.ErrorLines.Select(line => JsonDocument.Parse(line).RootElement)];
        string[] kinds = [.. lines.Select(line => line.GetProperty("event").GetString()!)];
        new[] { "header", "progress", "epoch", "message", "end" }.ShouldBeSubsetOf(kinds);
        lines.ShouldAllBe(line => line.GetProperty("time").GetDateTime().Kind == DateTimeKind.Utc);
        JsonElement[] epochs = [.. lines.Where(line => line.GetProperty("event").GetString() == "epoch")];
        epochs.Select(epoch => epoch.GetProperty("epoch").GetInt32()).ShouldBe([1, 2]);
        epochs[1].GetProperty("val_loss").GetDouble().ShouldBeGreaterThan(0);
        lines[^1].GetProperty("event").GetString().ShouldBe("end");
        lines[^1].GetProperty("exit_code").GetInt32().ShouldBe(0);
    }

    [Theory]
    [InlineData(1, "train --features-dir nowhere", "nowhere/train_features.npy' does not exist")]
    [InlineData(2, "train --features-dir features --epochs 0", "--epochs: 0 is out of range")]
    [InlineData(2, "trian", "unknown command \"trian\"")]
    public void A_failure_is_a_line_for_programs_too(int code, string line, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], [.. line.Split(' '), "--progress", "json", "--quiet"]);

        outcome.ExitCode.ShouldBe(code);
        JsonElement[] lines = [.. outcome.ErrorLines.Select(text => JsonDocument.Parse(text).RootElement)];
        lines[0].GetProperty("severity").GetString().ShouldBe("error");
        lines[0].GetProperty("text").GetString()!.ShouldContain(expected);
        lines[^1].GetProperty("exit_code").GetInt32().ShouldBe(code);
    }

    [Fact]
    public void Progress_is_text_or_json()
    {
        CommandOutcome outcome = CommandRunner.RunInside("train", "--features-dir", "features", "--progress", "xml");
        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldBe("error: --progress: \"xml\" is unknown; expected text or json");
    }

    [Theory]
    [InlineData(1, "train --features-dir nowhere --json", "nowhere/train_features.npy' does not exist")]
    [InlineData(1, "inspect none.npy --json", "'none.npy' does not exist")]
    [InlineData(1, "predict clip.mp4 --checkpoint none.safetensors --json", "'none.safetensors' does not exist")]
    [InlineData(1, "report nowhere --json", "nowhere")]
    [InlineData(2, "train --features-dir features --epochs 0 --json", "--epochs: 0 is out of range")]
    [InlineData(1, "train --features-dir nowhere --config json.json", "nowhere/train_features.npy' does not exist")]
    [InlineData(2, "trian --json", "unknown command \"trian\"")]
    public void A_failure_is_an_object_too(int code, string line, string expected)
    {
        File.WriteAllText(_folder.File("json.json"), """{"json": true}""");
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], line.Split(' '));

        outcome.ExitCode.ShouldBe(code);
        using var json = JsonDocument.Parse(outcome.Output);
        json.RootElement.GetProperty("error").GetString()!.ShouldContain(expected);
        json.RootElement.EnumerateObject().Select(property => property.Name).ShouldBe(["error", "hint"]);
        outcome.ErrorLines[0].ShouldStartWith("error: ");
    }

    [Fact]
    public void A_plan_is_printed_too()
    {
        CommandOutcome outcome = Train("--dry-run", "--json", "--batch-size", "5", "--model", "lstm-attention");

        using var plan = JsonDocument.Parse(outcome.Output);
        plan.RootElement.GetProperty("steps_per_epoch").GetInt32().ShouldBe(5);
        plan.RootElement.GetProperty("model").GetProperty("layers").GetArrayLength().ShouldBeGreaterThan(3);
    }

    [Fact]
    public void Quiet_leaves_nothing_but_the_object()
    {
        CommandOutcome outcome = Train("--epochs", "1", "--json", "--quiet");

        outcome.Error.ShouldBeEmpty();
        using var printed = JsonDocument.Parse(outcome.Output);
    }

    [Fact]
    public void An_extraction_says_what_it_did()
    {
        foreach (string name in new[] { "train/violent", "train/nonviolent", "val/violent", "val/nonviolent" })
        {
            Directory.CreateDirectory(_folder.File($"clips/{name}"));
            File.WriteAllText(_folder.File($"clips/{name}/clip.mp4"), name);
        }

        CommandOutcome outcome =
            CommandRunner.RunIn(_folder.Path, [], "extract", "--dataset-path", "clips", "--on-corrupt", "zeros", "--max-corrupt",
            "1", "--frames", "2", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var printed = JsonDocument.Parse(outcome.Output);
        printed.RootElement.GetProperty("failed").GetArrayLength().ShouldBe(4);
        printed.RootElement.GetProperty("splits").GetArrayLength().ShouldBeGreaterThan(1);
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Train(params string[] options) =>
        CommandRunner.RunIn(_folder.Path, [], ["train", "--features-dir", "features", "--checkpoint-dir", "run", .. options]);
}
