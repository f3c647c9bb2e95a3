using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>What the program chooses by itself, the linear model, and the model that comes with it.</summary>
public sealed class RecipeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public RecipeTests() => FeatureFolder.Write(_folder.File("features"), train: 48);

    [Fact]
    public void Without_a_recipe_few_clips_get_the_linear_model_and_the_reason_is_said_and_kept()
    {
        CommandOutcome outcome = Run("train", "--features-dir", "features", "--checkpoint-dir", "run");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("--model linear: 48 clips to train on, from 48 sources, are few for a network");
        outcome.Output.ShouldContain("Results of the fitted linear model");
        outcome.Output.ShouldContain("it has learned something that carries over to new clips");
        outcome.Output.ShouldContain("Next       cudatrainer cv --features-dir features");
        using JsonDocument results = Json("run/training_results.json");
        results.RootElement.GetProperty("recipe").GetArrayLength().ShouldBe(2);
        results.RootElement.GetProperty("yardstick").ValueKind.ShouldBe(JsonValueKind.Null);
        results.RootElement.GetProperty("test").GetProperty("balanced_accuracy").GetDouble().ShouldBeGreaterThan(0.9);
        using JsonDocument config = Json("run/training_config.json");
        config.RootElement.GetProperty("model").GetString().ShouldBe("linear");

        CommandOutcome again = Run("train", "--features-dir", "features", "--checkpoint-dir", "run", "--resume", "auto");
        again.ExitCode.ShouldBe(0, again.Error);
        again.Error.ShouldContain("resumed from");
    }

    [Fact]
    public void A_network_is_measured_by_the_linear_model()
    {
        CommandOutcome outcome = Run("train", "--features-dir", "features", "--model", "frame-mlp", "--epochs", "2",
            "--checkpoint-dir", "run");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("A linear model of the same clips comes to ");
        using JsonDocument results = Json("run/training_results.json");
        results.RootElement.GetProperty("yardstick").GetProperty("test")
            .GetProperty("balanced_accuracy").GetDouble().ShouldBeGreaterThan(0.9);
        File.ReadAllText(_folder.File("run/report.html")).ShouldContain("A linear model of the same clips comes to ");
    }

    [Fact]
    public void Cross_validation_writes_a_model_of_all_clips_that_says_how_good_it_is_and_what_it_knows()
    {
        CommandOutcome outcome = Run("cv", "--features-dir", "features", "--folds", "3", "--seeds", "1",
            "--model-output", "all.safetensors");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        Run("inspect", "all.safetensors").Output.ShouldContain("familiarity.components");
        CommandOutcome evaluated = Run("evaluate", "--checkpoint", "all.safetensors", "--features-dir", "features", "--json");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        using var metrics = JsonDocument.Parse(evaluated.Output);
        metrics.RootElement.GetProperty("train").GetProperty("unfamiliar_share").GetDouble().ShouldBeLessThan(0.2);
        CommandOutcome next = Run("train", "--features-dir", "features", "--initial-weights", "all.safetensors", "--checkpoint-dir", "run");
        next.ExitCode.ShouldBe(0, next.Error);
        next.Error.ShouldContain("what the initial weights are of");

        CommandOutcome network = Run("cv", "--features-dir", "features", "--model", "frame-mlp", "--model-output", "no.safetensors");
        network.ExitCode.ShouldBe(1);
        network.Error.ShouldContain("a network needs clips to choose its epoch on");
    }

    [Fact]
    public void Cross_validation_of_a_network_says_whether_it_beats_the_linear_model()
    {
        CommandOutcome outcome = Run("cv", "--features-dir", "features", "--folds", "2", "--seeds", "1", "--model", "frame-mlp",
            "--epochs", "1", "--batch-size", "16");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("the linear model in balanced accuracy (95% interval ");
        using JsonDocument results = Json("cv/cv_results.json");
        results.RootElement.GetProperty("linear").GetProperty("balanced_accuracy")
            .GetProperty("value").GetDouble().ShouldBeGreaterThan(0.9);
        results.RootElement.GetProperty("gain_over_linear").GetProperty("value").GetDouble().ShouldBeLessThanOrEqualTo(0);
    }

    [Fact]
    public void What_is_left_open_is_shown_so_and_stays_so_in_a_file()
    {
        string line = Run("config", "print", "--batch-size", "8").Output.Split('\n')
            .Single(row => row.StartsWith("--model ", StringComparison.Ordinal));
        line.ShouldContain("as the data asks");
        using var config = JsonDocument.Parse(Run("config", "print", "--batch-size", "8", "--json").Output);
        config.RootElement.GetProperty("batch_size").GetInt32().ShouldBe(8);
        config.RootElement.TryGetProperty("model", out _).ShouldBeFalse();
        using var original = JsonDocument.Parse(Run("config", "print", "--preset", "original", "--json").Output);
        original.RootElement.GetProperty("model").GetString().ShouldBe("lstm-attention");
    }

    [Fact]
    public void The_model_that_comes_with_the_program_answers_and_says_what_it_is()
    {
        CommandRunner.RunIn(_folder.Path, [], "demo", "--clips-only", "--clips", "12", "--output", "demo").ExitCode.ShouldBe(0);

        CommandOutcome outcome = Run("predict", "demo/unseen");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("from bundled");
        outcome.Error.ShouldContain("240 clips from 35 sources, 120 more only learned from; balanced accuracy ");
        using var json = JsonDocument.Parse(Run("predict", "demo/unseen", "--json").Output);
        JsonElement[] answers = [.. json.RootElement.EnumerateArray()];
        answers.ShouldAllBe(answer => answer.GetProperty("distance").GetDouble() > 0
            && answer.GetProperty("unfamiliar").GetBoolean() == answer.GetProperty("distance").GetDouble() > 1);
        answers.Select(answer => answer.GetProperty("unfamiliar").GetBoolean()).ShouldContain(true);
    }

    /// <summary>Two clips of each class; all clips alike; one source a class.</summary>
    [Theory]
    [InlineData("two")]
    [InlineData("alike")]
    [InlineData("sources")]
    public void Next_to_no_data_is_learned_from_without_a_crash(string kind)
    {
        string folder = FeatureFolder.Write(_folder.File(kind), train: kind == "two" ? 4 : 24);
        if (kind == "alike")
        {
            foreach (string split in new[] { "train", "val", "test" })
            {
                string file = Path.Combine(folder, $"{split}_features.npy");
                byte[] bytes = File.ReadAllBytes(file);
                bytes.AsSpan(128).Clear();
                File.WriteAllBytes(file, bytes);
            }
        }
        else if (kind == "sources")
        {
            File.WriteAllLines(Path.Combine(folder, "train_videos.csv"),
                ["path,class,source,status",
                    .. Enumerable.Range(0, 24).Select(i => $"clip{i}.mp4,{(i % 3 == 0 ? "violent" : "nonviolent")},{i % 3 == 0},ok")]);
        }

        CommandOutcome outcome = Run("train", "--features-dir", kind, "--checkpoint-dir", $"run-{kind}");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using JsonDocument results = Json($"run-{kind}/training_results.json");
        double balanced = results.RootElement.GetProperty("test").GetProperty("balanced_accuracy").GetDouble();
        balanced.ShouldBeInRange(0, 1);
        if (kind == "alike")
        {
            balanced.ShouldBe(0.5);
            outcome.Output.ShouldContain("this run does not show that it has learned anything");
            outcome.Output.ShouldContain("--model linear");
        }
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);

    private JsonDocument Json(string file) => JsonDocument.Parse(File.ReadAllText(_folder.File(file)));
}
