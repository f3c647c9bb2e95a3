using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>cv, ablate and --preset by the built program, on tiny features.</summary>
public sealed class StudyTests : IDisposable
{
    private static readonly string[] Quick = ["--features-dir", "features", "--epochs", "2", "--batch-size", "8", "--model", "simple-lstm",
        "--folds", "3", "--seeds", "1", "--val-share", "0.3", "--threads", "1"];

    private readonly TemporaryFolder _folder = new();

    public StudyTests() => FeatureFolder.Write(_folder.File("features"));

    [Fact]
    public void Cross_validation_prints_each_fold_and_all_together()
    {
        CommandOutcome outcome = Run(["cv", .. Quick]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("no two clips are known to come from one source");
        outcome.Output.ShouldContain("balanced accuracy");
        outcome.Output.Split('\n').Count(line => line.TrimStart().StartsWith("42 ", StringComparison.Ordinal)).ShouldBe(3);
        File.ReadAllLines(_folder.File("cv/predictions.csv")).Length.ShouldBe(1 + 48);
        using var json = JsonDocument.Parse(Run(["cv", .. Quick, "--json", "--quiet"]).Output);
        using var file = JsonDocument.Parse(File.ReadAllText(_folder.File("cv/cv_results.json")));
        JsonElement.DeepEquals(json.RootElement, file.RootElement).ShouldBeTrue();
    }

    [Fact]
    public void Sources_of_the_list_of_videos_stay_together()
    {
        foreach ((string split, int clips) in new[] { ("train", 24), ("val", 12), ("test", 12) })
        {
            File.WriteAllLines(_folder.File($"features/{split}_videos.csv"),
                ["path,class,source,status",
                .. Enumerable.Range(0, clips)
                .Select(i => $"{split}/{i}.mp4,{(i % 3 == 0 ? "violent" : "nonviolent")},camera {i % 12 / 3},ok")]);
        }

        CommandOutcome outcome = Run(["cv", .. Quick, "--folds", "2"]);

        // Given twice: which of the two is meant, nobody knows.
        outcome.ExitCode.ShouldBe(2);
        outcome = Run(["cv", .. Quick.Where(word => word != "--folds" && word != "3"), "--folds", "2"]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("from 4 sources");
        IEnumerable<IGrouping<string, string>> foldsOfSource =
            File.ReadAllLines(_folder.File("cv/predictions.csv")).Skip(1).Select(line => line.Split(','))
            .GroupBy(row => row[2], row => row[3]);
        foldsOfSource.Count().ShouldBe(4);
        foldsOfSource.ShouldAllBe(folds => folds.Distinct().Count() == 1);
    }

    [Fact]
    public void An_ablation_prints_its_rows_and_leaves_its_tables()
    {
        CommandOutcome outcome = Run(["ablate", .. Quick, "--no-leave-one-out"]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("+ multi-GPU: not run: needs two GPUs, this machine has none");
        outcome.Output.Split('\n').Count(line => line.StartsWith("+ ", StringComparison.Ordinal) && line.Contains('%')).ShouldBe(5);
        foreach (string file in new[] { "ablation.json", "ablation.csv", "ablation.md", "ablation.html", "runs.jsonl" })
        {
            File.Exists(_folder.File("ablation/" + file)).ShouldBeTrue(file);
        }
    }

    [Fact]
    public void The_report_of_a_run_takes_an_ablation_as_a_section()
    {
        Run(["ablate", .. Quick, "--no-leave-one-out"]).ExitCode.ShouldBe(0);
        Run(["train", "--features-dir", "features", "--epochs", "1", "--model", "simple-lstm", "--checkpoint-dir", "run", "--no-report"])
            .ExitCode.ShouldBe(0);

        Run(["report", "run", "ablation"]).Output.ShouldContain("written to run/report.html");
        string page = File.ReadAllText(_folder.File("run/report.html")), alone = _folder.File("ablation/ablation.html");
        page.ShouldContain("<h2 id=\"learning-heading\">");
        page.ShouldContain("<a href=\"#ablation-1\">What each piece is worth</a>");
        page.ShouldContain("not run: needs two GPUs");
        page.Split("+ focal loss").Length.ShouldBeGreaterThan(3);

        string before = File.ReadAllText(alone);
        File.Delete(alone);
        Run(["report", "ablation"]).ExitCode.ShouldBe(0);
        File.ReadAllText(alone).ShouldBe(before);

        File.WriteAllText(_folder.File("ablation/ablation.json"), "{\"rows\": 3}");
        CommandOutcome damaged = Run(["report", "run", "ablation"]);
        damaged.ExitCode.ShouldBe(1);
        damaged.Error.ShouldContain("ablation/ablation.json");
    }

    [Theory]
    [InlineData("--folds", "1", "--folds: 1 is out of range")]
    [InlineData("--val-share", "0.9", "--val-share: 0.9 is out of range")]
    [InlineData("--jobs", "0", "--jobs: 0 is out of range")]
    [InlineData("--preset", "quick", "--preset: \"quick\" is unknown; expected one of original, baseline, optimized, fast, debug")]
    public void Wrong_options_are_named(string option, string value, string expected)
    {
        CommandOutcome outcome = CommandRunner.RunInside("cv", "--features-dir", "features", option, value);

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain(expected);
    }

    [Fact]
    public void Everything_given_wins_over_a_preset()
    {
        string config = _folder.File("run.json", """{ "preset": "fast", "label-smoothing": 0.2 }""");

        string[] lines = CommandRunner.RunInside("config", "print", "--config", config, "--epochs", "7").Output.Split('\n');

        Row("--epochs").ShouldBe(["--epochs", "7", "command line"]);
        Row("--label-smoothing").ShouldBe(["--label-smoothing", "0.2", config]);
        Row("--batch-size").ShouldBe(["--batch-size", "96", "preset fast"]);
        Row("--warmup-epochs").ShouldBe(["--warmup-epochs", "3", "preset fast"]);
        Row("--dropout").ShouldBe(["--dropout", "0.5", "default"]);

        string[] Row(string option) => lines.Single(line => line.StartsWith(option + " ", StringComparison.Ordinal))
            .Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    [Theory]
    [InlineData("baseline", "cross-entropy, label smoothing 0, no class weights")]
    [InlineData("optimized", "focal (alpha 0.25, gamma 2), label smoothing 0.1, class weights")]
    public void Training_by_a_preset_says_so(string preset, string loss)
    {
        CommandOutcome outcome =
            Run(["train", "--features-dir", "features", "--preset", preset, "--epochs", "1", "--model", "simple-lstm"]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain($"preset     {preset}");
        outcome.Error.ShouldContain(loss);
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
