using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Events;

/// <summary>How much a message matters to the person at the terminal.</summary>
public enum Severity
{
    Info,
    Warning,
    Error,
}

/// <summary>
/// What a run tells while it works. The engine never writes to the console; the command line (or a test, or a service) presents these. All
/// calls come from the run's own thread, in order, and must return quickly.
/// </summary>
public interface IRunObserver
{
    /// <summary>One line for a person; also written to train.log.</summary>
    void Message(Severity severity, string text);

    /// <summary>
    /// The lines that open a run: device and why, threads and SIMD level, data, model, effective precision, output folder.
    /// </summary>
    void Header(IReadOnlyList<HeaderLine> lines);

    /// <summary>A table of the dataset by split and class.</summary>
    void Dataset(IReadOnlyList<SplitRow> splits);

    /// <summary>Progress of a stage that takes a while.</summary>
    void Progress(StageProgress progress);

    /// <summary>An epoch has ended.</summary>
    void Epoch(EpochRecord epoch);
}

public readonly record struct HeaderLine(string Label, string Text);

/// <param name="Nonviolent">Clips of that class of the known pair; 0, and not in JSON, where there are other classes.</param>
/// <param name="Violent">The same.</param>
/// <param name="Failed">Clips left out because they could not be decoded.</param>
public sealed record SplitRow(
    string Split,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Nonviolent,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Violent,
    int Sources,
    int Failed)
{
    /// <summary>Clips of each class by its name; null for the known pair.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, int>? Classes { get; init; }

    /// <summary>Clips of each class, whatever the classes are.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, int> Clips => Classes ?? new Dictionary<string, int>
    {
        [ClassLabel.Name(ClassLabel.Nonviolent)] = Nonviolent,
        [ClassLabel.Name(ClassLabel.Violent)] = Violent,
    };

    internal static SplitRow Of(string split, ClassList classes, ClassCounts clips, int sources, int failed) => classes.IsViolence
        ? new SplitRow(split, clips.Nonviolent, clips.Violent, sources, failed)
        : new SplitRow(split, 0, 0, sources, failed) { Classes = classes.CountsByName(clips) };
}

/// <param name="Stage">For example <c>hash</c>, <c>extract</c>, <c>train</c>, <c>evaluate</c>.</param>
/// <param name="Done">Items done, in the stage's own unit.</param>
/// <param name="Unit">For example <c>videos</c>, <c>steps</c>.</param>
/// <param name="Rate">Of the stage's throughput unit per second: frames/s for extract, samples/s for train.</param>
/// <param name="Remaining">Estimate, or null before there is one.</param>
/// <param name="Failures">Items that failed so far.</param>
/// <param name="Epoch">For <c>train</c>: where in the run the stage is.</param>
public readonly record struct StageProgress(
    string Stage, int Done, int Total, string Unit, double Rate = 0, string RateUnit = "", TimeSpan? Remaining = null, int Failures = 0,
        EpochProgress? Epoch = null);

/// <param name="Epoch">The epoch at work, from 1.</param>
/// <param name="Loss">Mean over the epoch so far.</param>
/// <param name="Accuracy">Share of the epoch's clips so far that were called right.</param>
/// <param name="LearningRate">Of the last step.</param>
/// <param name="GradientNorm">Of the last step, before clipping.</param>
/// <param name="LossScale">Of the last step; 1 without scaling.</param>
/// <param name="MemoryBytes">In use on the first device.</param>
public readonly record struct EpochProgress(
    int Epoch, int Epochs, double Loss, double Accuracy = 0, double LearningRate = 0, double GradientNorm = 0, double LossScale = 1,
        long MemoryBytes = 0);

/// <summary>One row of training_history.csv, in the order of its columns.</summary>
public sealed record EpochRecord
{
    public required int Epoch { get; init; }

    public required int Epochs { get; init; }

    public required double Seconds { get; init; }

    /// <summary>Seconds that the training steps waited for data.</summary>
    public required double StallSeconds { get; init; }

    public required double LearningRate { get; init; }

    public required double Loss { get; init; }

    public required double Accuracy { get; init; }

    public required double ValLoss { get; init; }

    public required double ValAccuracy { get; init; }

    public required double ValBalancedAccuracy { get; init; }

    public required double ValAuc { get; init; }

    public required double ValPrecision { get; init; }

    public required double ValRecall { get; init; }

    public required double ValF1 { get; init; }

    public required double GradientNorm { get; init; }

    public required double LossScale { get; init; }

    public required int SkippedSteps { get; init; }

    /// <summary>Whether this epoch is the best so far by the monitored quantity.</summary>
    public required bool IsBest { get; init; }
}

/// <summary>How a run ended.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<RunOutcome>))]
public enum RunOutcome
{
    [JsonStringEnumMemberName("completed")]
    Completed,

    /// <summary>Stopped on request with its state saved.</summary>
    [JsonStringEnumMemberName("interrupted")]
    Interrupted,
}
