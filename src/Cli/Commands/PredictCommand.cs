using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;
using CudaTrainer.Training.Extraction;

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
    private static readonly OptionRange Passes = OptionRange.Between(0, 10000), Seeds = OptionRange.AtLeast(0);

    public override string Name => "predict";

    public override string Summary => "Prints the probability of violence for each video, or when it happens in long ones.";

    public override IReadOnlyList<string> Usages =>
        ["FILE|DIR… --checkpoint FILE [options]", "FILE --checkpoint FILE --window SECONDS [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Folders are searched for videos; in names, * and ? stand for other letters and ** for any folders. A file that cannot be " +
            "read is listed with the reason; the exit code is 1 only if no file could be read, or with --strict.",
        "With --window, a video of any length is cut into windows that are sampled as clips were in training. An event begins where " +
            "the probability reaches the threshold and ends where it falls below --release.",
    ];

    public override string ArgumentPlaceholder => "FILE|DIR";

    public override bool TakesConfig => true;

    protected override OptionTable<PredictOptions> CreateTable() => new OptionTable<PredictOptions>(new PredictOptions())
        .Include(PredictionOptionTable.Create(new PredictionOptions()), o => o.Run, (o, v) => o with { Run = v })
        .Add(
            "--tta", OptionGroup.Model, ValueTypes.Switch,
            o => o.Run.Tta, (o, v) => o with { Run = o.Run with { Tta = v } },
            $"Test-time augmentation: the mean over {ClipView.ForPrediction} views of each video, at so many times the cost; not with " +
                $"--window")
        .Add(
            "--mc-dropout", OptionGroup.Model, ValueTypes.Integer,
            o => o.Run.McDropout, (o, v) => o with { Run = o.Run with { McDropout = v } },
            "Also answer so many times with dropout: mean, standard deviation and mutual information say how sure the model is; 0 = " +
                "none, not with --window",
            range: Passes.ToString())
        .Add(
            "--seed", OptionGroup.Model, ValueTypes.Integer,
            o => o.Run.Seed, (o, v) => o with { Run = o.Run with { Seed = v } },
            "Seed of the masks of --mc-dropout",
            range: Seeds.ToString())
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
        if (arguments.Count == 0)
        {
            yield return new("FILE|DIR", "name at least one video, or a folder of videos");
        }

        foreach (var problem in PredictionOptionTable.Validate(options.Run))
        {
            yield return problem;
        }

        if (options.Run.Window is null)
        {
            (string Option, bool IsGiven)[] ofWindows = [("--stride", options.Run.Stride is not null),
                ("--smooth", options.Run.Smooth > 0), ("--release", options.Run.Release is not null),
                ("--annotate", options.Run.Annotate is not null)];
            foreach (var (option, _) in ofWindows.Where(option => option.IsGiven))
            {
                yield return new(option, "needs --window");
            }
        }

        else
        {
            if (options.Run.Tta)
            {
                yield return new("--tta", "contradicts --window: views are of whole videos");
            }

            if (options.Run.McDropout > 0)
            {
                yield return new("--mc-dropout", "contradicts --window: it is for whole videos");
            }
        }

        foreach (var (option, value,
            range) in new[] { ("--mc-dropout", options.Run.McDropout, Passes), ("--seed", options.Run.Seed, Seeds) })
        {
            if (!range.Contains(value))
            {
                yield return new(option, $"{value} is out of range; expected {range}");
            }
        }

        if (options.Json && options.Csv)
        {
            yield return new("--json", "contradicts --csv; give one of them");
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

            bool none = predictions.All(prediction => prediction.Violent is null),
                some = predictions.Any(prediction => prediction.Error is not null);
            return none || (options.Strict && some) ? ExitCode.Failed : ExitCode.Ok;
        });
}
