using System.Globalization;
using CudaTrainer.Cli.CommandLine;
using CudaTrainer.Cli.Presentation;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Cli.Commands;

internal sealed record CvOptions
{
    [Settings]
    public StudyOptions Study { get; init; } = new() { Output = "./cv" };

    [Setting(SettingGroup.Output, "Also fit the linear model to all clips and write it, with what the cross-validation says of it",
        Placeholder = "FILE", Kind = ".safetensors file")]
    public string? ModelOutput { get; init; }

    [Setting(SettingGroup.Output, "Replace the file of {ModelOutput}")]
    public bool Overwrite { get; init; }

    [Setting(SettingGroup.Output, "One JSON object on standard output, as cv_results.json has it")]
    public bool Json { get; init; }
}

/// <summary>How good a recipe is on clips of sources that it has not seen.</summary>
internal sealed class CvCommand : CliCommand<CvOptions>
{
    public override string Name => "cv";

    public override string Summary => "Cross-validates a recipe: every clip is judged by models that have not seen its source.";

    public override IReadOnlyList<string> Usages => ["--dataset-path DIR [options]", "--features-dir DIR [options]"];

    public override IReadOnlyList<string> Notes =>
    [
        "Several --dataset-path are several data sets, reported together and each by itself; with --leave-one-dataset-out each is " +
            "judged by models that have seen the others alone.",
        "Splits of the dataset do not count. Epoch, threshold and calibration are chosen inside the training part of each fold. The " +
            "same command goes on after a stop.",
        "Intervals: 2,000 bootstrap draws of whole sources. Writes cv_results.json and predictions.csv.",
    ];

    public override bool TakesConfig => true;

    protected override IEnumerable<OptionProblem> Validate(CvOptions options) => options.Study.Validate();

    protected override int Run(CvOptions options, IReadOnlyList<string> arguments, Terminal terminal) =>
        RunHost.Run(terminal, (observer, stop) =>
        {
            RunHost.ShowWritten(terminal, observer,
                () => CrossValidation.Execute(options.Study, observer, stop, options.ModelOutput, options.Overwrite), options.Json,
                result => Write(result, terminal), options.Study.Output);
            return ExitCode.Ok;
        });

    private static void Write(CrossValidationResult result, Terminal terminal)
    {
        bool byDataset = result.Folds.Any(fold => fold.Dataset is not null);
        TextTable folds = new([">seed", byDataset ? "left out" : ">fold", ">train", ">val", ">test", ">balanced", ">AUC", ">threshold",
            ">best epoch"]);
        foreach (FoldSummary fold in result.Folds)
        {
            folds.Row(
                Whole(fold.Seed), fold.Dataset ?? Whole(fold.Fold), Whole(fold.TrainClips), Whole(fold.ValClips), Whole(fold.TestClips),
                MetricText.Percent(fold.BalancedAccuracy), Number(fold.Auc), MetricText.Fraction(fold.Threshold),
                Classifiers.IsFitted(result.Model) ? "–" : $"{fold.BestEpoch} of {fold.Epochs}");
        }

        folds.Write(terminal.Results);
        terminal.Output.WriteLine();
        StudyMetrics metrics = result.Metrics;
        (string Name, StudyMetrics? Metrics)[] columns =
            [(result.Model, metrics), ("mean of the seeds' answers", result.MeanOfSeeds), ("linear model", result.Linear)];
        columns = [.. columns.Where(column => column.Metrics is not null)];
        TextTable table = new(["all folds", .. columns.SelectMany(column => new[] { $">{column.Name}", ">95% interval" })]);
        (string Name, Func<StudyMetrics, Estimate> Of, Func<double, string> Format)[] ofClasses = metrics.Recalls is { } recalls
            ?
            [
                .. recalls.Keys.Select(name => (
                    $"{name} called right", (Func<StudyMetrics, Estimate>)(all => all.Recalls![name]),
                    (Func<double, string>)MetricText.Percent)),
                ("macro precision", all => all.Precision, MetricText.Percent), ("macro F1", all => all.MacroF1!, MetricText.Percent),
                ("macro ROC-AUC, one against the rest", all => all.Auc, Number),
            ]
            :
            [
                ("nonviolent called right", all => all.Class0Accuracy, MetricText.Percent),
                ("violent called right", all => all.Class1Accuracy, MetricText.Percent),
                ("precision (violent)", all => all.Precision, MetricText.Percent), ("ROC-AUC", all => all.Auc, Number),
            ];
        (string Name, Func<StudyMetrics, Estimate> Of, Func<double, string> Format)[] rows =
        [
            ("balanced accuracy", all => all.BalancedAccuracy, MetricText.Percent), ("accuracy", all => all.Accuracy, MetricText.Percent),
            .. ofClasses,
            ("Brier score", all => all.Brier, Number),
        ];
        foreach ((string name, Func<StudyMetrics, Estimate> of, Func<double, string> format) in rows)
        {
            Cell[] cells = [name,
                .. columns.Select(column => of(column.Metrics!))
                .SelectMany(estimate => new Cell[] { format(estimate.Value), Range(estimate, format) })];
            table.Row(cells);
        }

        table.Write(terminal.Results);
        terminal.Output.WriteLine();
        if (result.Datasets is { } datasets)
        {
            TextTable each = new("data set", ">balanced accuracy", ">95% interval", ">accuracy", ">ROC-AUC", ">95% interval");
            foreach ((string name, StudyMetrics its) in datasets)
            {
                each.Row(
                    name, MetricText.Percent(its.BalancedAccuracy.Value), Range(its.BalancedAccuracy, MetricText.Percent),
                    MetricText.Percent(its.Accuracy.Value), Number(its.Auc.Value), Range(its.Auc, Number));
            }

            each.Write(terminal.Results);
            terminal.Output.WriteLine();
        }

        if (result.GainOverLinear is { } gain)
        {
            string surely = gain.Interval.Low > 0 ? "." : ": it does not surely beat it.";
            string range = string.Create(CultureInfo.InvariantCulture,
                $"{100 * gain.Interval.Low:+0.0;-0.0} to {100 * gain.Interval.High:+0.0;-0.0}");
            string points = string.Create(CultureInfo.InvariantCulture,
                $"{Math.Abs(100 * gain.Value):0.0} points {(gain.Value < 0 ? "behind" : "ahead of")}");
            terminal.Output.WriteLine($"{result.Model} is {points} the linear model in balanced accuracy (95% interval {range}){surely}");
        }
    }

    private static string Range(Estimate estimate, Func<double, string> format) =>
        $"{format(estimate.Interval.Low)} to {format(estimate.Interval.High)}";

    private static string Whole(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Number(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
