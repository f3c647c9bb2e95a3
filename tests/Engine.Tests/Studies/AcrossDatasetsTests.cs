using System.Text.Json;
using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Studies;

/// <summary>Results of each data set by itself, and models that have not seen it.</summary>
public sealed class AcrossDatasetsTests : IDisposable
{
    private readonly TrainingFixture _fixture = new();

    [Fact]
    public void Each_data_set_is_left_out_once_with_all_that_is_also_in_it()
    {
        string[] datasets = [.. Enumerable.Range(0, 60).Select(clip => clip < 36 ? "a" : "b")];
        string[] groups = [.. datasets.Select((name, clip) => clip is 5 or 40 ? "shared" : $"{name}/{clip / 3}")];
        int[] labels = [.. Enumerable.Range(0, 60).Select(clip => clip % 2)];

        IReadOnlyList<Fold> folds = FoldPlan.ByDataset(labels, groups, datasets, 0.25, seed: 1);

        folds.Select(fold => fold.Dataset).ShouldBe(["a", "b"]);
        folds[0].Test.ShouldBe(Enumerable.Range(0, 36));
        folds[1].Test.ShouldBe(Enumerable.Range(36, 24));
        folds[0].Train.Concat(folds[0].Validation).Order().ShouldBe(Enumerable.Range(36, 24).Where(clip => clip != 40));
        folds[1].Train.Concat(folds[1].Validation).Order().ShouldBe(Enumerable.Range(0, 36).Where(clip => clip != 5));
        folds.ShouldAllBe(fold => !fold.Train.Select(clip => groups[clip]).Intersect(fold.Validation.Select(clip => groups[clip])).Any());
        Should.Throw<RunException>(() => FoldPlan.ByDataset(labels, groups, [.. datasets.Select(_ => "a")], 0.25, 1))
            .Message.ShouldContain("LeaveOneDatasetOut");
    }

    [Fact]
    public void A_study_reports_each_data_set_by_itself()
    {
        NameDatasets();
        StudyOptions options = Options("cv") with { LeaveOneDatasetOut = true };

        CrossValidationResult result = CrossValidation.Execute(options, new SilentObserver(), CancellationToken.None);
        CrossValidationResult folds = CrossValidation.Execute(Options("cv"), new SilentObserver(), CancellationToken.None);

        result.Folds.Select(fold => (fold.Dataset, fold.TestClips)).ShouldBe([("indoor", 20), ("outdoor", 20)]);
        result.Folds.ShouldAllBe(fold => fold.TrainClips + fold.ValClips == 20);
        result.Datasets!.Keys.ShouldBe(["indoor", "outdoor"]);
        folds.Datasets!.Keys.ShouldBe(["indoor", "outdoor"]);
        folds.Folds.ShouldAllBe(fold => fold.Dataset == null);
        foreach (FoldSummary fold in result.Folds)
        {
            result.Datasets[fold.Dataset!].BalancedAccuracy.Value.ShouldBe(fold.BalancedAccuracy, 1e-12);
        }

        Should.Throw<RunException>(() =>
        {
            _fixture.Write("train", new MemoryRows(22, seed: 1));
            File.Delete(Path.Combine(_fixture.Features, "train_videos.csv"));
            CrossValidation.Execute(options, new SilentObserver(), CancellationToken.None);
        }).Message.ShouldContain("there is only one");
    }

    [Fact]
    public void A_study_of_one_data_set_says_nothing_of_data_sets()
    {
        CrossValidation.Execute(Options("cv"), new SilentObserver(), CancellationToken.None).Datasets.ShouldBeNull();

        File.ReadAllText(_fixture.File("cv/cv_results.json")).ShouldNotContain("dataset");
        (Options("cv") with { LeaveOneDatasetOut = true, Run = new TrainingOptions { DatasetPath = "/a" } }).Validate()
            .ShouldContain(problem => problem.Setting == nameof(StudyOptions.LeaveOneDatasetOut));
    }

    [Fact]
    public void A_run_reports_each_data_set_by_itself()
    {
        TrainingOptions options = _fixture.Options("run") with { Model = "linear" };
        TrainingFixture.Run(options with { CheckpointDir = _fixture.File("alone") });
        NameDatasets();

        TrainingResult result = TrainingFixture.Run(options);

        result.Datasets!.Keys.ShouldBe(["indoor", "outdoor"]);
        result.Datasets.Values.Sum(set => set.Test!.Count).ShouldBe(result.Test!.Count);
        result.Datasets.Values.Sum(set => set.Test!.Accuracy * set.Test.Count).ShouldBe(result.Test.Accuracy * result.Test.Count, 1e-9);
        result.Datasets["indoor"].Val!.Intervals.ShouldNotBeNull();
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(_fixture.File("run/training_results.json")));
        json.RootElement.GetProperty("datasets").GetProperty("outdoor").GetProperty("test").GetProperty("count").GetInt32()
            .ShouldBe(result.Datasets["outdoor"].Test!.Count);
        File.ReadAllText(_fixture.File("run/report.html")).ShouldContain("Each data set by itself");
        File.ReadAllText(_fixture.File("alone/training_results.json")).ShouldNotContain("\"datasets\"");
        File.ReadAllText(_fixture.File("alone/report.html")).ShouldNotContain("Each data set by itself");
    }

    public void Dispose() => _fixture.Dispose();

    private StudyOptions Options(string output) => new()
    {
        Run = _fixture.Options("unused") with { Model = "linear" },
        Folds = 3,
        Seeds = 1,
        ValShare = 0.3,
        Output = _fixture.File(output),
    };

    /// <summary>Lists the clips of the fixture, half of each split in either data set.</summary>
    private void NameDatasets()
    {
        foreach ((string split, int count, int first) in new[] { ("train", 22, 11), ("val", 9, 4), ("test", 9, 5) })
        {
            File.WriteAllText(Path.Combine(_fixture.Features, $"{split}_videos.csv"),
                "path,source,dataset\n" + string.Concat(Enumerable.Range(0, count).Select(i =>
                    $"{split}{i}.mp4,{split}{i},{(i < first ? "indoor" : "outdoor")}\n")));
        }
    }
}
