using System.Globalization;
using System.Text;
using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Studies;

/// <summary>An ablation as text.</summary>
internal static class AblationTable
{
    private static readonly (string Name, Func<StudyMetrics, Estimate> Of)[] Metrics =
    [
        ("accuracy", metrics => metrics.Accuracy), ("balanced_accuracy", metrics => metrics.BalancedAccuracy),
        ("class_0_accuracy", metrics => metrics.Class0Accuracy),
        ("class_1_accuracy", metrics => metrics.Class1Accuracy), ("precision", metrics => metrics.Precision),
        ("recall", metrics => metrics.Class1Accuracy), ("auc", metrics => metrics.Auc),
        ("brier", metrics => metrics.Brier),
    ];

    /// <summary>
    /// One line a row; a metric has three columns: the value and the ends of its interval. Empty where a row was not run.
    /// </summary>
    public static string Csv(AblationResult result)
    {
        var text = new StringBuilder("row,not_run_because");
        (string Name, Func<StudyMetrics, Estimate> Of)[] columns = Columns(result);
        foreach ((string name, _) in columns)
        {
            text.Append(',').AppendJoin(',', new[] { name, $"{name}_low", $"{name}_high" }.Select(CsvFile.Quote));
        }

        text.Append(",gain,gain_low,gain_high,seconds_per_epoch,seconds_to_best,peak_bytes,stall_fraction\n");
        foreach (AblationRow row in result.Rows)
        {
            text.Append(row.Name).Append(',').Append(row.Missing is null ? "" : $"\"{row.Missing}\"");
            foreach ((_, Func<StudyMetrics, Estimate> of) in columns)
            {
                Append(row.Metrics is null ? null : of(row.Metrics));
            }

            Append(row.Gain);
            text.Append(row.Metrics is null ? ",,,," : string.Create(CultureInfo.InvariantCulture,
                $",{row.SecondsPerEpoch:R},{row.SecondsToBest:R},{row.PeakBytes},{row.StallFraction:R}")).Append('\n');
        }

        return text.ToString();

        void Append(Estimate? estimate) =>
            text.Append(estimate is null ? ",,," : string.Create(CultureInfo.InvariantCulture,
                $",{estimate.Value:R},{estimate.Interval.Low:R},{estimate.Interval.High:R}"));
    }

    /// <summary>
    /// Of classes other than the known pair the recall is the mean over them, and macro F1 and the recall of each follow.
    /// </summary>
    private static (string Name, Func<StudyMetrics, Estimate> Of)[] Columns(AblationResult result) => result.Classes is not { } classes
        ? Metrics
        :
        [
            .. Metrics.Select(column => column.Name == "recall" ? (column.Name, metrics => metrics.BalancedAccuracy) : column),
            ("macro_f1", metrics => metrics.MacroF1!),
            .. classes.Select(name => ($"recall_{name}", (Func<StudyMetrics, Estimate>)(metrics => metrics.Recalls![name]))),
        ];

    public static string Markdown(AblationResult result)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{result.Clips} clips from {result.Sources} sources; {result.Folds} source-disjoint folds × {result.Seeds} seeds; " +
                $"{result.Device}")
            .Append(result.Jobs > 1 ? string.Create(CultureInfo.InvariantCulture,
                $"; {result.Jobs} trainings at a time, times from one that ran alone") : "")
            .Append(".\nPercentages with 95 % intervals (bootstrap over sources). Gain: balanced accuracy in points over the row before, for \"all but\" rows over all together, paired.\n\n")
            .Append(CultureInfo.InvariantCulture,
                $"| | balanced accuracy | gain | accuracy | {string.Join(" | ", result.OfClasses.Select(column => column.Name))} | AUC | ")
            .Append("s/epoch | s to best | MiB | stall |\n|---|")
            .Append(string.Concat(Enumerable.Repeat("---:|", result.OfClasses.Count + 8))).Append('\n');
        foreach (AblationRow row in result.Rows)
        {
            if (row.Metrics is not { } metrics)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {row.Name} | not run: {row.Missing} |")
                    .Append(string.Concat(Enumerable.Repeat(" |", result.OfClasses.Count + 7))).Append('\n');
                continue;
            }

            text.Append(CultureInfo.InvariantCulture,
                $"| {row.Name} | {Percent(metrics.BalancedAccuracy)} | {Points(row.Gain)} | {Percent(metrics.Accuracy)} | " +
                    $"{string.Join(" | ", result.OfClasses.Select(column => Percent(column.Of(metrics))))} | ")
                .Append(CultureInfo.InvariantCulture, $"{Plain(metrics.Auc)} | " +
                        $"{row.SecondsPerEpoch:0.000} | {row.SecondsToBest:0.0} | ")
                .Append(CultureInfo.InvariantCulture, $"{row.PeakBytes / 1048576.0:0} | {100 * row.StallFraction:0.0} % |\n");
        }

        return text.ToString();
    }

    private static string Percent(Estimate estimate) =>
        string.Create(CultureInfo.InvariantCulture,
            $"{100 * estimate.Value:0.0} ({100 * estimate.Interval.Low:0.0}–{100 * estimate.Interval.High:0.0})");

    private static string Plain(Estimate estimate) => string.Create(CultureInfo.InvariantCulture,
        $"{estimate.Value:0.000} ({estimate.Interval.Low:0.000}–{estimate.Interval.High:0.000})");

    private static string Points(Estimate? gain) =>
        gain is null ? "" : string.Create(CultureInfo.InvariantCulture,
            $"{100 * gain.Value:+0.0;−0.0;0.0} ({100 * gain.Interval.Low:+0.0;−0.0;0.0} to {100 * gain.Interval.High:+0.0;−0.0;0.0})");
}
