using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training.Inference;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Cli.Commands;

internal sealed record EnsembleCommandOptions
{
    [Settings]
    public EnsembleOptions Run { get; init; } = new();

    [Setting(SettingGroup.Output, "One JSON object on standard output, as the file has it")]
    public bool Json { get; init; }
}

/// <summary>Several trained models as one.</summary>
internal sealed class EnsembleCommand : CliCommand<EnsembleCommandOptions>
{
    public override string Name => "ensemble";

    public override string Summary => "Makes one model of several: mean, weighted mean or vote, chosen on val.";

    public override IReadOnlyList<string> Usages => ["RUN RUN... --dataset-path DIR [options]", "RUN RUN... --features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "RUN is a checkpoint folder of train, for its best model, or a model file. All have to be trained on the same split of the " +
            "same features.",
        "Weights, threshold and strategy are chosen on val; the chosen strategy alone is measured on test. The file that is written " +
            "goes wherever --checkpoint asks for a model.",
    ];

    public override string? ArgumentPlaceholder => "RUN";

    public override bool TakesConfig => true;

    protected override string? ArgumentProblem(IReadOnlyList<string> arguments) =>
        arguments.Count < 2 ? "name at least two: checkpoint folders or model files" : null;

    protected override IEnumerable<OptionProblem> Validate(EnsembleCommandOptions options) => options.Run.Validate();

    protected override int Run(EnsembleCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            RunHost.ShowWritten(terminal, observer,
                () => EnsembleRun.Execute(options.Run with { Members = arguments }, observer, stop), options.Json,
                result => Write(result, terminal), options.Run.Output);
            return ExitCode.Ok;
        });

    private static void Write(Ensemble ensemble, Terminal terminal)
    {
        TextTable table = new("on val", ">weight", ">NLL", ">balanced", ">ROC-AUC", ">threshold");
        foreach (EnsembleMember member in ensemble.Members)
        {
            Row(member.File, member.Weight.ToString("0.000", CultureInfo.InvariantCulture), member.Val);
        }

        foreach ((string strategy, ClassificationMetrics metrics) in ensemble.Strategies)
        {
            Row(strategy.Equals(ensemble.Strategy.ToString(), StringComparison.OrdinalIgnoreCase) ? $"{strategy} (chosen)" : strategy, "",
                metrics);
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        List<KeyValuePair<string, ClassificationMetrics>> splits = [new("val", ensemble.Val)];
        if (ensemble.Test is { } test)
        {
            splits.Add(new("test", test));
        }

        MetricsReport.Write(terminal.Results, splits);
        terminal.Output.WriteLine();

        void Row(string name, string weight, ClassificationMetrics metrics) => table.Row(
            name, weight, MetricText.Loss(metrics.Loss), MetricText.Percent(metrics.BalancedAccuracy), MetricText.Fraction(metrics.Auc),
                MetricText.Fraction(metrics.Threshold));
    }
}
