using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>evaluate --all-clips on data that cannot be divided, or shows some of the classes only, by the built program.</summary>
public sealed class AllClipsTests : IClassFixture<ThreeClassesOnce>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public AllClipsTests(ThreeClassesOnce once) => _folder.CopyFrom(once.Folder);

    [Fact]
    public void Clips_of_one_source_are_measured_as_one()
    {
        Clips("other/fight/j", "other/hug/k", "other/walk/l", "other/walk/m");
        _folder.File("other/sources.csv", "path,source\nfight/j.mp4,hall\nhug/k.mp4,hall\nwalk/l.mp4,hall\nwalk/m.mp4,hall\n");

        CommandOutcome divided = Evaluate("other");
        CommandOutcome whole = Evaluate("other", "--all-clips");

        divided.ExitCode.ShouldBe(1);
        whole.ExitCode.ShouldBe(0, whole.Error);
        whole.Error.ShouldContain("The clips stay undivided and are measured as one: ");
        JsonElement all = Splits(whole)["all"];
        Splits(whole).Keys.ShouldBe(["all"]);
        all.GetProperty("count").GetInt32().ShouldBe(4);
        all.GetProperty("balanced_accuracy").GetDouble().ShouldBeInRange(0, 1);

        // What can be divided is, and the cache forgets the whole.
        Splits(Evaluate("clips", "--all-clips")).Keys.ShouldBe(["train", "val", "test", "all"]);
        Splits(Evaluate("other", "--all-clips"))["all"].GetRawText().ShouldBe(all.GetRawText());
    }

    [Fact]
    public void A_class_without_clips_leaves_the_figures_that_need_it_without_value()
    {
        Clips("other/Fight/j", "other/Fight/k", "other/Fight/l", "other/walk/m", "other/walk/n", "other/walk/o");

        CommandOutcome refused = Evaluate("other");
        CommandOutcome outcome = Evaluate("other", "--all-clips");

        refused.ExitCode.ShouldBe(1);
        refused.Error.ShouldContain("there are no clips of 'hug'");
        refused.Error.ShouldContain("--all-clips measures clips of some of the classes, too");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("there are no clips of 'hug': figures that need them");
        JsonElement all = Splits(outcome)["all"];
        all.GetProperty("classes").EnumerateArray().Select(name => name.GetString()).ShouldBe(["fight", "hug", "walk"]);
        foreach (string key in new[] { "balanced_accuracy", "macro_f1", "macro_precision", "auc", "pr_auc" })
        {
            all.GetProperty(key).ValueKind.ShouldBe(JsonValueKind.Null, key);
        }

        all.GetProperty("accuracy").GetDouble().ShouldBeInRange(0, 1);
        all.GetProperty("per_class")[1].GetProperty("count").GetInt32().ShouldBe(0);
        all.GetProperty("per_class")[1].GetProperty("recall").ValueKind.ShouldBe(JsonValueKind.Null);
        all.GetProperty("per_class")[0].GetProperty("recall").GetDouble().ShouldBeInRange(0, 1);
        Evaluate("other", "--all-clips", "--threshold", "hug=0").ExitCode.ShouldBe(0);
    }

    [Fact]
    public void A_folder_of_one_class_and_a_table_of_one_class_are_enough()
    {
        Clips("other/fight/j", "other/fight/k");
        JsonElement all = Splits(Evaluate("other", "--all-clips"))["all"];
        all.GetProperty("confusion_matrix")[0].EnumerateArray().Sum(clips => clips.GetInt32()).ShouldBe(2);

        _folder.File("labels.csv", "path,class\nfight/j.mp4,hug\n");
        JsonElement table = Splits(Evaluate("other", "--all-clips", "--labels", "labels.csv"))["all"];
        table.GetProperty("per_class")[1].GetProperty("count").GetInt32().ShouldBe(1);

        Clips("other/robbery/n", "other/robbery/o");
        Evaluate("other", "--all-clips").Error.ShouldContain("the model does not know 'robbery'");
    }

    [Fact]
    public void Several_data_sets_of_which_one_cannot_be_divided_are_measured_as_one_and_by_name()
    {
        Clips("other/fight/j", "other/fight/k", "other/walk/l");

        Dictionary<string, JsonElement> splits = Splits(Evaluate("other", "--dataset-path", "clips", "--all-clips"));

        splits.Keys.ShouldBe(["all", "all/clips", "all/other"], ignoreOrder: true);
        splits["all"].GetProperty("count").GetInt32().ShouldBe(12);
        splits["all/other"].GetProperty("balanced_accuracy").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    [Fact]
    public void Features_of_one_split_without_a_class_are_enough()
    {
        Directory.CreateDirectory(_folder.File("features"));
        Clips("other/fight/j", "other/walk/l");
        Splits(Evaluate("other", "--all-clips", "--cache-dir", "cache"));
        foreach (string file in Directory.GetFiles(_folder.File("cache/motion"), "train_*"))
        {
            File.Copy(file, _folder.File($"features/{Path.GetFileName(file)}"));
        }

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "evaluate", "--checkpoint", "run", "--features-dir", "features",
            "--all-clips", "--output", ".", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        Splits(outcome)["all"].GetProperty("count").GetInt32().ShouldBe(2);
    }

    [Fact]
    public void The_known_pair_needs_no_clips_of_both_either()
    {
        Clips("other/fight/j", "other/fight/k");

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "evaluate", "--dataset-path", "other", "--all-clips", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        JsonElement all = Splits(outcome)["all"];
        all.GetProperty("recall").GetDouble().ShouldBe(all.GetProperty("accuracy").GetDouble());
        all.GetProperty("balanced_accuracy").ValueKind.ShouldBe(JsonValueKind.Null);
        all.GetProperty("class_0_accuracy").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    public void Dispose() => _folder.Dispose();

    private static Dictionary<string, JsonElement> Splits(CommandOutcome outcome)
    {
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        return JsonDocument.Parse(outcome.Output).RootElement.EnumerateObject().ToDictionary(split => split.Name, split => split.Value);
    }

    private void Clips(params string[] names)
    {
        foreach (string name in names)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"{name}.mp4"))!);
            StripedClip.Write(_folder.File($"{name}.mp4"), name[^1], frames: 30);
        }
    }

    private CommandOutcome Evaluate(string dataset, params string[] options) => CommandRunner.RunIn(_folder.Path, [],
        ["evaluate", "--checkpoint", "run", "--dataset-path", dataset, "--output", ".", "--json", .. options]);
}
