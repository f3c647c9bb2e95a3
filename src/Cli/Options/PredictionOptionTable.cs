using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Training;

namespace CudaTrainer.Cli.Options;

/// <summary>Which model answers for videos, and how: what the commands that predict have in common.</summary>
internal static class PredictionOptionTable
{
    private static readonly OptionRange Probability = OptionRange.Between(0, 1), Length = OptionRange.Above(0),
        Reach = OptionRange.AtLeast(0);

    /// <param name="defaults">Of the command; its window decides what the help of <c>--window</c> says.</param>
    public static OptionTable<PredictionOptions> Create(PredictionOptions defaults) => new OptionTable<PredictionOptions>(defaults)
        .Add(
            "--checkpoint", OptionGroup.Model,
            ValueTypes.Text("FILE|DIR", ".safetensors or .h5 file, checkpoint, ensemble or folder of a run"),
            o => o.Checkpoint, (o, v) => o with { Checkpoint = v },
            "The trained model, or a run's folder for its best one; it also says how frames are sampled and normalised")
        .Add(
            "--weights", OptionGroup.Model, ValueTypes.OptionalText("FILE", ".safetensors, .pth or Keras .h5 file"),
            o => o.Weights, (o, v) => o with { Weights = v },
            "VGG19 weights the model was trained with; not needed after training with a random backbone")
        .Add(
            "--threshold", OptionGroup.Model, ValueTypes.OptionalNumber,
            o => o.Threshold, (o, v) => o with { Threshold = v },
            "Probability from which a video is called violent",
            range: Probability.ToString(),
            defaultText: "chosen on val when training")
        .Add(
            "--window", OptionGroup.Data, ValueTypes.OptionalNumber,
            o => o.Window, (o, v) => o with { Window = v },
            $"Seconds of each window of a long video, best those of the clips in " +
                $"training{(defaults.Window is null ? "; without it each video gets one answer" : "")}",
            range: Length.ToString())
        .Add(
            "--stride", OptionGroup.Data, ValueTypes.OptionalNumber,
            o => o.Stride, (o, v) => o with { Stride = v },
            "Seconds from the start of one window to the start of the next, at most --window",
            range: Length.ToString(),
            defaultText: "half of --window")
        .Add(
            "--smooth", OptionGroup.Data, ValueTypes.Number,
            o => o.Smooth, (o, v) => o with { Smooth = v },
            "Seconds of the centred moving average over the windows' probabilities; 0 = none",
            range: Reach.ToString())
        .Add(
            "--release", OptionGroup.Model, ValueTypes.OptionalNumber,
            o => o.Release, (o, v) => o with { Release = v },
            "Probability below which an event ends, at most --threshold",
            range: Probability.ToString(),
            defaultText: "the threshold")
        .Add(
            "--device", OptionGroup.Precision, ValueTypes.Text("NAME", "device"),
            o => o.Device, (o, v) => o with { Device = v },
            "Where to compute",
            range: OptionValidation.DeviceForms)
        .Add(
            "--threads", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Threads, (o, v) => o with { Threads = v },
            "Compute threads, 0 = one per core")
        .Add(
            "--workers", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Workers, (o, v) => o with { Workers = v },
            "Threads that decode videos, 0 = one per core")
        .Add(
            "--decode-timeout", OptionGroup.Data, ValueTypes.Number,
            o => o.DecodeTimeout, (o, v) => o with { DecodeTimeout = v },
            "Seconds after which decoding one file is given up");

    /// <summary>What is wrong with the values of these options.</summary>
    public static IEnumerable<OptionProblem> Validate(PredictionOptions options)
    {
        if (options.Checkpoint.Length == 0)
        {
            yield return new("--checkpoint", "is required: the trained model");
        }

        (string Option, double? Value, OptionRange Range)[] numbers =
        [
            ("--threshold", options.Threshold, Probability),
            ("--release", options.Release, Probability),
            ("--window", options.Window, Length),
            ("--stride", options.Stride, Length),
            ("--smooth", options.Smooth, Reach),
        ];
        foreach (var (option, value, range) in numbers)
        {
            if (value is { } number && !range.Contains(number))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{number} is out of range; expected {range}"));
            }
        }

        if (options.Release > options.Threshold)
        {
            yield return new("--release", "is above --threshold; an event would end before it begins");
        }

        if (options.Stride > options.Window)
        {
            yield return new("--stride", "is above --window; parts of the video would be in no window");
        }

        FeatureOptions shared = new()
        {
            DatasetPath = ".",
            Device = options.Device,
            Threads = options.Threads,
            Workers = options.Workers,
            DecodeTimeout = options.DecodeTimeout,
        };
        foreach (var problem in OptionValidation.Validate(shared))
        {
            yield return problem;
        }
    }
}
