using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine.Training;

namespace CudaTrainer.Cli.Commands;

/// <summary>From videos, or features, to a tested classifier.</summary>
internal sealed class TrainCommand : CliCommand<TrainingOptions>
{
    public override string Name => "train";

    public override string Summary => "Trains a classifier on a folder of videos, or on features extracted before, and tests it.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]", "--features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Class folders, in any case: violent, violence, fight or fights; nonviolent, non-violent, nonviolence, nofight, nonfight, no_fight or normal.",
    ];

    public override bool TakesConfig => true;

    protected override OptionTable<TrainingOptions> CreateTable() => TrainingOptionTable.Create();

    protected override IEnumerable<OptionProblem> Validate(TrainingOptions options, IReadOnlyList<string> arguments) => OptionValidation.Validate(options);

    protected override int Run(TrainingOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            if (options.DryRun)
            {
                var plan = TrainingPlan.Make(options, observer, stop);
                observer.CloseLine();
                ModelTable.Write(terminal, plan.Model);
                terminal.Output.WriteLine();
                terminal.Output.WriteLine($"{plan.StepsPerEpoch} steps an epoch, {options.Epochs} epochs at most, batch {options.BatchSize}; nothing was written");
                return ExitCode.Ok;
            }

            var result = TrainingRun.Execute(options, observer, stop);
            observer.CloseLine();
            if (result.Outcome == RunOutcome.Interrupted)
            {
                if (result.Rank > 0)
                {
                    return ExitCode.Interrupted;
                }

                terminal.WriteLog(options.FastDevRun > 0 ? "stopped" : $"state saved in {result.CheckpointDir}; go on with the same command and --resume auto");
                return ExitCode.Interrupted;
            }

            if (result.Rank > 0)
            {
                return ExitCode.Ok;
            }

            if (options.FastDevRun > 0)
            {
                terminal.Output.WriteLine($"{options.FastDevRun} batches of train and of val went through; no checkpoint, log or result was written");
                return ExitCode.Ok;
            }

            TrainingReport.Write(terminal, result, options);
            return ExitCode.Ok;
        });
}
