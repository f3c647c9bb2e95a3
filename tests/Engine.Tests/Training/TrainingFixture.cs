using System.Buffers.Binary;
using CudaTrainer.Formats;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>A folder with features to train on and runs in it.</summary>
internal sealed class TrainingFixture : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TrainingFixture()
    {
        Directory.CreateDirectory(Features);
        Write("train", new MemoryRows(22, seed: 1));
        Write("val", new MemoryRows(9, seed: 2));
        Write("test", new MemoryRows(9, seed: 3));
    }

    public string Features => _folder.File("features");

    /// <summary>Three steps an epoch, the last one partial, for four epochs.</summary>
    public TrainingOptions Options(string run) => new()
    {
        FeaturesDir = Features,
        CheckpointDir = _folder.File(run),
        Epochs = 4,
        WarmupEpochs = 1,
        BatchSize = 8,
        EarlyStoppingPatience = 0,
        CheckpointEvery = 1,
        KeepCheckpoints = 10,
        LogEverySteps = 1,
        Threads = 1,
    };

    public string File(string name) => _folder.File(name);

    /// <param name="flip">Whether the labels are the other way round.</param>
    public void Write(string split, MemoryRows rows, bool flip = false)
    {
        using var features = NpyWriter.Create(Path.Combine(Features, $"{split}_features.npy"), ElementType.F32, rows.Count, rows.Frames,
            rows.Dimension);
        using var labels = NpyWriter.Create(Path.Combine(Features, $"{split}_labels.npy"), ElementType.I64, rows.Count);
        for (int i = 0; i < rows.Count; i++)
        {
            features.Append(rows.Values(i));
            labels.Append<long>([flip ? 1 - rows.Labels[i] : rows.Labels[i]]);
        }

        features.Complete();
        labels.Complete();
    }

    public static TrainingResult Run(TrainingOptions options, RecordingObserver? observer = null) =>
        TrainingRun.Execute(options, observer ?? new RecordingObserver(), CancellationToken.None);

    /// <summary>Asks the run to stop after so many steps.</summary>
    public static TrainingResult RunUntil(TrainingOptions options, int steps) => RunUntil(options, step => step == steps);

    /// <summary>Asks the run to stop after the first step (counted from 1) that <paramref name="isLast"/> holds for.</summary>
    public static TrainingResult RunUntil(TrainingOptions options, Func<int, bool> isLast)
    {
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new()
        {
            OnStep = step =>
            {
                if (isLast(step))
                {
                    stop.Cancel();
                }
            },
        };
        return TrainingRun.Execute(options, observer, stop.Token);
    }

    /// <summary>The tensors of a safetensors file, without the header, whose metadata holds wall times.</summary>
    public static byte[] Payload(string path)
    {
        byte[] file = System.IO.File.ReadAllBytes(path);
        return file[(8 + (int)BinaryPrimitives.ReadInt64LittleEndian(file))..];
    }

    /// <summary>Lines of a CSV file without the columns of wall times.</summary>
    public static string[] WithoutTimes(string path)
    {
        string[][] lines = [.. System.IO.File.ReadAllLines(path).Select(line => line.Split(','))];
        int[] kept = [.. Enumerable.Range(0, lines[0].Length).Where(i => !lines[0][i].EndsWith("seconds", StringComparison.Ordinal))];
        return [.. lines.Select(line => string.Join(',', kept.Select(i => line[i])))];
    }

    /// <summary>The options of a plain learner.</summary>
    public static LearnerOptions Learner(float[]? classWeights = null, bool mixedPrecision = false) => new(
        new LossInfo(Focal: true, Gamma: 2, Smoothing: 0.1f, classWeights ?? [1, 1], [0.25f, 0.25f]),
        new AdamOptions { ClipMode = ClipMode.Off }, mixedPrecision, Seed: 42);

    public void Dispose() => _folder.Dispose();
}
