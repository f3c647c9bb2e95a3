using System.Globalization;
using System.Text.Json.Serialization;
using CudaTrainer.Engine.Tracing;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Parallel;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What a finished or interrupted training run leaves; training_results.json holds the same.</summary>
public sealed record TrainingResult
{
    public required RunOutcome Outcome { get; init; }

    /// <summary>Of this process among several; 0 reports.</summary>
    [JsonIgnore]
    public int Rank { get; init; }

    /// <summary>What adding up gradients took; null with one replica.</summary>
    public CommunicationSummary? Communication { get; init; }

    /// <summary>
    /// Metrics of the best checkpoint, loaded from its file, on the val split, at the threshold chosen there; null when interrupted.
    /// </summary>
    public ClassificationMetrics? Val { get; init; }

    /// <summary>The same on the test split, where there is one.</summary>
    public ClassificationMetrics? Test { get; init; }

    /// <summary>Val with the plain threshold 0.5, as the training history counts.</summary>
    public ClassificationMetrics? ValAtHalf { get; init; }

    /// <summary>Test with the plain threshold 0.5.</summary>
    public ClassificationMetrics? TestAtHalf { get; init; }

    /// <summary>What each data set comes to by itself, by name; null where there is one alone, and when interrupted.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, DatasetResult>? Datasets { get; init; }

    /// <summary>What the linear model comes to on the same clips; null where it is the model itself, and when interrupted.</summary>
    public YardstickResult? Yardstick { get; init; }

    /// <summary>Where the time of the profiled steps went; null where nobody asked.</summary>
    public ProfileSummary? Profile { get; init; }

    /// <summary>Averages of the weights, each measured like the best model; empty when none were asked for.</summary>
    public IReadOnlyList<AverageResult> Averages { get; init; } = [];

    /// <summary>Epochs finished.</summary>
    public int Epochs { get; init; }

    /// <summary>Share of the training time that steps waited for data.</summary>
    public double StallFraction { get; init; }

    /// <summary>Seconds that training waited for files to be written, or copied what they hold.</summary>
    public double SavingSeconds { get; init; }

    public int BestEpoch { get; init; }

    public required string Monitor { get; init; }

    public double BestValue { get; init; }

    public bool StoppedEarly { get; init; }

    public required string CheckpointDir { get; init; }

    /// <summary>What the run ran on; null in files, where training_config.json has it.</summary>
    [JsonIgnore]
    public TrainingOptions? Options { get; init; }

    /// <summary>What was chosen for the data and why; empty where every setting was given.</summary>
    public IReadOnlyList<string> Recipe { get; init; } = [];

    /// <summary>Wall time of each stage in seconds.</summary>
    public required IReadOnlyDictionary<string, double> Stages { get; init; }

    public required string Device { get; init; }

    /// <summary>The precision really used.</summary>
    public required string Precision { get; init; }

    /// <summary>For example <c>vgg19 random (He, seed 42)</c> or the weight file with its hash.</summary>
    public required string Backbone { get; init; }

    /// <summary>What it ran on; null in files of versions that did not say.</summary>
    public RunEnvironment? Environment { get; init; }

    /// <summary>The clips of each split; empty in files of versions that did not say, and when interrupted.</summary>
    public IReadOnlyList<SplitSummary> Data { get; init; } = [];
}

/// <summary>
/// Metrics of the best checkpoint on the clips of one of several data sets, with intervals, at the threshold chosen on val of all.
/// </summary>
/// <param name="Val">Null where none of its clips is there.</param>
/// <param name="Test">The same on test.</param>
public sealed record DatasetResult(ClassificationMetrics? Val, ClassificationMetrics? Test);

/// <summary>
/// Metrics of a linear model that was fitted to the same training clips, at the threshold 0.5; its loss is cross-entropy.
/// </summary>
/// <param name="Test">Null where there is no such split.</param>
public sealed record YardstickResult(ClassificationMetrics Val, ClassificationMetrics? Test)
{
    /// <summary>A sentence on how a network compares with it, by balanced accuracy.</summary>
    /// <param name="val">The network's, on the same clips.</param>
    /// <param name="test">The same; null where there is no such split.</param>
    public string Compare(ClassificationMetrics val, ClassificationMetrics? test)
    {
        double linear = (Test ?? Val).BalancedAccuracy, network = (test ?? val).BalancedAccuracy;
        string reached = string.Create(CultureInfo.InvariantCulture, $"A linear model of the same clips comes to {100 * linear:0.0} %");
        return network > linear
            ? string.Create(CultureInfo.InvariantCulture, $"{reached}; the network is {100 * (network - linear):0.0} points ahead of it.")
            : $"{reached}: the network does not beat it.";
    }
}

/// <summary>Metrics of an average of the weights, loaded from its file. The threshold is chosen on val; test is for reporting.</summary>
/// <param name="Name"><c>ema</c> or <c>swa</c>.</param>
/// <param name="Description">What is averaged.</param>
/// <param name="File">In the checkpoint folder.</param>
/// <param name="Updates">Weights that went in: steps or epochs.</param>
/// <param name="Val">At the threshold chosen on val.</param>
/// <param name="Test">The same on test; null where there is none.</param>
/// <param name="ValAtHalf">At the plain threshold 0.5; null for classes other than the known pair.</param>
/// <param name="TestAtHalf">The same on test.</param>
public sealed record AverageResult(
    string Name, string Description, string File, int Updates, ClassificationMetrics Val, ClassificationMetrics? Test,
        ClassificationMetrics? ValAtHalf, ClassificationMetrics? TestAtHalf);

/// <summary>What adding up the replicas' gradients took in this process, on its first replica.</summary>
/// <param name="Replicas">Of all processes.</param>
/// <param name="Transport">What carried the numbers.</param>
/// <param name="Steps">Training steps.</param>
/// <param name="BytesPerStep">Received from other replicas.</param>
/// <param name="MessagesPerStep">Pieces received from another replica.</param>
/// <param name="SecondsPerStep">From the moments that gradients were ready to their sums.</param>
/// <param name="OverlapFraction">Of that time, the share in which the replica computed.</param>
public sealed record CommunicationSummary(int Replicas, string Transport, long Steps, double BytesPerStep, double MessagesPerStep,
    double SecondsPerStep, double OverlapFraction)
{
    internal static CommunicationSummary? Of(ReplicaGroup replicas, LinkFigures figures, long steps) =>
        replicas.Communication is not { } transport || steps == 0 ? null : new CommunicationSummary(
        replicas.Size, transport, steps, (double)figures.Bytes / steps, (double)figures.Messages / steps, figures.Seconds / steps,
            figures.Seconds > 0 ? 1 - (figures.ExposedSeconds / figures.Seconds) : 0);
}
