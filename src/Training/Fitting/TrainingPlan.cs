using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>What a training run would do.</summary>
/// <param name="StepsPerEpoch">Batches of the train split; 0 for a model that a solver fits.</param>
/// <param name="Options">With what was chosen for the data.</param>
public sealed record TrainingPlan(ModelSummary Model, int StepsPerEpoch, TrainingOptions Options)
{
    /// <summary>
    /// Checks what a run checks before it trains: options, device, weights, checkpoint folder, checkpoints and data. Videos are scanned and
    /// hashed, not decoded. Writes nothing.
    /// </summary>
    /// <exception cref="RunException">Something the user can act on is wrong.</exception>
    public static TrainingPlan Make(TrainingOptions options, IRunObserver observer, CancellationToken stop)
    {
        OptionValidation.Require(options);
        Recipe recipe = RecipeChoice.Make(options, observer, stop);
        options = recipe.Options;
        using DeviceChoice device = DeviceChoice.Open(options.Device, options.Threads, options.MixedPrecision);
        using BackboneChoice? backbone = options.FeaturesDir is null ? BackboneChoice.Open(options) : null;
        RunFolder.RequireFree(options.CheckpointDir, options.Resume is not null, options.Overwrite);
        observer.Header(
        [
            new HeaderLine("device", device.Text),
            new HeaderLine("backbone", backbone?.Description ?? "features from files"),
            .. RecipeChoice.Lines(recipe),
            new HeaderLine("output", options.CheckpointDir),
            new HeaderLine("seed", $"{options.Seed}"),
        ]);
        (int clips, int frames, int inputs, int classes) = options.FeaturesDir is { } directory
            ? Features(directory, observer, stop)
            : Videos(options, backbone!, recipe.Dataset, observer, stop);
        foreach (string doubt in OptionValidation.Doubts(options))
        {
            observer.Message(Severity.Info, doubt);
        }

        StartFiles.RequireFit(options, inputs, classes);
        Classifier model = Classifiers.Create(options.Model,
            new ClassifierOptions(inputs, (float)options.Dropout, Differences: options.Differences, Classes: classes));
        int steps = model.IsFitted ? 0 : (clips + options.BatchSize - 1) / options.BatchSize;
        return new TrainingPlan(ModelSummary.Of(model, frames), steps, options);
    }

    private static (int Clips, int Frames, int Inputs, int Classes) Features(string directory, IRunObserver observer,
        CancellationToken stop)
    {
        using FeatureSplits splits = FeatureSplits.OpenFinite(directory, stop);
        observer.Dataset([.. splits.All.Select(set => SplitRow.Of(set.Split.Name(), set.ClassList, set.Classes, 0, 0))]);
        return (splits.Train.Count, splits.Train.Frames, splits.Train.Dimension, splits.Train.ClassList.Count);
    }

    private static (int Clips, int Frames, int Inputs, int Classes) Videos(TrainingOptions options, BackboneChoice backbone,
        VideoDataset? found, IRunObserver observer, CancellationToken stop)
    {
        VideoDataset dataset = found ?? FeaturePipeline.Scan(options, index: null, observer, stop);
        observer.Tell(dataset);
        observer.Dataset([.. dataset.Table.Rows.Select(row => SplitRow.Of(row.Split.Name(), dataset.Classes, row.Clips, row.Sources, 0))]);
        return (
            dataset[DatasetSplit.Train].Count, options.Frames, options.Stream.Dimension(backbone.Shape.Features), dataset.Classes.Count);
    }
}
