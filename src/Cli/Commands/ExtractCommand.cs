using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Commands;

/// <summary>Videos to features in the cache, ahead of training.</summary>
internal sealed class ExtractCommand : CliCommand<FeatureOptions>
{
    public override string Name => "extract";

    public override string Summary => "Turns videos into features in the cache; train does the same when it needs to.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Writes {split}_features.npy, {split}_labels.npy and {split}_videos.csv. Only what is new or changed is extracted; an interrupted extraction continues where it stopped.",
    ];

    public override bool TakesConfig => true;

    protected override OptionTable<FeatureOptions> CreateTable() => FeatureOptionTable.Create();

    protected override IEnumerable<OptionProblem> Validate(FeatureOptions options, IReadOnlyList<string> arguments) => OptionValidation.Validate(options);

    protected override int Run(FeatureOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            observer.ShowsDataset = false;
            var result = ExtractionRun.Execute(options, observer, stop);
            observer.CloseLine();
            if (result.Outcome == RunOutcome.Interrupted)
            {
                terminal.WriteLog("what was extracted is kept; go on with the same command");
                return ExitCode.Interrupted;
            }

            if (result.Rank > 0)
            {
                return ExitCode.Ok;
            }

            ExtractionReport.Write(terminal, result);
            return ExitCode.Ok;
        });
}
