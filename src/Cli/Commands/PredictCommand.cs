using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record PredictOptions
{
    [Settings]
    public PredictionOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "A JSON list on standard output, with the attention to each frame, or all windows and events")]
    public bool Json { get; init; }

    [Setting(SettingGroup.Output, "CSV on standard output; with {Window} one row per event")]
    public bool Csv { get; init; }

    [Setting(SettingGroup.Output, "Exit with 1 if any file could not be read")]
    public bool Strict { get; init; }
}

/// <summary>How violent each video is.</summary>
internal sealed class PredictCommand : CliCommand<PredictOptions>
{
    public override string Name => "predict";

    public override string Summary => "Prints the probability of violence for each video, or when it happens in long ones.";

    public override IReadOnlyList<string> Usages =>
        ["FILE|DIR… [--checkpoint FILE] [options]", "FILE [--checkpoint FILE] --window SECONDS [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Folders are searched for videos; in names, * and ? stand for other letters and ** for any folders. A file that cannot be " +
            "read is listed with the reason; the exit code is 1 only if no file could be read, or with --strict.",
        "With --window, a video of any length is cut into windows that are sampled as clips were in training. An event begins where " +
            "the probability reaches the threshold and ends where it falls below --release.",
    ];

    public override string ArgumentPlaceholder => "FILE|DIR";

    public override bool TakesConfig => true;

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count == 0 ? "name at least one video, or a folder of videos" : null;

    protected override IEnumerable<OptionProblem> Validate(PredictOptions options)
    {
        foreach (OptionProblem problem in options.Run.Validate())
        {
            yield return problem;
        }

        if (options.Json && options.Csv)
        {
            yield return new(nameof(options.Json), "contradicts --csv; give one of them");
        }
    }

    protected override int Run(PredictOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            IReadOnlyList<Prediction> predictions = RunHost.Show(terminal, observer,
                () => PredictionRun.Execute(options.Run with { Paths = arguments }, observer, stop), found =>
            {
                if (options.Json)
                {
                    terminal.WriteJson(found);
                }
                else if (options.Csv)
                {
                    PredictionReport.WriteCsv(terminal.Output, found, events: options.Run.Windows.Window is not null);
                }
                else
                {
                    PredictionReport.WriteTable(terminal, found);
                }
            });
            bool none = predictions.All(prediction => !prediction.IsAnswered),
                some = predictions.Any(prediction => prediction.Error is not null);
            return none || (options.Strict && some) ? ExitCode.Failed : ExitCode.Ok;
        });
}
