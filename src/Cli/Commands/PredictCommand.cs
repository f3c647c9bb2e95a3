using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Commands;

internal sealed record PredictOptions
{
    public PredictionOptions Run { get; init; } = new();

    public bool Json { get; init; }

    public bool Csv { get; init; }

    public bool Strict { get; init; }
}

/// <summary>How violent each video is.</summary>
internal sealed class PredictCommand : CliCommand<PredictOptions>
{
    private static readonly OptionRange Probability = OptionRange.Between(0, 1), Length = OptionRange.Above(0), Reach = OptionRange.AtLeast(0);

    public override string Name => "predict";

    public override string Summary => "Prints the probability of violence for each video, or when it happens in long ones.";

    public override IReadOnlyList<string> Usages => ["FILE|DIR… --checkpoint FILE [options]", "FILE --checkpoint FILE --window SECONDS [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Folders are searched for videos; in names, * and ? stand for other letters and ** for any folders. A file that cannot be read is listed with the reason; the exit code is 1 only if no file could be read, or with --strict.",
        "With --window, a video of any length is cut into windows that are sampled as clips were in training. An event begins where the probability reaches the threshold and ends where it falls below --release.",
    ];

    public override string ArgumentPlaceholder => "FILE|DIR";

    public override bool TakesConfig => true;

    protected override OptionTable<PredictOptions> CreateTable() => new OptionTable<PredictOptions>(new PredictOptions())
        .Add(
            "--checkpoint", OptionGroup.Model, ValueTypes.Text("FILE", ".safetensors or .h5 file, or checkpoint"),
            o => o.Run.Checkpoint, (o, v) => o with { Run = o.Run with { Checkpoint = v } },
            "The trained model; it also says how frames are sampled and normalised")
        .Add(
            "--weights", OptionGroup.Model, ValueTypes.OptionalText("FILE", ".safetensors, .pth or Keras .h5 file"),
            o => o.Run.Weights, (o, v) => o with { Run = o.Run with { Weights = v } },
            "VGG19 weights the model was trained with; not needed after training with a random backbone")
        .Add(
            "--threshold", OptionGroup.Model, ValueTypes.OptionalNumber,
            o => o.Run.Threshold, (o, v) => o with { Run = o.Run with { Threshold = v } },
            "Probability from which a video is called violent",
            range: Probability.ToString(),
            defaultText: "chosen on val when training")
        .Add(
            "--window", OptionGroup.Data, ValueTypes.OptionalNumber,
            o => o.Run.Window, (o, v) => o with { Run = o.Run with { Window = v } },
            "Seconds of each window of a long video, best those of the clips in training; without it each video gets one answer",
            range: Length.ToString())
        .Add(
            "--stride", OptionGroup.Data, ValueTypes.OptionalNumber,
            o => o.Run.Stride, (o, v) => o with { Run = o.Run with { Stride = v } },
            "Seconds from the start of one window to the start of the next, at most --window",
            range: Length.ToString(),
            defaultText: "half of --window")
        .Add(
            "--smooth", OptionGroup.Data, ValueTypes.Number,
            o => o.Run.Smooth, (o, v) => o with { Run = o.Run with { Smooth = v } },
            "Seconds of the centred moving average over the windows' probabilities; 0 = none",
            range: Reach.ToString())
        .Add(
            "--release", OptionGroup.Model, ValueTypes.OptionalNumber,
            o => o.Run.Release, (o, v) => o with { Run = o.Run with { Release = v } },
            "Probability below which an event ends, at most --threshold",
            range: Probability.ToString(),
            defaultText: "the threshold")
        .Add(
            "--device", OptionGroup.Precision, ValueTypes.Text("NAME", "device"),
            o => o.Run.Device, (o, v) => o with { Run = o.Run with { Device = v } },
            "Where to compute",
            range: OptionValidation.DeviceForms)
        .Add(
            "--threads", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Run.Threads, (o, v) => o with { Run = o.Run with { Threads = v } },
            "Compute threads, 0 = one per core")
        .Add(
            "--workers", OptionGroup.Precision, ValueTypes.Integer,
            o => o.Run.Workers, (o, v) => o with { Run = o.Run with { Workers = v } },
            "Threads that decode videos, 0 = one per core")
        .Add(
            "--decode-timeout", OptionGroup.Data, ValueTypes.Number,
            o => o.Run.DecodeTimeout, (o, v) => o with { Run = o.Run with { DecodeTimeout = v } },
            "Seconds after which decoding one file is given up")
        .Add(
            "--annotate", OptionGroup.Output, ValueTypes.OptionalText("FILE", "video file"),
            o => o.Run.Annotate, (o, v) => o with { Run = o.Run with { Annotate = v } },
            "Write a copy of the one video, without sound, with the probability and the events drawn in; needs --window")
        .Add(
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "A JSON list on standard output, with the attention to each frame, or all windows and events")
        .Add(
            "--csv", OptionGroup.Output, ValueTypes.Switch,
            o => o.Csv, (o, v) => o with { Csv = v },
            "CSV on standard output; with --window one row per event")
        .Add(
            "--strict", OptionGroup.Output, ValueTypes.Switch,
            o => o.Strict, (o, v) => o with { Strict = v },
            "Exit with 1 if any file could not be read");

    protected override IEnumerable<OptionProblem> Validate(PredictOptions options, IReadOnlyList<string> arguments)
    {
        if (options.Run.Checkpoint.Length == 0)
        {
            yield return new("--checkpoint", "is required: the trained model");
        }

        if (arguments.Count == 0)
        {
            yield return new("FILE|DIR", "name at least one video, or a folder of videos");
        }

        (string Option, double? Value, OptionRange Range)[] numbers =
        [
            ("--threshold", options.Run.Threshold, Probability),
            ("--release", options.Run.Release, Probability),
            ("--window", options.Run.Window, Length),
            ("--stride", options.Run.Stride, Length),
            ("--smooth", options.Run.Smooth, Reach),
        ];
        foreach (var (option, value, range) in numbers)
        {
            if (value is { } number && !range.Contains(number))
            {
                yield return new(option, string.Create(CultureInfo.InvariantCulture, $"{number} is out of range; expected {range}"));
            }
        }

        if (options.Run.Release > options.Run.Threshold)
        {
            yield return new("--release", "is above --threshold; an event would end before it begins");
        }

        if (options.Run.Stride > options.Run.Window)
        {
            yield return new("--stride", "is above --window; parts of the video would be in no window");
        }

        if (options.Run.Window is null)
        {
            (string Option, bool IsGiven)[] ofWindows = [("--stride", options.Run.Stride is not null), ("--smooth", options.Run.Smooth > 0), ("--release", options.Run.Release is not null), ("--annotate", options.Run.Annotate is not null)];
            foreach (var (option, _) in ofWindows.Where(option => option.IsGiven))
            {
                yield return new(option, "needs --window");
            }
        }

        if (options.Json && options.Csv)
        {
            yield return new("--json", "contradicts --csv; give one of them");
        }

        FeatureOptions shared = new()
        {
            DatasetPath = ".",
            Device = options.Run.Device,
            Threads = options.Run.Threads,
            Workers = options.Run.Workers,
            DecodeTimeout = options.Run.DecodeTimeout,
        };
        foreach (var problem in OptionValidation.Validate(shared))
        {
            yield return problem;
        }
    }

    protected override int Run(PredictOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            var predictions = PredictionRun.Execute(options.Run with { Paths = arguments }, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(predictions);
            }
            else if (options.Csv)
            {
                PredictionReport.WriteCsv(terminal.Output, predictions, events: options.Run.Window is not null);
            }
            else
            {
                PredictionReport.WriteTable(terminal, predictions);
            }

            bool none = predictions.All(prediction => prediction.Violent is null), some = predictions.Any(prediction => prediction.Error is not null);
            return none || (options.Strict && some) ? ExitCode.Failed : ExitCode.Ok;
        });
}
