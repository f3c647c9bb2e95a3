using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Learning;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Cli.Commands;

internal sealed record EvaluateOptions
{
    [Settings]
    public EvaluationOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object on standard output")]
    public bool Json { get; init; }
}

/// <summary>Every metric of a trained model on a dataset or on features.</summary>
internal sealed class EvaluateCommand : CliCommand<EvaluateOptions>
{
    public override string Name => "evaluate";

    public override string Summary => "Measures a trained model on a dataset or on features, split by split, and counts its false alarms.";

    public override IReadOnlyList<string> Usages =>
    [
        "[--checkpoint FILE] --dataset-path DIR [options]", "[--checkpoint FILE] --features-dir DIR [options]",
        "--nonviolent-videos DIR [options]",
    ];

    public override IReadOnlyList<string> Notes =>
    [
        "Folders of other names than the model's classes are mapped onto them: --classes \"violent=brawl,robbery;nonviolent=walk\". " +
            "Several --dataset-path are measured together and each by itself; --all-clips puts the splits together.",
        "Frames are sampled and normalised as the model was trained; --weights must be those of its training. Every metric also goes " +
            "to evaluation_results.json.",
        "Accuracy, balanced accuracy, F1 and ROC-AUC have 95% confidence intervals: 2,000 resamples of the clips within each class, " +
            "with a fixed seed. They take clips as independent; where several come from one source, they are too narrow.",
        "--nonviolent-videos are long videos in which nothing violent happens. They are watched by windows, as predict --window does, " +
            "best with the --window of clips in training; what could be read of them counts as hours. The result also goes to " +
            "false_alarms.json; the exit code is 1 if none could be read.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(EvaluateOptions options) => options.Run.Validate();

    protected override int Run(EvaluateOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            EvaluationResult result = RunHost.Show(terminal, observer, () => EvaluationRun.Execute(options.Run, observer, stop), found =>
            {
                if (!options.Json)
                {
                    Write(options, found, terminal);
                    return;
                }

                Dictionary<string, object> all = found.Splits.ToDictionary(split => split.Key, split => (object)split.Value);
                if (found.FalseAlarms is not null)
                {
                    all["false_alarms"] = found.FalseAlarms;
                }

                terminal.WriteJson(all);
            });
            return result.FalseAlarms is { Videos: 0 } ? ExitCode.Failed : ExitCode.Ok;
        });

    private static void Write(EvaluateOptions options, EvaluationResult result, Terminal terminal)
    {
        if (result.Splits.Count > 0)
        {
            MetricsReport.Write(terminal.Results, [.. result.Splits.Where(split => Evaluations.Parts(split.Key).Dataset is null)]);
            MetricsReport.WriteDatasets(terminal.Results,
            [
                .. from split in result.Splits
                   let name = Evaluations.Parts(split.Key)
                   where name.Dataset is not null
                   orderby name.Dataset
                   select (name.Dataset, name.Split, split.Value),
            ]);
            terminal.Output.WriteLine();
        }

        if (options.Run.Tta)
        {
            terminal.Output.WriteLine(AugmentationText.Cost);
        }

        if (result.FalseAlarms is not null)
        {
            FalseAlarmReport.Write(terminal, result.FalseAlarms);
            terminal.Output.WriteLine();
        }

        foreach (string file in result.Files)
        {
            terminal.Output.WriteLine($"written to {file}");
        }
    }
}
