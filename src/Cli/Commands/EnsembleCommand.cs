using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Options;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Training;
using CudaTrainer.Training.Ensembles;

namespace CudaTrainer.Cli.Commands;

internal sealed record EnsembleCommandOptions
{
    public EnsembleOptions Run { get; init; } = new();

    public bool Json { get; init; }
}

/// <summary>Several trained models as one.</summary>
internal sealed class EnsembleCommand : CliCommand<EnsembleCommandOptions>
{
    /// <summary>Options of features that the trained models decide, or that make no sense here.</summary>
    private static readonly string[] FromTheModels = ["--frames", "--views", "--preprocess", "--distributed"];

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

    protected override OptionTable<EnsembleCommandOptions> CreateTable() =>
        new OptionTable<EnsembleCommandOptions>(new EnsembleCommandOptions())
        .Include(FeatureOptionTable.Create(), o => o.Run.Features, (o, v) => o with { Run = o.Run with { Features = v } }, FromTheModels)
        .Add(
            "--features-dir", OptionGroup.Data, ValueTypes.OptionalText("DIR", "folder"),
            o => o.Run.FeaturesDir, (o, v) => o with { Run = o.Run with { FeaturesDir = v } },
            "{split}_features.npy and {split}_labels.npy instead of videos")
        .Add(
            "--strategy", OptionGroup.Model, ValueTypes.Choice<StrategyChoice>(),
            o => o.Run.Strategy, (o, v) => o with { Run = o.Run with { Strategy = v } },
            "Mean of the probabilities, mean with fitted weights, or share of the members that call a clip violent; auto takes the " +
                "best on val")
        .Add(
            "--output", OptionGroup.Output, ValueTypes.Text("FILE", ".json file"),
            o => o.Run.Output, (o, v) => o with { Run = o.Run with { Output = v } },
            "The ensemble to write")
        .Add(
            "--json", OptionGroup.Output, ValueTypes.Switch,
            o => o.Json, (o, v) => o with { Json = v },
            "One JSON object on standard output, as the file has it");

    protected override IEnumerable<OptionProblem> Validate(EnsembleCommandOptions options, IReadOnlyList<string> arguments)
    {
        if (arguments.Count < 2)
        {
            yield return new("RUN", "name at least two: checkpoint folders or model files");
        }

        bool hasFeatures = options.Run.FeaturesDir is not null;
        foreach (var problem in OptionValidation.Validate(options.Run.Features))
        {
            if (problem.Option != "--dataset-path" || !hasFeatures)
            {
                yield return problem;
            }
        }

        if (hasFeatures && options.Run.Features.DatasetPath is not null)
        {
            yield return new("--dataset-path", "give either --dataset-path or --features-dir, not both");
        }

        if (!Ensemble.IsAt(options.Run.Output))
        {
            yield return new("--output", $"\"{options.Run.Output}\" does not end in .json");
        }
    }

    protected override int Run(EnsembleCommandOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            var ensemble = EnsembleRun.Execute(options.Run with { Members = arguments }, observer, stop);
            observer.CloseLine();
            if (options.Json)
            {
                terminal.WriteJson(ensemble);
            }
            else
            {
                Write(ensemble, options.Run.Output, terminal);
            }

            return ExitCode.Ok;
        });

    private static void Write(Ensemble ensemble, string file, Terminal terminal)
    {
        TextTable table = new("on val", ">weight", ">NLL", ">balanced", ">ROC-AUC", ">threshold");
        foreach (EnsembleMember member in ensemble.Members)
        {
            Row(member.File, member.Weight.ToString("0.000", CultureInfo.InvariantCulture), member.Val);
        }

        foreach (var (strategy, metrics) in ensemble.Strategies)
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
        terminal.Output.WriteLine($"written to {file}");

        void Row(string name, string weight, ClassificationMetrics metrics) => table.Row(
            name, weight, MetricText.Loss(metrics.Loss), MetricText.Percent(metrics.BalancedAccuracy), MetricText.Fraction(metrics.Auc),
                MetricText.Fraction(metrics.Threshold));
    }
}
