using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record ExtractOptions
{
    [Settings]
    public FeatureOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "What was extracted, as one JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>Videos to features in the cache, ahead of training.</summary>
internal sealed class ExtractCommand : CliCommand<ExtractOptions>
{
    public override string Name => "extract";

    public override string Summary => "Turns videos into features in the cache; train does the same when it needs to.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Writes {split}_features.npy, {split}_labels.npy and {split}_videos.csv. Only what is new or changed is extracted; an " +
            "interrupted extraction continues where it stopped.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(ExtractOptions options) => OptionValidation.Validate(options.Run);

    protected override int Run(ExtractOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            observer.ShowsDataset = false;
            ExtractionResult result = ExtractionRun.Execute(options.Run, observer, stop);
            observer.CloseLine();
            bool interrupted = result.Outcome == RunOutcome.Interrupted;
            if (interrupted)
            {
                terminal.WriteLog("what was extracted is kept; go on with the same command");
            }

            if (result.Rank == 0 && options.Json)
            {
                terminal.WriteJson(result);
            }
            else if (result.Rank == 0 && !interrupted)
            {
                ExtractionReport.Write(terminal, result);
            }

            return interrupted ? ExitCode.Interrupted : ExitCode.Ok;
        });
}
