using CudaTrainer.Engine;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Fitting;

/// <summary>
/// Looks at the files that a run is to start from before hours of work are spent on features that nothing could be done with.
/// </summary>
internal static class StartFiles
{
    /// <param name="inputs">Features of a frame.</param>
    /// <exception cref="RunException">A file is missing, holds something else or does not fit the model.</exception>
    public static void Require(TrainingOptions options, int inputs)
    {
        string? resume = options.Resume == "auto" ? LastIn(options.CheckpointDir) : options.Resume;
        if (resume is not null)
        {
            using var checkpoint = Checkpoint.Open(resume);
            checkpoint.RequireState();
        }

        if (options.InitialWeights is { } weights)
        {
            using var checkpoint = Checkpoint.Open(BundledModel.Resolve(weights));
            using var host = new CpuDevice(1);
            using var parameters = new ParameterSet(host, Classifiers.Create(options.Model,
                new ClassifierOptions(inputs, (float)options.Dropout, Differences: options.Differences)));
            checkpoint.LoadModel(parameters);
        }
    }

    private static string? LastIn(string directory)
    {
        string last = RunFolder.Follow(directory).LastCheckpoint;
        return File.Exists(last) ? last : null;
    }
}
