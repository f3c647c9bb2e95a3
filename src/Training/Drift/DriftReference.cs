using System.Text.Json.Serialization;

namespace CudaTrainer.Training.Drift;

/// <summary>
/// What the clips were like that a model learned from, in a few quantities that mean something to people. It stands in the model, and
/// <see cref="DriftMonitor"/> compares with it what a camera shows: docs/drift.md.
/// </summary>
public sealed record DriftReference
{
    /// <summary>Clips that a model learned from, at least, for their distribution to be worth anything.</summary>
    internal const int FewestClips = 20;

    private const int MostQuantities = 100;

    /// <summary>Half of the clips are shorter; null if unknown.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Seconds { get; init; }

    /// <summary>By name (<c>luminance</c>, <c>frame_rate</c> and so on); what is unknown is not there.</summary>
    public IReadOnlyDictionary<string, QuantileSketch> Quantities { get; init; } = new Dictionary<string, QuantileSketch>();

    /// <summary>What it answers to clips that it has not learned from, by label; empty if unknown.</summary>
    public IReadOnlyList<ClassReference> Classes { get; init; } = [];

    /// <summary>What no reference has, as a damaged or hostile file may say it; null if there is nothing of the kind.</summary>
    internal string? Problem(int classes) =>
        Quantities.Count > MostQuantities || Quantities.Values.Any(sketch => !sketch.IsOrdered) ? "quantiles of its clips that are none"
        : Classes.Count > 0 && Classes.Count != classes ? "answers of other classes"
        : Classes.Any(own => own.Called is not (>= 0 and <= 1) || !own.Scores.IsOrdered) ? "shares of its answers that are none"
        : Seconds is not (null or > 0 and < double.PositiveInfinity) ? $"clips of {Seconds} s"
        : null;
}

/// <summary>The distribution of some numbers.</summary>
/// <param name="Count">How many there were.</param>
/// <param name="Quantiles">At <see cref="Levels"/>.</param>
public sealed record QuantileSketch(int Count, IReadOnlyList<double> Quantiles)
{
    /// <summary>Shares of the numbers that lie below each quantile.</summary>
    public static IReadOnlyList<double> Levels { get; } = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1];

    /// <summary>One in a hundred is lower.</summary>
    [JsonIgnore]
    public double Low => Quantiles[1];

    [JsonIgnore]
    public double Median => Quantiles[5];

    /// <summary>One in a hundred is higher.</summary>
    [JsonIgnore]
    public double High => Quantiles[^2];

    /// <summary>Whether these can be quantiles.</summary>
    internal bool IsOrdered => Count > 0 && Quantiles.Count == Levels.Count && Quantiles.All(double.IsFinite)
        && Quantiles.Zip(Quantiles.Skip(1)).All(pair => pair.First <= pair.Second);

    /// <param name="numbers">One or more, finite.</param>
    internal static QuantileSketch Of(IEnumerable<double> numbers)
    {
        double[] sorted = [.. numbers.Order()];
        return new QuantileSketch(sorted.Length, [.. Levels.Select(level => At(sorted, level))]);
    }

    /// <summary>Between the two nearest.</summary>
    /// <param name="sorted">One or more.</param>
    internal static double At(ReadOnlySpan<double> sorted, double level)
    {
        double place = level * (sorted.Length - 1);
        int below = (int)place;
        double next = sorted[Math.Min(below + 1, sorted.Length - 1)];
        return sorted[below] + ((place - below) * (next - sorted[below]));
    }
}

/// <summary>What a model answers about one class to clips that it has not learned from.</summary>
/// <param name="Name">Of the class.</param>
/// <param name="Called">The share of the clips that it calls so.</param>
/// <param name="Scores">The probability that it gives the class.</param>
public sealed record ClassReference(string Name, double Called, QuantileSketch Scores);
