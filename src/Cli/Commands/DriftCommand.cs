using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record DriftCommandOptions
{
    [Settings]
    public DriftOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "A JSON list on standard output, one report for each camera")]
    public bool Json { get; init; }

    [Setting(SettingGroup.Output, "Exit with 1 if there is any alarm, or a file could not be read")]
    public bool Strict { get; init; }
}

/// <summary>Whether a model still fits what cameras show.</summary>
internal sealed class DriftCommand : CliCommand<DriftCommandOptions>
{
    public override string Name => "drift";

    public override string Summary => "Says whether what cameras show is still like the clips a model learned from.";

    public override IReadOnlyList<string> Usages => ["FILE|DIR… [--checkpoint FILE] [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Each argument is one camera: a video, or a folder of its recordings, which follow each other by name. Light, contrast, " +
            "sharpness, noise, motion, frame rate, size and the distance from the training clips are compared with what the model says " +
            "of these (docs/drift.md), and how often it calls a class with what is usual.",
        "An alarm is no failure: the exit code is 1 only if no video could be read, or with --strict.",
    ];

    public override string ArgumentPlaceholder => "FILE|DIR";

    public override bool TakesConfig => true;

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count == 0 ? "name at least one video, or a folder of recordings" : null;

    protected override IEnumerable<OptionProblem> Validate(DriftCommandOptions options) =>
        options.Run.Prediction.Validate().Concat(OptionValidation.OfSettings(options.Run));

    protected override int Run(DriftCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            IReadOnlyList<DriftReport> reports = RunHost.Show(terminal, observer,
                () => DriftRun.Execute(options.Run, arguments, observer, stop), found =>
            {
                if (options.Json)
                {
                    terminal.WriteJson(found);
                }
                else
                {
                    DriftTable.Write(terminal, found);
                }
            });
            bool hasFindings = reports.Any(report => report.Alarms.Count > 0 || report.Unreadable.Count > 0);
            return reports.All(report => report.Videos == 0) || (options.Strict && hasFindings) ? ExitCode.Failed : ExitCode.Ok;
        });
}
