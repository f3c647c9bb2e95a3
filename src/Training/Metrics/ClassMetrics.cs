using System.Text.Json.Serialization;

namespace CudaTrainer.Training.Metrics;

/// <summary>Metrics of one class against all others. Fractions in [0, 1]; NaN where a ratio has no denominator.</summary>
/// <param name="Name">Of the class.</param>
/// <param name="Count">Its clips.</param>
/// <param name="Precision">Share of the clips called so that are.</param>
/// <param name="Recall">Share of its clips that are called so.</param>
/// <param name="F1">2·right / (called + count).</param>
/// <param name="Auc">Area under the ROC curve of its probability, one against the rest.</param>
/// <param name="PrAuc">Average precision of its probability, one against the rest.</param>
public sealed record ClassMetrics(string Name, int Count, double Precision, double Recall, double F1, double Auc, double PrAuc)
{
    /// <summary>By <see cref="Bootstrap"/>; null where nobody asked for them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ClassIntervals? Intervals { get; init; }
}

/// <summary>95 % confidence intervals of one class's metrics.</summary>
public sealed record ClassIntervals(Interval Precision, Interval Recall, Interval F1, Interval Auc);
