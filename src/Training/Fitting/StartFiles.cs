using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>
/// Looks at the files that a run is to start from before hours of work are spent on videos that nothing could be done with.
/// </summary>
internal static class StartFiles
{
    /// <summary>Before videos are hashed: whether the files are there and of the kind that is needed.</summary>
    /// <exception cref="RunException">A checkpoint is a model alone.</exception>
    /// <exception cref="FileFormatException">A file holds something else.</exception>
    /// <exception cref="IOException">A file is missing, or cannot be read.</exception>
    public static void RequireReadable(TrainingOptions options)
    {
        string? resume = options.Resume == "auto" ? LastIn(options.CheckpointDir) : options.Resume;
        if (resume is not null)
        {
            using var checkpoint = Checkpoint.Open(resume);
            checkpoint.RequireState();
        }

        if (options.InitialWeights is { } initial)
        {
            Checkpoint.Open(BundledModel.Resolve(initial)).Dispose();
        }

        // The stream may still follow the data, and then be one of pictures.
        bool mayUseWeights = options.Stream.HasRgb() || options.Given?.Contains(Setting.NameOf(nameof(options.Stream))) == false;
        if (options is { FeaturesDir: null } and ({ Weights: not null } or { Backbone: not null }) && mayUseWeights)
        {
            BackboneChoice.Open(options with { Stream = FeatureStream.Rgb }).Dispose();
        }
    }

    /// <summary>Before features are extracted: whether the classifier's weights fit it.</summary>
    /// <param name="inputs">Features of a frame.</param>
    /// <param name="classes">How many; null where that is not known yet: those that the file says.</param>
    /// <exception cref="RunException">They do not.</exception>
    public static void RequireFit(TrainingOptions options, int inputs, int? classes)
    {
        if (options.InitialWeights is { } weights)
        {
            using var checkpoint = Checkpoint.Open(BundledModel.Resolve(weights));
            using var host = new CpuDevice(1);
            using var parameters = new ParameterSet(host, Classifiers.Create(options.Model,
                new ClassifierOptions(inputs, (float)options.Dropout, Differences: options.Differences,
                    Classes: classes ?? checkpoint.Info?.Classes.Count ?? Classifier.Classes)));
            checkpoint.LoadModel(parameters);
        }
    }

    private static string? LastIn(string directory)
    {
        string last = RunFolder.Follow(directory).LastCheckpoint;
        return File.Exists(last) ? last : null;
    }
}
