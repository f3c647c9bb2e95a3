using System.Text.Json;
using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Inference;

public sealed record EvaluationOptions
{
    [Setting(SettingGroup.Model, "The trained model, a run's folder for its best one, the ensemble.json of several, or bundled, which comes with the program",
        Placeholder = "FILE|DIR", Kind = ".safetensors or .h5 file, checkpoint, ensemble or folder of a run")]
    public string Checkpoint { get; init; } = BundledModel.Name;

    /// <summary>The videos, unless <see cref="FeaturesDir"/> is given.</summary>
    [Settings(Except = SettingRole.OfTraining, Without = nameof(FeatureOptions.Stream))]
    public FeatureOptions Features { get; init; } = new();

    [Setting(SettingGroup.Data, "Measure on {split}_features.npy and {split}_labels.npy instead of videos",
        Placeholder = "DIR", Kind = "folder")]
    public string? FeaturesDir { get; init; }

    [Setting(SettingGroup.Model, "Test-time augmentation: also measure the mean over 8 views of each clip, whose features are extracted, " +
        "or stand in view-N of {FeaturesDir}")]
    public bool Tta { get; init; }

    [Setting(SettingGroup.Output, "Where evaluation_results.json is written",
        Placeholder = "DIR", Kind = "folder", Default = "the checkpoint's folder")]
    public string? Output { get; init; }

    /// <summary>What is wrong with the values, all at once.</summary>
    public IReadOnlyList<OptionProblem> Validate()
    {
        List<OptionProblem> problems = [];
        OptionValidation.CheckModel(Checkpoint, problems);
        OptionValidation.CheckSource(Features, FeaturesDir, problems);
        return problems;
    }
}

/// <param name="Splits">Metrics by split, at the classifier's own threshold; those of test-time augmentation under the split's name and
/// <c>_tta</c>.</param>
/// <param name="File">The evaluation_results.json that was written.</param>
public sealed record EvaluationResult(IReadOnlyDictionary<string, ClassificationMetrics> Splits, string File);

/// <summary>Measures a classifier on every split of a dataset or of features.</summary>
public static class EvaluationRun
{
    private const int BatchSize = 64;

    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static EvaluationResult Execute(EvaluationOptions options, IRunObserver observer, CancellationToken stop)
    {
        using DeviceChoice device = DeviceChoice.OpenOne(options.Features.Device, options.Features.Threads);
        using ClassifierGroup classifier = ClassifierGroup.Open(device.Device, options.Checkpoint);
        ModelInfo info = classifier.Info;
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("model", $"{classifier.Text} from {options.Checkpoint}, threshold {info.Threshold:F3}"),
            new HeaderLine("backbone", info.BackboneDescription),
        ]);
        int views = options.Tta ? ClipView.ForPrediction : 1;
        using FeatureSplits splits = OpenFeatures(options.FeaturesDir, options.Features with { Views = views }, device,
            classifier.Members[0], observer, stop);
        var metrics = new Dictionary<string, ClassificationMetrics>();
        foreach (FeatureSet set in splits.All)
        {
            classifier.RequireFits(set);
            Add(set.Split.Name(), classifier.Evaluate(new SplitRows(set), BatchSize, stop), classifier.UnfamiliarShare(new SplitRows(set)));
            if (options.Tta)
            {
                using FeatureViews others = FeatureViews.Open(options.FeaturesDir ?? options.Features.CacheDir, views, set);
                Add(set.Split.Name() + "_tta",
                    classifier.Evaluate([new SplitRows(set), .. others.Others.Select(view => new SplitRows(view))], BatchSize, stop));
            }
        }

        string directory = options.Output ?? (options.Checkpoint == BundledModel.Name
            ? "."
            : Path.GetDirectoryName(Path.GetFullPath(RunFolder.ModelAt(options.Checkpoint)))!);
        Directory.CreateDirectory(directory);
        string file = Path.Combine(directory, "evaluation_results.json");
        AtomicFile.WriteAllText(file, JsonSerializer.Serialize(metrics, RunJson.Default.DictionaryStringClassificationMetrics) + "\n");
        return new EvaluationResult(metrics, file);

        void Add(string name, Evaluation evaluation, double? unfamiliar = null) =>
            metrics[name] = evaluation.MetricsAt(
                info.Threshold) with
            {
                Intervals = Bootstrap.Intervals(evaluation.Labels, evaluation.Scores, info.Threshold),
                UnfamiliarShare = unfamiliar,
            };
    }

    /// <summary>
    /// The features of a folder, or those of videos with the backbone, the sampling and the preprocessing that a classifier was trained
    /// with.
    /// </summary>
    internal static FeatureSplits OpenFeatures(string? directory, FeatureOptions videos, DeviceChoice device, TrainedClassifier classifier,
        IRunObserver observer, CancellationToken stop)
    {
        if (directory is not null)
        {
            return FeatureSplits.OpenFinite(directory, stop);
        }

        using BackboneChoice backbone = classifier.OpenBackbone(videos.Weights);
        FeatureOptions features = videos with { Frames = classifier.Info.Frames, Stream = classifier.Info.Stream };
        new FeaturePipeline(features, device.Devices, backbone, observer, new StageClock()).Run(stop);
        return FeatureSplits.Open(BackboneChoice.DirectoryOf(features.CacheDir, features.Stream));
    }
}
