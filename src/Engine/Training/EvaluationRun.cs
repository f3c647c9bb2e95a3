using System.Text.Json;
using CudaTrainer.Engine.Data.Cache;
using CudaTrainer.Engine.Data.Dataset;
using CudaTrainer.Engine.Formats;
using CudaTrainer.Engine.Parallel;

namespace CudaTrainer.Engine.Training;

public sealed record EvaluationOptions
{
    /// <summary>A model file or checkpoint.</summary>
    public string Checkpoint { get; init; } = string.Empty;

    /// <summary>The videos, unless <see cref="FeaturesDir"/> is given.</summary>
    public FeatureOptions Features { get; init; } = new();

    public string? FeaturesDir { get; init; }

    /// <summary>Where evaluation_results.json goes; the checkpoint's folder if null.</summary>
    public string? OutputDir { get; init; }
}

/// <param name="Splits">Metrics by split, at the classifier's own threshold.</param>
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
        using TrainedClassifier classifier = TrainedClassifier.Load(device.Device, options.Checkpoint);
        ModelInfo info = classifier.Info;
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("model", $"{info.Model} of epoch {info.Epoch} from {options.Checkpoint}, threshold {info.Threshold:F3}"),
            new HeaderLine("backbone", info.BackboneDescription),
        ]);
        using FeatureSplits splits = Open(options, device, classifier, observer, stop);
        using ReplicaGroup replicas = ReplicaGroup.Of(classifier.Learner);
        var metrics = new Dictionary<string, ClassificationMetrics>();
        foreach (FeatureSet set in splits.All)
        {
            RequireSameFeatures(info, set, options.Checkpoint);
            stop.ThrowIfCancellationRequested();
            using var evaluator = new Evaluator(replicas, new SplitRows(set), BatchSize);
            Evaluation evaluation = evaluator.Run();
            metrics[set.Split.Name()] = evaluation.MetricsAt(info.Threshold) with { Intervals = Bootstrap.Intervals(evaluation.Labels, evaluation.Scores, info.Threshold) };
        }

        string directory = options.OutputDir ?? Path.GetDirectoryName(Path.GetFullPath(options.Checkpoint))!;
        Directory.CreateDirectory(directory);
        string file = Path.Combine(directory, "evaluation_results.json");
        AtomicFile.WriteAllText(file, JsonSerializer.Serialize(metrics, RunJson.Default.DictionaryStringClassificationMetrics) + "\n");
        return new EvaluationResult(metrics, file);
    }

    private static FeatureSplits Open(EvaluationOptions options, DeviceChoice device, TrainedClassifier classifier, IRunObserver observer, CancellationToken stop)
    {
        if (options.FeaturesDir is { } directory)
        {
            return FeatureSplits.OpenFinite(directory, stop);
        }

        using BackboneChoice backbone = classifier.OpenBackbone(options.Features.Weights);
        FeatureOptions features = options.Features with { Frames = classifier.Info.Frames, Stream = classifier.Info.Stream };
        new FeaturePipeline(features, device.Devices, backbone, observer, new StageClock()).Run(stop);
        return FeatureSplits.Open(BackboneChoice.DirectoryOf(features.CacheDir, features.Stream));
    }

    private static void RequireSameFeatures(ModelInfo info, FeatureSet set, string checkpoint)
    {
        if (set.Dimension != info.Inputs)
        {
            throw new RunException(
                $"'{set.Path}' has {set.Dimension} features a frame; the classifier in '{checkpoint}' takes {info.Inputs}.", "Use the features it was trained on, or train a classifier on these.");
        }

        string backbone = set.Key.FirstOrDefault(field => field.Key == "backbone").Value ?? "unknown";
        if (backbone != info.Backbone && backbone != "unknown" && info.Backbone != "unknown")
        {
            throw new RunException($"'{set.Path}' holds features of backbone {backbone}; the classifier was trained on {info.Backbone}.", "Extract features with the same weights.");
        }
    }
}
