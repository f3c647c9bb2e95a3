using System.Globalization;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Runs on features of five classes, which classes.json beside them names.</summary>
public sealed class ManyClassRunTests : IDisposable
{
    private static readonly string[] Five = ["dance", "fight", "hug", "talk", "walk"];

    private readonly TrainingFixture _fixture = new();

    public ManyClassRunTests()
    {
        Write("train", 60, 1);
        Write("val", 25, 2);
        Write("test", 25, 3);
        File.WriteAllText(_fixture.File("features/classes.json"), "[\"dance\", \"fight\", \"hug\", \"talk\", \"walk\"]");
    }

    public static TheoryData<string> Models => [.. Classifiers.Names];

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_model_learns_them_and_its_file_answers_the_same(string model)
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Model = model, Epochs = 8, LearningRate = 0.003 });

        result.Test!.Classes.ShouldBe(Five);
        result.Test.ConfusionMatrix.Length.ShouldBe(5);
        result.Test.Accuracy.ShouldBeGreaterThan(result.Test.MajorityBaseline);
        result.ValAtHalf.ShouldBeNull();
        result.Data[0].Classes!["hug"].ShouldBe(12);
        using var device = new CpuDevice(1);
        using ClassifierGroup group = ClassifierGroup.Open(device, _fixture.File("run/best_model.safetensors"));
        group.Info.Classes.ShouldBe(Five);
        group.Info.Threshold.ShouldBe(double.NaN);
        ManyClassRows test = new(25, 3, Five);
        ClassificationMetrics measured = group.Evaluate(test, 64, CancellationToken.None).MetricsAt(double.NaN);
        measured.Loss.ShouldBe(result.Test.Loss, 1e-5);
        measured.PerClass.ShouldBe(result.Test.PerClass);
        IReadOnlyList<ClipPrediction> predictions = PredictionFile.Read(_fixture.File("run/predictions_test.csv"), out ClassList classes);
        classes.Names.ShouldBe(Five);
        predictions.Average(clip => clip.IsRightAt(double.NaN) ? 1.0 : 0).ShouldBe(result.Test.Accuracy, 1e-12);
        File.ReadAllText(_fixture.File("run/report.html")).ShouldContain("Weakest class");
    }

    [Fact]
    public void A_resumed_run_has_the_same_model_and_refuses_other_classes()
    {
        TrainingOptions options = _fixture.Options("run") with { Model = "frame-mlp" };
        TrainingFixture.Run(options with { CheckpointDir = _fixture.File("whole") });
        TrainingFixture.RunUntil(options, 5);
        TrainingFixture.Run(options with { Resume = "auto" });

        TrainingFixture.Payload(_fixture.File("run/best_model.safetensors"))
            .ShouldBe(TrainingFixture.Payload(_fixture.File("whole/best_model.safetensors")));
        File.WriteAllText(_fixture.File("features/classes.json"), "[\"dance\", \"fight\", \"hug\", \"talk\", \"run\"]");
        Should.Throw<RunException>(() => TrainingFixture.Run(options with { Resume = "auto", Epochs = 6 })).Message
            .ShouldContain("classes was dance, fight, hug, talk, walk, is dance, fight, hug, talk, run");
    }

    [Theory]
    [InlineData("[\"a\", \"b\"]", "the label of row 2 is 2, expected 0 or 1")]
    [InlineData("[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]", "expected every class")]
    [InlineData("[\"a\"]", "1 classes")]
    [InlineData("[\"a\", \"A\", \"c\", \"d\", \"e\"]", "two classes 'a'")]
    [InlineData("{}", "expected a list of classes")]
    public void Names_that_do_not_fit_the_labels_are_refused(string classes, string why)
    {
        File.WriteAllText(_fixture.File("features/classes.json"), classes);

        Should.Throw<FileFormatException>(() => FeatureSplits.Open(_fixture.Features)).Message.ShouldContain(why);
    }

    [Fact]
    public void Alpha_is_one_number_or_one_for_each_class()
    {
        TrainingOptions options = _fixture.Options("run") with { Model = "frame-mlp", FocalAlpha = [0.25, 0.75] };

        Should.Throw<RunException>(() => TrainingFixture.Run(options)).Message
            .ShouldContain("has 2 numbers, and there are 5 classes: dance, fight, hug, talk, walk");
    }

    [Fact]
    public void A_model_is_measured_on_the_same_classes_in_another_order()
    {
        TrainingResult result = TrainingFixture.Run(_fixture.Options("run") with { Model = "linear" });
        foreach (string split in new[] { "train", "val", "test" })
        {
            string file = _fixture.File($"features/{split}_labels.npy");
            long[] turned = [.. NpyFile.ReadInt64(file).Data.Select(label => 4 - label)];
            using var labels = NpyWriter.Create(file, ElementType.I64, turned.Length);
            labels.Append<long>(turned);
            labels.Complete();
        }

        File.WriteAllText(_fixture.File("features/classes.json"), "[\"walk\", \"Talk\", \"hug\", \"fight\", \"dance\"]");

        EvaluationResult measured = EvaluationRun.Execute(
            new EvaluationOptions
            {
                Checkpoint = _fixture.File("run"),
                FeaturesDir = _fixture.Features,
                Output = _fixture.File("measured"),
            },
            new RecordingObserver(), CancellationToken.None);

        measured.Splits["test"].ConfusionMatrix.SelectMany(row => row).ShouldBe(result.Test!.ConfusionMatrix.SelectMany(row => row));
    }

    [Fact]
    public void A_study_of_them_measures_every_class()
    {
        var options = new StudyOptions
        {
            Run = _fixture.Options("run") with { Model = "linear" },
            Folds = 3,
            Seeds = 1,
            Output = _fixture.File("study"),
        };

        CrossValidationResult result = CrossValidation.Execute(options, new RecordingObserver(), CancellationToken.None);

        result.Metrics.Recalls!.Keys.ShouldBe(Five);
        result.Metrics.BalancedAccuracy.Value.ShouldBe(result.Metrics.Recalls!.Values.Average(recall => recall.Value), 1e-12);
        result.Metrics.Accuracy.Value.ShouldBeGreaterThan(0.5);
        string[] lines = File.ReadAllLines(_fixture.File("study/predictions.csv"));
        lines[0].ShouldBe("path,class,source,fold,seed,probability_dance,probability_fight,probability_hug,probability_talk," +
            "probability_walk,calibrated_dance,calibrated_fight,calibrated_hug,calibrated_talk,calibrated_walk,called");
        lines.Length.ShouldBe(111);
        double[][] answers = [.. lines[1..].Select(line => line.Split(',')[5..15].Select(number =>
            double.Parse(number, CultureInfo.InvariantCulture)).ToArray())];
        foreach (double[] numbers in answers)
        {
            numbers[5..].Sum().ShouldBe(1, 1e-9);
            Array.IndexOf(numbers[5..], numbers[5..].Max()).ShouldBe(Array.IndexOf(numbers[..5], numbers[..5].Max()));
        }

        result.Folds.ShouldAllBe(fold => fold.CalibrationSlope > 0);
        result.Folds.ShouldContain(fold => fold.CalibrationSlope != 1);
    }

    [Fact]
    public void An_ablation_of_them_has_their_recalls_and_means()
    {
        var options = new StudyOptions
        {
            Run = _fixture.Options("run") with { Model = "frame-mlp", Epochs = 2, LogEverySteps = 0 },
            Folds = 2,
            Seeds = 1,
            Output = _fixture.File("ablation"),
        };

        AblationResult result = Ablation.Execute(options, leaveOneOut: false, new RecordingObserver(), CancellationToken.None);

        result.Classes.ShouldBe(Five);
        string[] lines = File.ReadAllLines(_fixture.File("ablation/ablation.csv"));
        string[] columns = lines[0].Split(','), first = lines[1].Split(',');
        string Of(string column) => first[Array.IndexOf(columns, column)];
        Of("recall").ShouldBe(Of("balanced_accuracy"));
        Five.Average(name => double.Parse(Of($"recall_{name}"), CultureInfo.InvariantCulture))
            .ShouldBe(double.Parse(Of("recall"), CultureInfo.InvariantCulture), 1e-12);
        File.ReadAllText(_fixture.File("ablation/ablation.md")).ShouldContain("| macro F1 | macro precision |");
        File.ReadAllText(_fixture.File("ablation/ablation.html")).ShouldContain("macro precision");
    }

    public void Dispose() => _fixture.Dispose();

    private void Write(string split, int clips, int seed)
    {
        ManyClassRows rows = new(clips, seed, Five);
        using var features = NpyWriter.Create(Path.Combine(_fixture.Features, $"{split}_features.npy"), ElementType.F32, rows.Count,
            rows.Frames, rows.Dimension);
        using var labels = NpyWriter.Create(Path.Combine(_fixture.Features, $"{split}_labels.npy"), ElementType.I64, rows.Count);
        for (int i = 0; i < rows.Count; i++)
        {
            features.Append(rows.Values(i));
            labels.Append<long>([rows.Labels[i]]);
        }

        features.Complete();
        labels.Complete();
    }
}
