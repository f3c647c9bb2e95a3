using System.Text.Json.Serialization;

namespace CudaTrainer.Engine.Training;

/// <summary>What a finished or interrupted training run leaves; training_results.json holds the same.</summary>
public sealed record TrainingResult
{
    public required RunOutcome Outcome { get; init; }

    /// <summary>Of this process among several; 0 reports.</summary>
    [JsonIgnore]
    public int Rank { get; init; }

    /// <summary>Metrics of the best checkpoint, loaded from its file, on the val split, at the threshold chosen there; null when interrupted.</summary>
    public ClassificationMetrics? Val { get; init; }

    /// <summary>The same on the test split, where there is one.</summary>
    public ClassificationMetrics? Test { get; init; }

    /// <summary>Val with the plain threshold 0.5, as the training history counts.</summary>
    public ClassificationMetrics? ValAtHalf { get; init; }

    /// <summary>Test with the plain threshold 0.5.</summary>
    public ClassificationMetrics? TestAtHalf { get; init; }

    /// <summary>Epochs finished.</summary>
    public int Epochs { get; init; }

    /// <summary>Share of the training time that steps waited for data.</summary>
    public double StallFraction { get; init; }

    public int BestEpoch { get; init; }

    public required string Monitor { get; init; }

    public double BestValue { get; init; }

    public bool StoppedEarly { get; init; }

    public required string CheckpointDir { get; init; }

    /// <summary>Wall time of each stage in seconds.</summary>
    public required IReadOnlyDictionary<string, double> Stages { get; init; }

    public required string Device { get; init; }

    /// <summary>The precision really used.</summary>
    public required string Precision { get; init; }

    /// <summary>For example <c>vgg19 random (He, seed 42)</c> or the weight file with its hash.</summary>
    public required string Backbone { get; init; }
}
