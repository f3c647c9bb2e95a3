using System.Globalization;

namespace CudaTrainer.Training.Drift;

/// <summary>One of the things that are compared.</summary>
/// <param name="Name">In files.</param>
/// <param name="Noun">For people.</param>
/// <param name="Unit">What stands behind a number; null for nothing.</param>
/// <param name="Form">Of a number for people, as .NET writes it.</param>
/// <param name="Value">Of a window; NaN when unknown.</param>
internal sealed record DriftQuantity(string Name, string Noun, string? Unit, string Form, Func<DriftObservation, double> Value)
{
    public const string Motion = "motion", Distance = "distance";

    /// <summary>
    /// How far windows may lie beyond what 98 % of the training clips have, in distances from the clips' median to there: a place that is
    /// not among them has a light and sharpness of its own (docs/drift.md has what this and other margins come to).
    /// </summary>
    private const double Margin = 0.25;

    /// <summary>
    /// The least of that where training clips are all alike: a ratio of quantities with an offset, a difference of others.
    /// </summary>
    private const double LeastRatio = 1.1, LeastDifference = 0.01;

    /// <summary>What is said of windows that are lower than training clips; null where that is no fault.</summary>
    public string? WhenLow { get; init; }

    /// <summary>Likewise, higher.</summary>
    public string? WhenHigh { get; init; }

    /// <summary>
    /// What is added before the logarithm of quantities whose ratios count, about the smallest number that means anything; null for those
    /// whose differences do.
    /// </summary>
    public double? Offset { get; init; }

    /// <summary>With the unit.</summary>
    public string Title => Unit is null ? Noun : $"{Noun} ({Unit})";

    public static IReadOnlyList<DriftQuantity> All { get; } =
    [
        new("luminance", "mean luminance", "of 255", "0", window => window.Pictures?.Luminance ?? double.NaN)
        {
            WhenLow = "The picture is much darker than in the clips that the model learned from",
            WhenHigh = "The picture is much brighter than in the clips that the model learned from",
            Offset = 1,
        },
        new("contrast", "contrast", "grey levels", "0", window => window.Pictures?.Contrast ?? double.NaN)
        {
            WhenLow = "The picture has much less contrast than the clips that the model learned from, as in fog or through a dirty lens",
            WhenHigh = "The picture has much more contrast than the clips that the model learned from",
            Offset = 1,
        },
        new("sharpness", "sharpness", null, "0.000", window => window.Pictures?.Sharpness ?? double.NaN)
        {
            WhenLow = "The picture is more blurred than in the clips that the model learned from: out of focus, or of few pixels",
        },
        new("noise", "noise", "grey levels", "0.00", window => window.Pictures?.Noise ?? double.NaN)
        {
            WhenHigh = "The picture is much noisier than in the clips that the model learned from, even where nothing happens",
            Offset = 0.05,
        },
        new(Motion, "speed", "picture heights a second", "0.000", window => window.Speed ?? double.NaN)
        {
            // Of an empty place there is nothing wrong.
            WhenHigh = "Much more moves than in the clips that the model learned from, or the camera does",
            Offset = 0.01,
        },
        new("frame_rate", "frame rate", "frames a second", "0.#", window => window.FrameRate > 0 ? window.FrameRate : double.NaN)
        {
            WhenLow = "The video has fewer frames a second than the clips that the model learned from",
            WhenHigh = "The video has more frames a second than the clips that the model learned from",
            Offset = 0,
        },
        new("height", "height", "rows", "0", window => window.Height > 0 ? window.Height : double.NaN)
        {
            WhenLow = "The video has fewer pixels than the clips that the model learned from",
            Offset = 0,
        },
        new(Distance, "distance from the training clips", "limits", "0.00", window => window.Distance ?? double.NaN)
        {
            WhenHigh = "What moves and how is unlike anything in the clips that the model learned from: its answers are guesses",
        },
    ];

    /// <summary>For a sentence.</summary>
    public string Text(double value, QuantileSketch training)
    {
        string unit = Unit is null ? string.Empty : $" {Unit}";
        return $"{Noun} {Number(value)}{unit}, there {Number(training.Low)} to {Number(training.High)}";

        string Number(double number) => number.ToString(Form, CultureInfo.InvariantCulture);
    }

    /// <summary>From what value on windows are unlike the training clips.</summary>
    public (double Low, double High) Limits(QuantileSketch sketch)
    {
        double low = Scale(sketch.Low), median = Scale(sketch.Median), high = Scale(sketch.High),
            least = Offset is null ? LeastDifference : Math.Log(LeastRatio);
        return (Unscale(low - Math.Max(least, Margin * (median - low))), Unscale(high + Math.Max(least, Margin * (high - median))));
    }

    private double Scale(double value) => Offset is { } offset ? Math.Log(Math.Max(value, 0) + offset) : value;

    private double Unscale(double value) => Offset is { } offset ? Math.Exp(value) - offset : value;
}
