using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Studies;

/// <summary>Cross-validation and ablation on tiny features.</summary>
public sealed class StudyTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void A_cross_validation_judges_every_clip_once_a_seed_and_finds_what_there_is()
    {
        CrossValidationResult result = CrossValidation.Execute(Options("cv"), new SilentObserver(), CancellationToken.None);

        result.Folds.Count.ShouldBe(6);
        result.Folds.Select(fold => (fold.Seed, fold.Fold)).ShouldBe([(42, 1), (42, 2), (42, 3), (43, 1), (43, 2), (43, 3)]);
        result.Folds.ShouldAllBe(fold => fold.TrainClips + fold.ValClips + fold.TestClips == result.Clips);
        result.Metrics.BalancedAccuracy.Value.ShouldBeGreaterThan(0.75);
        string[] lines = File.ReadAllLines(_fixture.File("cv/predictions.csv"));
        lines.Length.ShouldBe(1 + (2 * result.Clips));
        lines.Skip(1).Select(line => string.Join(",", line.Split(',')[..5])).ShouldBeUnique();
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_fixture.File("cv/cv_results.json")));
        json.RootElement.GetProperty("metrics").GetProperty("balanced_accuracy").GetProperty("value").GetDouble()
            .ShouldBe(result.Metrics.BalancedAccuracy.Value);
    }

    [Fact]
    public void The_threshold_of_one_half_and_the_mean_of_the_seeds_are_those_of_the_predictions()
    {
        CrossValidationResult fitted = CrossValidation.Execute(Options("cv"), new SilentObserver(), CancellationToken.None);
        StudyOptions options = Options("cv");
        CrossValidationResult half = CrossValidation.Execute(
            options with { Run = options.Run with { Threshold = ThresholdRule.Half } }, new SilentObserver(), CancellationToken.None);

        // The same trainings, of the network and of the linear model: nothing was repeated.
        File.ReadAllLines(_fixture.File("cv/runs.jsonl")).Length.ShouldBe(12);
        half.Linear!.BalancedAccuracy.Value.ShouldBeInRange(0.5, 1);
        half.Folds.ShouldAllBe(fold => fold.Threshold == 0.5);
        fitted.Folds.Select(fold => fold.Threshold).Distinct().Count().ShouldBeGreaterThan(1);
        (string Path, bool IsViolent, double Score)[] answers = PredictionsOf("cv");
        half.Metrics.BalancedAccuracy.Value.ShouldBe(Balanced(answers), 1e-12);
        half.MeanOfSeeds!.BalancedAccuracy.Value.ShouldBe(
            Balanced([.. answers.GroupBy(answer => answer.Path).Select(clip => (clip.Key, clip.First().IsViolent, clip.Average(answer => answer.Score)))]), 1e-12);
        CrossValidation.Execute(Options("one") with { Seeds = 1 }, new SilentObserver(), CancellationToken.None).MeanOfSeeds.ShouldBeNull();
    }

    [Fact]
    public void Clips_that_do_not_count_are_learned_from_and_left_out_of_the_results()
    {
        StudyOptions options = Options("all");
        options = options with { Run = options.Run with { Threshold = ThresholdRule.Half } };
        CrossValidationResult all = CrossValidation.Execute(options, new SilentObserver(), CancellationToken.None);
        string[] paths = [.. PredictionsOf("all").Select(answer => answer.Path).Distinct()];
        string uncounted = paths[0];

        CrossValidationResult counted = CrossValidation.Execute(
            options with { Output = _fixture.File("some"), Uncounted = uncounted[..^1] + "?" }, new SilentObserver(),
            CancellationToken.None);

        // The trainings are the same.
        (string Path, bool IsViolent, double Score)[] answers = PredictionsOf("some");
        answers.ShouldBe(PredictionsOf("all"));
        (string, bool, double)[] left = [.. answers.Where(answer => !Matches(answer.Path))];
        left.Length.ShouldBeInRange(1, answers.Length - 1);
        counted.Clips.ShouldBe(paths.Count(path => !Matches(path)));
        counted.Metrics.BalancedAccuracy.Value.ShouldBe(Balanced(left), 1e-12);
        counted.Folds.Sum(fold => fold.TestClips).ShouldBe(left.Length);
        all.Folds.Sum(fold => fold.TestClips).ShouldBe(answers.Length);
        Should.Throw<RunException>(() => CrossValidation.Execute(
            options with { Output = _fixture.File("none"), Uncounted = "*" }, new SilentObserver(), CancellationToken.None))
            .Message.ShouldContain("'*' leaves a class without clips");

        bool Matches(string path) => path.Length == uncounted.Length && path.StartsWith(uncounted[..^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_study_that_was_stopped_goes_on_and_ends_as_if_it_had_not_been()
    {
        CrossValidationResult whole = CrossValidation.Execute(Options("whole"), new SilentObserver(), CancellationToken.None);
        using var stop = new CancellationTokenSource();
        var observer = new StoppingObserver(stop, afterTrainings: 2);
        Should.Throw<OperationCanceledException>(() => CrossValidation.Execute(Options("stopped"), observer, stop.Token));
        string log = _fixture.File("stopped/runs.jsonl");
        string[] kept = File.ReadAllLines(log);
        kept.Length.ShouldBe(2);

        // A kill may cut the last line off.
        File.WriteAllText(log, kept[0] + "\n" + kept[1][..(kept[1].Length / 2)]);
        CrossValidationResult again = CrossValidation.Execute(Options("stopped"), new SilentObserver(), CancellationToken.None);

        again.Metrics.ShouldBe(whole.Metrics);
        again.Folds.ShouldBe(whole.Folds);
        string[] after = File.ReadAllLines(log);
        after.Length.ShouldBe(12);
        after[0].ShouldBe(kept[0]);
    }

    [Fact]
    public void A_log_that_cannot_be_opened_lets_go_of_its_folder()
    {
        string folder = _fixture.File("blocked");
        Directory.CreateDirectory(Path.Combine(folder, StudyLog.FileName));

        Should.Throw<RunException>(() => StudyLog.Open(folder)).Message.ShouldContain("cannot be used for a study");
        FolderLock.Take(folder, StudyLog.LockName).Dispose();
    }

    [Fact]
    public void Other_options_are_another_study_in_the_same_folder()
    {
        CrossValidation.Execute(Options("cv"), new SilentObserver(), CancellationToken.None);
        StudyOptions other = Options("cv");
        CrossValidation.Execute(other with { Run = other.Run with { LearningRate = 0.002 } }, new SilentObserver(), CancellationToken.None);

        // Six networks each, and the linear model once: it knows no learning rate.
        File.ReadAllLines(_fixture.File("cv/runs.jsonl")).Length.ShouldBe(18);
    }

    [Fact]
    public void Several_trainings_at_a_time_give_the_same_answers()
    {
        CrossValidationResult one = CrossValidation.Execute(Options("one"), new SilentObserver(), CancellationToken.None);
        CrossValidationResult two = CrossValidation.Execute(Options("two") with { Jobs = 2 }, new SilentObserver(), CancellationToken.None);

        two.Metrics.ShouldBe(one.Metrics);
        two.Folds.ShouldBe(one.Folds);

        // Times are of trainings that had the machine to themselves: one of a row, if several run at a time.
        File.ReadAllLines(_fixture.File("one/runs.jsonl")).ShouldAllBe(line => !line.Contains("\"shared\":true"));
        File.ReadAllLines(_fixture.File("two/runs.jsonl")).Count(line => !line.Contains("\"shared\":true")).ShouldBe(2);
    }

    [Fact]
    public void An_average_of_the_weights_answers_in_place_of_the_best_epoch()
    {
        StudyOptions options = Options("plain");
        options = options with { Run = options.Run with { Monitor = "val_loss" } };
        CrossValidationResult plain = CrossValidation.Execute(options, new SilentObserver(), CancellationToken.None);

        // The mean over the last epoch alone is that epoch. (With batch normalisation, which this model has not, the statistics would
        // differ.)
        CrossValidationResult last = CrossValidation.Execute(
            Options("last") with { Run = options.Run with { SwaStart = options.Run.Epochs } }, new SilentObserver(),
            CancellationToken.None);
        last.Folds.ShouldAllBe(fold => fold.BestEpoch == options.Run.Epochs);
        foreach ((FoldSummary fold, FoldSummary same)
            in plain.Folds.Zip(last.Folds).Where(pair => pair.First.BestEpoch == options.Run.Epochs))
        {
            same.ShouldBe(fold);
        }

        plain.Folds.ShouldContain(fold => fold.BestEpoch == options.Run.Epochs);
        CrossValidationResult smooth = CrossValidation.Execute(Options("smooth") with { Run = options.Run with { Ema = 0.9 } },
            new SilentObserver(), CancellationToken.None);
        smooth.Metrics.ShouldNotBe(last.Metrics);
        Should.Throw<RunException>(
            () => CrossValidation.Execute(Options("never") with { Run = options.Run with { SwaStart = 100 } }, new SilentObserver(),
            CancellationToken.None)).Message.ShouldContain("before there was anything to average");
    }

    [Fact]
    public void An_ablation_has_a_row_for_each_optimisation_with_its_gain()
    {
        AblationResult result = Ablation.Execute(Options("ablation") with { Seeds = 1 }, leaveOneOut: true, new SilentObserver(),
            CancellationToken.None);

        result.Rows.Count.ShouldBe(14);
        result.Rows[^1].Name.ShouldBe("linear model");
        result.Rows.Where(row => row.Missing is not null).Select(row => row.Name).ShouldBe(["+ multi-GPU", "+ XLA"]);
        result.Rows[0].Gain.ShouldBeNull();
        foreach (AblationRow row in result.Rows.Skip(1).SkipLast(1).Where(row => row.Missing is null))
        {
            AblationRow before = row.Name.StartsWith("all but ")
                ? result.Rows[7]
                : result.Rows.Take(result.Rows.ToList().IndexOf(row)).Last(other => other.Missing is null);
            row.Gain!.Value.ShouldBe(row.Metrics!.BalancedAccuracy.Value - before.Metrics!.BalancedAccuracy.Value, 1e-12);
            row.SecondsPerEpoch.ShouldBeGreaterThan(0);
            row.PeakBytes.ShouldBeGreaterThan(0);
        }

        // Rows really train differently.
        result.Rows.Where(row => row.Missing is null).Select(row => row.Metrics!.Brier.Value).Distinct().Count().ShouldBeGreaterThan(5);
        string[] csv = File.ReadAllLines(_fixture.File("ablation/ablation.csv"));
        csv.Length.ShouldBe(15);
        csv.Select(line => line.Split(',').Length).Distinct().Order().ShouldBe([csv[0].Split(',').Length, csv[0].Split(',').Length + 1]);
        string page = File.ReadAllText(_fixture.File("ablation/ablation.html"));
        Regex.Count(page, "<circle class=\"p\"").ShouldBe(result.Rows.Count(row => row.Missing is null));
        page.ShouldContain(Numbers.Percent(result.Rows[7].Metrics!.BalancedAccuracy.Value));
        page.ShouldContain("not run: ");
        string[] markdown = File.ReadAllLines(_fixture.File("ablation/ablation.md"));
        markdown.Count(line => line.StartsWith("| ") && line.Contains("not run")).ShouldBe(2);
        markdown.Where(line => line.StartsWith('|')).Select(line => line.Count(letter => letter == '|')).Distinct().ShouldHaveSingleItem();
    }

    public void Dispose() => _fixture.Dispose();

    private (string Path, bool IsViolent, double Score)[] PredictionsOf(string study) =>
        [.. File.ReadAllLines(_fixture.File($"{study}/predictions.csv")).Skip(1).Select(line => line.Split(','))
            .Select(cells => (cells[0], cells[1] == "violent", double.Parse(cells[5], CultureInfo.InvariantCulture)))];

    private static double Balanced((string Path, bool IsViolent, double Score)[] answers) => answers.GroupBy(answer => answer.IsViolent)
        .Average(label => label.Average(answer => answer.Score >= 0.5 == label.Key ? 1.0 : 0));

    private StudyOptions Options(string output) => new()
    {
        Run = _fixture.Options(
            "unused") with
        { Epochs = 4, WarmupEpochs = 1, Model = "simple-lstm", Dropout = 0.1, EarlyStoppingPatience = 0, Threads = 1 },
        Folds = 3,
        Seeds = 2,
        ValShare = 0.3,
        Output = _fixture.File(output),
    };

    private sealed class StoppingObserver(CancellationTokenSource stop, int afterTrainings) : IRunObserver
    {
        public void Message(Severity severity, string text)
        {
        }

        public void Header(IReadOnlyList<HeaderLine> lines)
        {
        }

        public void Dataset(IReadOnlyList<SplitRow> splits)
        {
        }

        public void Progress(StageProgress progress)
        {
            if (progress.Unit == "trainings" && progress.Done == afterTrainings)
            {
                stop.Cancel();
            }
        }

        public void Epoch(EpochRecord epoch)
        {
        }
    }
}
