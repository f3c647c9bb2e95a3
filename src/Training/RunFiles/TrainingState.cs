using System.Text.Json.Serialization;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Drift;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.RunFiles;

/// <summary>What a classifier file says about itself, so that nobody feeds it features of another kind.</summary>
public sealed record ModelInfo
{
    /// <summary>Far more features than a frame has, and few enough to count a model's weights.</summary>
    private const int MostInputs = 1 << 24;

    /// <summary>For example <c>lstm-attention</c>.</summary>
    public required string Model { get; init; }

    /// <summary>Features per frame.</summary>
    public required int Inputs { get; init; }

    /// <summary>Whether the model puts beside the features their differences to the frame before. Files that do not say do
    /// not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Differences { get; init; }

    /// <summary>Frames per clip.</summary>
    public required int Frames { get; init; }

    /// <summary>Identity of the backbone that made the features; <c>unknown</c> for features from elsewhere.</summary>
    public required string Backbone { get; init; }

    public required string BackboneDescription { get; init; }

    /// <summary>What of a video these features are of. Files that do not say are of frames.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public FeatureStream Stream { get; init; }

    /// <summary>torch or caffe; <c>unknown</c> for features from elsewhere.</summary>
    public required string Preprocess { get; init; }

    /// <summary>
    /// p(violent) from which a clip is called violent, chosen on val; NaN for other classes, where the largest probability decides.
    /// </summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>Epoch that these weights are of.</summary>
    public int Epoch { get; init; }

    /// <summary>What these weights are an average of, for a person; null if they are those of the epoch itself.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Average { get; init; }

    /// <summary>Probability of every dropout in training; null in files that do not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Dropout { get; init; }

    /// <summary>The loss they were trained with; null in files that do not say.</summary>
    public LossInfo? Loss { get; init; }

    public string EngineVersion { get; init; } = ThisAssembly.Version;

    /// <summary>What it learned from and how good it is, for a person; null if nobody says.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Card { get; init; }

    /// <summary>What the clips were like that it learned from, for whoever watches cameras; null in files that do not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DriftReference? Drift { get; init; }

    /// <summary>The classes by index.</summary>
    public IReadOnlyList<string> Classes { get; init; } = ["nonviolent", "violent"];

    /// <summary>The same as a list.</summary>
    internal ClassList ClassList => ClassList.Of(Classes);

    /// <summary>What no model has, as a damaged or hostile file may say it; null if there is nothing of the kind.</summary>
    internal string? Problem =>
        Inputs is < 1 or > MostInputs ? $"{Inputs} features a frame"
        : Frames < 1 ? $"{Frames} frames a clip"
        : Dropout is not (null or >= 0 and < 1) ? $"a dropout of {Dropout}"
        : !Enum.IsDefined(Stream) ? $"an unknown stream {Stream}"
        : ClassList.Problem(Classes) is { } problem ? problem
        : (long)Inputs * Classes.Count > 2L * MostInputs ? $"{Inputs} features a frame for {Classes.Count} classes"
        : double.IsNaN(Threshold) && ClassList.IsViolence ? "no threshold"
        : Loss is not null && (Loss.ClassWeights.Count != Classes.Count || Loss.Alpha.Count != Classes.Count) ? "a loss of other classes"
        : Drift?.Problem(Classes.Count);
}

/// <summary>
/// Where a run stands, besides its tensors: enough to continue it bit for bit. Shuffling and dropout follow from seed, epoch and step and
/// need no state of their own.
/// What each step changes is changed in place; <c>with</c> makes a copy of its own.
/// </summary>
internal sealed record TrainingState
{
    /// <summary>Epochs finished.</summary>
    public int Epoch { get; init; }

    /// <summary>Steps done of the epoch that follows.</summary>
    public int StepInEpoch { get; set; }

    public double EpochLossSum { get; set; }

    public double EpochNormSum { get; set; }

    public int EpochCorrect { get; set; }

    public int EpochSeen { get; set; }

    public int EpochSkipped { get; set; }

    public double EpochSeconds { get; init; }

    public double EpochStallSeconds { get; init; }

    public float LossScale { get; set; } = 1;

    public int AdamSteps { get; set; }

    public int GoodSteps { get; set; }

    public int SkippedSteps { get; set; }

    public int ConsecutiveSkips { get; set; }

    /// <summary>Multiplies the schedule's learning rate; halved when losses keep being non-finite.</summary>
    public double LearningRateFactor { get; init; } = 1;

    public double BestValue { get; init; } = double.NaN;

    public int BestEpoch { get; init; }

    public int EpochsWithoutImprovement { get; init; }

    public bool StoppedEarly { get; init; }

    public IReadOnlyList<EpochRecord> History { get; init; } = [];

    /// <summary>The options and data that a resumed run must share, by name.</summary>
    public IReadOnlyDictionary<string, string> Fingerprint { get; init; } = new Dictionary<string, string>();

    internal StepState ToStepState() => new()
    {
        LossScale = LossScale,
        AdamSteps = AdamSteps,
        GoodSteps = GoodSteps,
        SkippedSteps = SkippedSteps,
        ConsecutiveSkips = ConsecutiveSkips,
    };

    /// <summary>A copy with the device's counters.</summary>
    internal TrainingState With(in StepState step)
    {
        TrainingState copy = this with { };
        copy.Take(step);
        return copy;
    }

    /// <summary>Counts a step of <paramref name="clips"/> clips in.</summary>
    /// <param name="after">The device's counters behind it.</param>
    internal void Add(in StepOutcome outcome, int clips, in StepState after)
    {
        StepInEpoch++;
        EpochCorrect += outcome.Correct;
        if (double.IsFinite(outcome.Loss))
        {
            EpochLossSum += outcome.Loss * clips;
            EpochSeen += clips;
        }

        if (outcome.Skipped)
        {
            EpochSkipped++;
        }
        else
        {
            EpochNormSum += outcome.GradientNorm;
        }

        Take(after);
    }

    private void Take(in StepState step)
    {
        LossScale = step.LossScale;
        AdamSteps = step.AdamSteps;
        GoodSteps = step.GoodSteps;
        SkippedSteps = step.SkippedSteps;
        ConsecutiveSkips = step.ConsecutiveSkips;
    }
}

/// <summary>JSON of everything a run writes: snake_case names, non-finite numbers as "NaN" and the like.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    WriteIndented = true)]
[JsonSerializable(typeof(ModelInfo))]
[JsonSerializable(typeof(TrainingState))]
[JsonSerializable(typeof(TrainingOptions))]
[JsonSerializable(typeof(TrainingResult))]
[JsonSerializable(typeof(ClassificationMetrics))]
[JsonSerializable(typeof(Ensemble))]
[JsonSerializable(typeof(Dictionary<string, ClassificationMetrics>))]
internal sealed partial class RunJson : JsonSerializerContext;

internal static class ThisAssembly
{
    public static string Version { get; } = typeof(ThisAssembly).Assembly.GetName().Version?.ToString(3) ?? "0";
}
