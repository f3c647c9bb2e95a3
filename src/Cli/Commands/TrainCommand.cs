using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Fitting;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Commands;

internal sealed record TrainOptions
{
    [Settings]
    public TrainingOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "The results as one JSON object on standard output, as training_results.json has them")]
    public bool Json { get; init; }
}

/// <summary>From videos, or features, to a tested classifier.</summary>
internal sealed class TrainCommand : CliCommand<TrainOptions>
{
    public override string Name => "train";

    public override string Summary => "Trains a classifier on a folder of videos, or on features extracted before, and tests it.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]", "--features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Class folders, in any case: violent, violence, fight or fights; nonviolent, non-violent, nonviolence, nofight, nonfight, " +
            "no_fight or normal.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(TrainOptions options) => OptionValidation.Validate(options.Run);

    protected override int Run(TrainOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            if (options.Run.DryRun)
            {
                var plan = TrainingPlan.Make(options.Run, observer, stop);
                observer.CloseLine();
                Write(plan, options.Json, terminal);
                return ExitCode.Ok;
            }

            TrainingResult result = RunHost.Show(terminal, observer, () => TrainingRun.Execute(options.Run, observer, stop), found =>
            {
                if (found.Rank == 0)
                {
                    Write(found, options, terminal);
                }
            });
            return result.Outcome == RunOutcome.Interrupted ? ExitCode.Interrupted : ExitCode.Ok;
        });

    private static void Write(TrainingPlan plan, bool json, Terminal terminal)
    {
        if (json)
        {
            terminal.WriteJson(plan);
            return;
        }

        ModelTable.Write(terminal, plan.Model);
        terminal.Output.WriteLine();
        terminal.Output.WriteLine(plan.StepsPerEpoch == 0
            ? "a solver finds the weights at once; nothing was written"
            : $"{plan.StepsPerEpoch} steps an epoch, {plan.Options.Epochs} epochs at most, batch {plan.Options.BatchSize}; " +
                "nothing was written");
    }

    private static void Write(TrainingResult result, TrainOptions options, Terminal terminal)
    {
        int rehearsal = options.Run.FastDevRun;
        if (result.Outcome == RunOutcome.Interrupted)
        {
            terminal.WriteLog(rehearsal > 0 ? "stopped" : $"state saved in {result.CheckpointDir}; go on with the same command and --resume auto");
        }

        if (options.Json)
        {
            terminal.WriteJson(result);
        }
        else if (result.Outcome == RunOutcome.Completed && rehearsal > 0)
        {
            terminal.Output.WriteLine($"{rehearsal} batches of train and of val went through; no checkpoint, log or result was written");
        }
        else if (result.Outcome == RunOutcome.Completed)
        {
            TrainingReport.Write(terminal, result);
        }
    }
}
