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
    private static readonly OptionRange Threshold = OptionRange.Between(0, 1);

    public override string Name => "predict";

    public override string Summary => "Prints the probability of violence for each video.";

    public override IReadOnlyList<string> Usages => ["FILE|DIR… --checkpoint FILE [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Folders are searched for videos. A file that cannot be read is listed with the reason; the exit code is 1 only if no file could be read, or with --strict.",
    ];

    public override string ArgumentPlaceholder => "FILE|DIR";

    public override bool TakesConfig => true;

    protected override OptionTable<PredictOptions> CreateTable() => new OptionTable<PredictOptions>(new PredictOptions())
        .Add(
            "--checkpoint", OptionGroup.Model, ValueTypes.Text("FILE", ".safetensors file or checkpoint"),
            o => o.Run.Checkpoint, (o, v) => o with { Run = o.Run with { Checkpoint = v } },
            "The trained model; it also says how frames are sampled and normalised")
        .Add(
            "--weights", OptionGroup.Model, ValueTypes.OptionalText("FILE", ".safetensors or .pth file"),
            o => o.Run.Weights, (o, v) => o with { Run = o.Run with { Weights = v } },
            "VGG19 weights the model was trained with; not needed after training with a random backbone")
        .Add(
            "--threshold", OptionGroup.Model, ValueTypes.OptionalNumber,
            o => o.Run.Threshold, (o, v) => o with { Run = o.Run with { Threshold = v } },
            "Probability from which a video is called violent",
            range: Threshold.ToString(),
            defaultText: "chosen on val when training")
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
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "A JSON list on standard output, with the attention to each frame")
        .Add(
            "--csv", OptionGroup.Output, ValueTypes.Switch,
            o => o.Csv, (o, v) => o with { Csv = v },
            "CSV on standard output")
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

        if (options.Run.Threshold is { } threshold && !Threshold.Contains(threshold))
        {
            yield return new("--threshold", $"{threshold} is out of range; expected {Threshold}");
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
                PredictionReport.WriteCsv(terminal.Output, predictions);
            }
            else
            {
                PredictionReport.WriteTable(terminal, predictions);
            }

            int failed = predictions.Count(prediction => prediction.Violent is null);
            return failed == predictions.Count || (options.Strict && failed > 0) ? ExitCode.Failed : ExitCode.Ok;
        });
}
