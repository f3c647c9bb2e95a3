using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>Training that is only tried: --dry-run, --fast-dev-run, --overfit-batches.</summary>
public sealed class RehearsalTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public RehearsalTests() => FeatureFolder.Write(_folder.File("features"));

    [Theory]
    [InlineData("lstm-attention", "Lstm")]
    [InlineData("bilstm-attention", "BidirectionalLstm")]
    [InlineData("gru-attention", "Gru")]
    [InlineData("simple-lstm", "Lstm")]
    public void A_dry_run_prints_the_plan_and_writes_nothing(string model, string kind)
    {
        CommandOutcome outcome = Train("--model", model, "--dry-run", "--batch-size", "5");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("nonviolent");
        string[] lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] layers = lines[1..^2];
        layers[0].ShouldContain(kind);
        long total = layers.Sum(line => long.Parse(line.Split(' ')[^1].Replace(",", "")));
        lines[^2].ShouldStartWith($"total {total:N0}, ");
        lines[^1].ShouldStartWith("5 steps an epoch");
        outcome.Error.ShouldNotContain("--warmup-epochs");
        Directory.Exists(_folder.File("run")).ShouldBeFalse();

        // The same number that a model file holds.
        CommandOutcome trained = Train("--model", model, "--epochs", "2");
        trained.ExitCode.ShouldBe(0);
        trained.Error.ShouldContain("--warmup-epochs 5 with --epochs 2: the learning rate still rises when training ends, at 4e-4 of 1e-3");
        using var file = JsonDocument.Parse(CommandRunner.RunInside("inspect", _folder.File("run/best_model.safetensors"), "--json")
            .Output);
        file.RootElement.GetProperty("tensors").EnumerateArray()
            .Where(tensor => !tensor.GetProperty("name").GetString()!.StartsWith("familiarity.", StringComparison.Ordinal))
            .Sum(tensor => tensor.GetProperty("shape").EnumerateArray().Aggregate(1L, (count, length) => count * length.GetInt64()))
            .ShouldBe(total);
        CommandOutcome again = Train("--model", model, "--dry-run");
        again.ExitCode.ShouldBe(1);
        again.Error.ShouldContain("already holds a run");
    }

    [Fact]
    public void A_dry_run_of_videos_has_the_published_number_of_parameters_and_leaves_no_cache()
    {
        foreach (string name in new[] { "train/violent", "train/nonviolent", "val/violent", "val/nonviolent" })
        {
            Directory.CreateDirectory(_folder.File($"clips/{name}"));
            File.WriteAllText(_folder.File($"clips/{name}/clip.mp4"), name);
        }

        CommandOutcome outcome =
            CommandRunner.RunIn(_folder.Path, [], "train", "--dataset-path", "clips", "--checkpoint-dir", "run", "--cache-dir",
            "cache", "--dry-run", "--preset", "original");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("total 2,503,874, trainable 2,502,338, not trainable 1,536");
        outcome.Output.ShouldContain("[batch, 20, 128]");
        Directory.Exists(_folder.File("run")).ShouldBeFalse();
        Directory.Exists(_folder.File("cache")).ShouldBeFalse();
    }

    [Fact]
    public void A_dry_run_finds_what_a_run_would_find()
    {
        File.Delete(_folder.File("features/val_labels.npy"));
        CommandOutcome outcome = Train("--dry-run");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("val_labels.npy");
    }

    [Fact]
    public void A_dry_run_finds_initial_weights_that_cannot_be_read_or_do_not_fit()
    {
        CommandOutcome missing = Train("--dry-run", "--initial-weights", "nowhere.safetensors");
        missing.ExitCode.ShouldBe(1);
        missing.Error.ShouldContain("nowhere.safetensors");

        Train("--model", "frame-mlp", "--epochs", "1").ExitCode.ShouldBe(0);
        string[] others = ["--dry-run", "--checkpoint-dir", "other", "--initial-weights", "run/best_model.safetensors"];
        CommandOutcome fits = Run(["--model", "frame-mlp", .. others]);
        fits.ExitCode.ShouldBe(0, fits.Error);
        CommandOutcome unfit = Run(["--model", "simple-lstm", .. others]);
        unfit.ExitCode.ShouldBe(1);
        unfit.Error.ShouldContain("does not fit the model");
        Directory.Exists(_folder.File("other")).ShouldBeFalse();
    }

    [Fact]
    public void A_fast_development_run_leaves_no_files()
    {
        string[] before = Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories);
        CommandOutcome outcome = Train("--fast-dev-run", "2", "--batch-size", "3", "--epochs", "50");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("2 an epoch, 1 epochs, batch 3");
        outcome.Error.ShouldContain("1/1 ");
        outcome.Output.ShouldContain("2 batches of train and of val went through");
        Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).ShouldBe(before, ignoreOrder: true);
        Train("--fast-dev-run", "2", "--resume", "auto").ExitCode.ShouldBe(2);
    }

    [Fact]
    public void Overfitting_validates_with_the_clips_it_trains_on()
    {
        CommandOutcome outcome = Train("--overfit-batches", "2", "--batch-size", "4", "--epochs", "2", "--dropout", "0");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("2 an epoch, 2 epochs");
        using var results = JsonDocument.Parse(File.ReadAllText(_folder.File("run/training_results.json")));
        results.RootElement.GetProperty("val").GetProperty("count").GetInt32().ShouldBe(8);
        results.RootElement.GetProperty("test").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Train(params string[] options) => Run(["--checkpoint-dir", "run", .. options]);

    private CommandOutcome Run(string[] options) =>
        CommandRunner.RunIn(_folder.Path, [], ["train", "--features-dir", "features", .. options]);
}
