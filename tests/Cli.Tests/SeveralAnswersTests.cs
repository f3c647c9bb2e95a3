using System.Globalization;
using System.Text.Json;

namespace CudaTrainer.Cli.Tests;

/// <summary>A few drawn clips, their features, and a model trained on them: made once, each test works on a copy.</summary>
public sealed class TrainedOnce : IDisposable
{
    internal TemporaryFolder Folder { get; } = new();

    public TrainedOnce()
    {
        int clips = 0;
        foreach (string split in new[] { "train", "val", "test" })
        {
            foreach (string name in new[] { "violent/a", "violent/b", "nonviolent/c", "nonviolent/d" })
            {
                string path = Folder.File($"clips/{split}/{name}.mp4");
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                StripedClip.Write(path, 3 + (2 * clips++));
            }
        }

        Train(Folder, "one");
    }

    internal static void Train(TemporaryFolder folder, string run, params string[] options)
    {
        CommandOutcome trained = CommandRunner.RunIn(
            folder.Path, [], ["train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir", run, "--frames", "2",
                "--epochs", "2", "--no-report", "--no-tensorboard", "--preset", "original", .. options]);
        trained.ExitCode.ShouldBe(0, trained.Error);
    }

    public void Dispose() => Folder.Dispose();
}

/// <summary>Several answers taken together by the built program.</summary>
public sealed class SeveralAnswersTests : IClassFixture<TrainedOnce>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SeveralAnswersTests(TrainedOnce runs) => _folder.CopyFrom(runs.Folder);

    [Fact]
    public void An_ensemble_of_two_runs_answers_wherever_a_model_does()
    {
        // Motion, since making a backbone takes longer than all the rest.
        Train("first", "--stream", "motion");
        Train("second", "--stream", "motion", "--seed", "2", "--model", "attention-mil");
        CommandOutcome made =
            Run("ensemble", "first", "second", "--dataset-path", "clips", "--cache-dir", "cache", "--output", "both/ensemble.json",
            "--strategy", "mean");
        made.ExitCode.ShouldBe(0, made.Error);
        made.Output.ShouldContain("mean (chosen)");
        made.Output.ShouldContain("written to both/ensemble.json");
        made.Error.ShouldNotContain("was trained on, whatever");
        using var file = JsonDocument.Parse(File.ReadAllText(_folder.File("both/ensemble.json")));
        file.RootElement.GetProperty("strategy").GetString().ShouldBe("Mean");
        file.RootElement.GetProperty("test").GetProperty("intervals").GetProperty("auc").GetProperty("low")
            .ValueKind.ShouldBe(JsonValueKind.Number);

        CommandOutcome views = Run("predict", "clips/test", "--checkpoint", "first", "--tta");
        views.ExitCode.ShouldBe(1);
        views.Error.ShouldContain("The model looks at motion alone");
        views.Error.ShouldContain("Leave --tta out");

        double[] first = Predicted("first"), second = Predicted("second"), both = Predicted("both/ensemble.json");
        first.ShouldNotBe(second);
        both.ShouldBe([.. first.Zip(second, (a, b) => (a + b) / 2)], 1e-12);

        CommandOutcome evaluated =
            Run("evaluate", "--checkpoint", "both/ensemble.json", "--dataset-path", "clips", "--cache-dir", "cache", "--json");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        using var metrics = JsonDocument.Parse(evaluated.Output);
        metrics.RootElement.GetProperty("test").GetProperty("loss").GetDouble()
            .ShouldBe(file.RootElement.GetProperty("test").GetProperty("loss").GetDouble());

        File.Delete(_folder.File("second/best_model.safetensors"));
        CommandOutcome missing = Run("predict", "clips/test", "--checkpoint", "both/ensemble.json");
        missing.ExitCode.ShouldBe(1);
        missing.Error.ShouldContain(Path.Combine("second", "best_model.safetensors"));
        Run("ensemble", "first", "--features-dir", "cache/motion").ExitCode.ShouldBe(2);
    }

    [Fact]
    public void Models_of_different_streams_answer_together()
    {
        Train("moves", "--stream", "motion", "--model", "frame-mlp");
        Train("all", "--stream", "both", "--model", "frame-mlp");
        string[] members = ["one", "moves", "all"];
        CommandOutcome made =
            Run(["ensemble", .. members, "--dataset-path", "clips", "--cache-dir", "cache", "--output", "late.json", "--strategy",
            "mean"]);
        made.ExitCode.ShouldBe(0, made.Error);
        made.Error.ShouldNotContain("was trained on, whatever");

        // A member that looks at its part of the features adds the zeros of the rest in another order: the last bit may differ.
        double[][] alone = [.. members.Select(member => Predicted(member))];
        Predicted("late.json").ShouldBe([.. Enumerable.Range(0, 4).Select(clip => alone.Average(answers => answers[clip]))], 1e-6);
        CommandOutcome windows = Run("predict", "clips/test/violent/a.mp4", "--checkpoint", "late.json", "--window", "1");
        windows.ExitCode.ShouldBe(0, windows.Error);

        CommandOutcome evaluated =
            Run("evaluate", "--checkpoint", "late.json", "--dataset-path", "clips", "--cache-dir", "cache", "--json");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        using var metrics = JsonDocument.Parse(evaluated.Output);
        using var file = JsonDocument.Parse(File.ReadAllText(_folder.File("late.json")));
        metrics.RootElement.GetProperty("test").GetProperty("loss").GetDouble()
            .ShouldBe(file.RootElement.GetProperty("test").GetProperty("loss").GetDouble());

        CommandOutcome pictures = Run("ensemble", "one", "moves", "--features-dir", "cache");
        pictures.ExitCode.ShouldBe(1);
        pictures.Error.ShouldContain("has 4096 features a frame; the classifier in 'one/best_model.safetensors' takes 4327");
    }

    [Fact]
    public void Late_fusion_in_a_study_is_the_weighted_mean_of_a_model_of_each_stream()
    {
        double[] rgb = Study("rgb"), motion = Study("motion"), late = Study("both", "--fusion", "late");
        double[][] weights = [.. File.ReadAllLines(_folder.File("cv-both/runs.jsonl")).Select(Weights)];
        weights.ShouldAllBe(pair => pair.Length == 2 && Math.Abs(pair.Sum() - 1) < 1e-9);
        late.ShouldBe([.. Enumerable.Range(0, 12).Select(i => (weights[i / 6][0] * rgb[i]) + (weights[i / 6][1] * motion[i]))], 1e-9);
        rgb.Zip(motion).ShouldAllBe(pair => pair.First != pair.Second);
        Run("cv", "--dataset-path", "clips", "--fusion", "late").ExitCode.ShouldBe(2);

        double[] Study(string stream, params string[] options)
        {
            CommandOutcome outcome =
                Run(["cv", "--dataset-path", "clips", "--cache-dir", "cache", "--output", $"cv-{stream}", "--stream", stream,
                "--frames", "2", "--epochs", "2", "--model", "frame-mlp", "--folds", "2", "--seeds", "1", "--val-share", "0.3",
                .. options]);
            outcome.ExitCode.ShouldBe(0, outcome.Error);
            return [.. File.ReadAllLines(_folder.File($"cv-{stream}/predictions.csv")).Skip(1)
                .Select(line => double.Parse(line.Split(',')[5], CultureInfo.InvariantCulture))];
        }

        static double[] Weights(string line)
        {
            using var run = JsonDocument.Parse(line);
            return [.. run.RootElement.GetProperty("run").GetProperty("weights").EnumerateArray().Select(weight => weight.GetDouble())];
        }
    }

    [Fact]
    public void Dropout_says_how_sure_a_model_is()
    {
        Train("unsure", "--stream", "motion");
        string[] line = ["predict", "clips/test", "--checkpoint", "unsure", "--mc-dropout", "20"];
        CommandOutcome first = Run([.. line, "--json"]);
        first.ExitCode.ShouldBe(0, first.Error);
        Run([.. line, "--json"]).Output.ShouldBe(first.Output);
        Run([.. line, "--json", "--seed", "7"]).Output.ShouldNotBe(first.Output);

        using var answers = JsonDocument.Parse(first.Output);
        double[] plain = Predicted("unsure");
        answers.RootElement.EnumerateArray().Select(answer => answer.GetProperty("violent").GetDouble()).ShouldBe(plain);
        foreach (JsonElement uncertainty in answers.RootElement.EnumerateArray().Select(answer => answer.GetProperty("uncertainty")))
        {
            uncertainty.GetProperty("passes").GetInt32().ShouldBe(20);
            uncertainty.GetProperty("standard_deviation").GetDouble().ShouldBeGreaterThan(0);
            uncertainty.GetProperty("mutual_information").GetDouble().ShouldBeInRange(0, Math.Log(2));
        }

        Run([.. line, "--csv"])
            .Output.Split('\n')[0].ShouldContain(",error,dropout_mean,dropout_standard_deviation,entropy,mutual_information");
        Run(line).Output.ShouldContain(" ± ");
        Run([.. line, "--window", "1"]).ExitCode.ShouldBe(2);
        Train("sure", "--stream", "motion", "--dropout", "0");
        CommandOutcome sure = Run("predict", "clips/test", "--checkpoint", "sure", "--mc-dropout", "5");
        sure.ExitCode.ShouldBe(1);
        sure.Error.ShouldContain("was trained without dropout");
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void Views_are_cached_trained_on_and_averaged()
    {
        CommandOutcome trained =
            Run("train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir", "views", "--frames", "2",
            "--epochs", "2", "--views", "3", "--model", "attention-mil");
        trained.ExitCode.ShouldBe(0, trained.Error);
        trained.Error.ShouldContain("features of view 2 (brightness 1.2): 0 of 12 clips are cached, 12 to extract");
        trained.Error.ShouldContain("3 views");
        byte[][] features = [
            .. new[] { "cache", "cache/view-1", "cache/view-2" }.Select(
            folder => File.ReadAllBytes(_folder.File($"{folder}/train_features.npy")))];
        features.Distinct(new SameBytes()).Count().ShouldBe(3);

        double[] plain = Predicted("one");
        CommandOutcome predicted = Run("predict", "clips/test", "--checkpoint", "one", "--tta", "--json");
        predicted.ExitCode.ShouldBe(0, predicted.Error);
        using var answers = JsonDocument.Parse(predicted.Output);
        double[][] views = [.. answers.RootElement.EnumerateArray()
            .Select(answer => answer.GetProperty("views").EnumerateArray().Select(view => view.GetDouble()).ToArray())];
        views.ShouldAllBe(view => view.Length == 8 && view.Distinct().Count() > 4);
        views.Select(view => view[0]).ShouldBe(plain);
        answers.RootElement.EnumerateArray().Select(answer => answer.GetProperty("violent").GetDouble())
            .ShouldBe(views.Select(view => view.Average()));

        CommandOutcome evaluated = Run("evaluate", "--checkpoint", "one", "--dataset-path", "clips", "--cache-dir", "cache", "--tta");
        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        evaluated.Error.ShouldContain("features of view 2 (brightness 1.2): 12 of 12 clips are cached, 0 to extract");
        evaluated.Output.ShouldContain("test_tta");
        evaluated.Output.ShouldContain("8 times the cost");

        // Cached views and those of single videos are the same, hence the same loss of the test clips; folders sort violent behind
        // nonviolent.
        using var metrics = JsonDocument.Parse(File.ReadAllText(_folder.File("one/evaluation_results.json")));
        string[] paths = [.. answers.RootElement.EnumerateArray().Select(answer => answer.GetProperty("path").GetString()!)];
        JsonElement test = metrics.RootElement.GetProperty("test_tta");
        double threshold = test.GetProperty("threshold").GetDouble();
        int right = paths.Zip(views, (path, view) => path.Contains("/violent/", StringComparison.Ordinal) == view.Average() >= threshold)
            .Count(correct => correct);
        test.GetProperty("accuracy").GetDouble().ShouldBe(right / 4.0);

        Run("predict", "clips/test", "--checkpoint", "one", "--tta", "--window", "1").ExitCode.ShouldBe(2);
    }

    public void Dispose() => _folder.Dispose();

    private void Train(string run, params string[] options) => TrainedOnce.Train(_folder, run, options);

    /// <summary>p(violent) of each test clip.</summary>
    private double[] Predicted(string checkpoint, params string[] options)
    {
        CommandOutcome predicted = Run(["predict", "clips/test", "--checkpoint", checkpoint, "--json", .. options]);
        predicted.ExitCode.ShouldBe(0, predicted.Error);
        using var answers = JsonDocument.Parse(predicted.Output);
        return [.. answers.RootElement.EnumerateArray().Select(answer => answer.GetProperty("violent").GetDouble())];
    }

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);

    private sealed class SameBytes : IEqualityComparer<byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] bytes) => bytes.Length;
    }
}
