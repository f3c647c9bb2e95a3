using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>Looks at the data of a run for what its recipe depends on.</summary>
internal static class RecipeChoice
{
    /// <summary>
    /// The recipe for the data, or, for a run that is resumed, the one it began with. Videos are looked up, not decoded; what features
    /// were made of is not asked.
    /// </summary>
    /// <param name="network">Whether it has to be a network.</param>
    /// <param name="fixedToo">Names of properties that stay as they are besides those given.</param>
    /// <exception cref="RunException">The data, or a file to start from, cannot be used.</exception>
    public static Recipe Make(TrainingOptions options, IRunObserver observer, CancellationToken stop, bool network = false,
        params IReadOnlyList<string> fixedToo)
    {
        StartFiles.RequireReadable(options);
        if (options.Given is null)
        {
            return new Recipe(options, []);
        }

        if (Earlier(options) is { } earlier)
        {
            // What is given now may not go with what the run began with.
            TrainingOptions resumed = Recipe.Take(options, earlier);
            OptionValidation.Require(resumed);
            return new Recipe(resumed, []);
        }

        (DataFacts facts, VideoDataset? dataset) = Facts(options, observer, stop);
        return Recipe.For(options, facts with { Start = StartOf(options) }, network, fixedToo) with { Dataset = dataset };
    }

    /// <summary>For the header of a run.</summary>
    public static IEnumerable<HeaderLine> Lines(Recipe recipe) =>
        recipe.Reasons.Select((reason, i) => new HeaderLine(i == 0 ? "recipe" : string.Empty, reason));

    /// <summary>What the run to be resumed ran on; null where there is none.</summary>
    private static TrainingOptions? Earlier(TrainingOptions options)
    {
        if (options.Resume is not { } resume)
        {
            return null;
        }

        string folder = resume == "auto" ? options.CheckpointDir : Path.GetDirectoryName(Path.GetFullPath(resume))!;

        // The fingerprint says what does not fit.
        return RunFolder.OptionsAt(folder);
    }

    private static (string Model, FeatureStream Stream)? StartOf(TrainingOptions options)
    {
        if (options.InitialWeights is not { } file)
        {
            return null;
        }

        using var checkpoint = Checkpoint.Open(BundledModel.Resolve(file));
        return checkpoint.Info is { } info ? (info.Model, info.Stream) : null;
    }

    private static (DataFacts Facts, VideoDataset? Dataset) Facts(TrainingOptions options, IRunObserver observer, CancellationToken stop)
    {
        if (options.FeaturesDir is { } directory)
        {
            using FeatureSplits splits = FeatureSplits.Open(directory);
            return (new DataFacts(splits.Train.Classes, splits.Train.Sources.Distinct(StringComparer.Ordinal).Count(),
                FeatureStreams.Of(splits.Train.Key)), null);
        }

        VideoDataset dataset = FeaturePipeline.Scan(options, options.DryRun ? null : options.CacheDir, observer, stop);
        ClassTableRow train = dataset.Table.Rows.First(row => row.Split == DatasetSplit.Train);
        return (new DataFacts(train.Clips, train.Sources, Stream: null), dataset);
    }
}
