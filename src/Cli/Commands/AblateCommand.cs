using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Commands;

internal sealed record AblateOptions
{
    [Settings(Except = SettingRole.Ablated)]
    public StudyOptions Study { get; init; } = new() { Output = "./ablation" };

    [Setting(SettingGroup.Data, "Also the rows with everything but one")]
    public bool LeaveOneOut { get; init; } = true;

    [Setting(SettingGroup.Output, "One JSON object on standard output, as ablation.json has it")]
    public bool Json { get; init; }
}

/// <summary>What each optimisation is worth on somebody's own clips.</summary>
internal sealed class AblateCommand : CliCommand<AblateOptions>
{
    public override string Name => "ablate";

    public override string Summary =>
        "Measures what each optimisation is worth: the same cross-validation without any, with one more each time, and without each.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]", "--features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Rows: baseline, + multi-GPU, + FP16, + XLA, + focal loss, + class weights, + label smoothing, + warm-up and cosine, then " +
            "everything but one. What this machine cannot run is said instead of a number.",
        "Gains are in balanced accuracy over the row before, with paired intervals. Writes ablation.json, ablation.csv, ablation.md " +
            "and the page ablation.html; the same command goes on after a stop.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(AblateOptions options) => options.Study.Validate();

    protected override int Run(AblateOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            RunHost.ShowWritten(terminal, observer,
                () => Ablation.Execute(options.Study, options.LeaveOneOut, observer, stop), options.Json,
                result => Write(result, terminal), options.Study.Output);
            return ExitCode.Ok;
        });

    private static void Write(AblationResult result, Terminal terminal)
    {
        TextTable table = new(["", ">balanced", ">95% interval", ">gain", ">95% interval",
            .. result.Classes is null ? [">nonviolent", ">violent"] : new[] { ">macro F1" }, ">AUC", ">s/epoch"]);
        foreach (AblationRow row in result.Rows)
        {
            if (row.Metrics is not { } metrics)
            {
                table.Row([row.Name, "–", .. Enumerable.Repeat<Cell>("", result.Classes is null ? 7 : 6)]);
                continue;
            }

            table.Row(
            [
                row.Name,
                MetricText.Percent(metrics.BalancedAccuracy.Value),
                $"{MetricText.Percent(metrics.BalancedAccuracy.Interval.Low)} to " +
                    $"{MetricText.Percent(metrics.BalancedAccuracy.Interval.High)}",
                row.Gain is { } gain ? Points(gain.Value) : "",
                row.Gain is { } range ? $"{Points(range.Interval.Low)} to {Points(range.Interval.High)}" : "",
                .. metrics.MacroF1 is { } macro
                    ? new Cell[] { MetricText.Percent(macro.Value) }
                    : [MetricText.Percent(metrics.Class0Accuracy.Value), MetricText.Percent(metrics.Class1Accuracy.Value)],
                metrics.Auc.Value.ToString("0.000", CultureInfo.InvariantCulture),
                row.SecondsPerEpoch.ToString("0.000", CultureInfo.InvariantCulture),
            ]);
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        foreach (AblationRow row in result.Rows.Where(row => row.Missing is not null))
        {
            terminal.Output.WriteLine($"{row.Name}: not run: {row.Missing}");
        }
    }

    private static string Points(double value) => (100 * value).ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);
}
