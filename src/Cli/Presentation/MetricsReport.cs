using System.Globalization;
using CudaTrainer.Training.Metrics;
using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Metrics of one or more splits side by side, with the majority baseline beside accuracy, then the confusion matrices.</summary>
internal static class MetricsReport
{
    private static readonly (string Title, Func<ClassificationMetrics, string> Value)[] Rows =
    [
        ("clips", metrics => MetricText.Count(metrics.Count)),
        ("accuracy", metrics => With(metrics.Accuracy, metrics.Intervals?.Accuracy, MetricText.Percent)),
        ("  always the larger class", metrics => MetricText.Percent(metrics.MajorityBaseline)),
        ("balanced accuracy", metrics => With(metrics.BalancedAccuracy, metrics.Intervals?.BalancedAccuracy, MetricText.Percent)),
        ("nonviolent called right", metrics => MetricText.Percent(metrics.Class0Accuracy)),
        ("violent called right (recall)", metrics => MetricText.Percent(metrics.Recall)),
        ("precision of violent", metrics => MetricText.Percent(metrics.Precision)),
        ("F1 of violent", metrics => With(metrics.F1, metrics.Intervals?.F1, MetricText.Percent)),
        ("ROC-AUC", metrics => With(metrics.Auc, metrics.Intervals?.Auc, MetricText.Fraction)),
        ("PR-AUC", metrics => MetricText.Fraction(metrics.PrAuc)),
        ("loss", metrics => MetricText.Loss(metrics.Loss)),
        ("threshold", metrics => MetricText.Fraction(metrics.Threshold)),
    ];

    public static void Write(IAnsiConsole console, IReadOnlyList<KeyValuePair<string, ClassificationMetrics>> splits)
    {
        TextTable table = new(["", .. splits.Select(split => ">" + split.Key)]);
        foreach ((string title, Func<ClassificationMetrics, string> value) in Rows)
        {
            table.Row([title, .. splits.Select(split => new Cell(value(split.Value)))]);
        }

        if (splits.Any(split => split.Value.UnfamiliarShare is not null))
        {
            table.Row(["unfamiliar clips",
                .. splits.Select(split => new Cell(MetricText.Percent(split.Value.UnfamiliarShare ?? double.NaN)))]);
        }

        table.Write(console);
        if (splits.Any(split => split.Value.Intervals is not null))
        {
            console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"In brackets: 95% confidence intervals by bootstrap ({Bootstrap.Resamples:N0} resamples of the clips within each " +
                    $"class)."));
        }

        console.WriteLine();
        TextTable confusion = new("confusion", ">called nonviolent", ">called violent");
        foreach ((string name, ClassificationMetrics metrics) in splits)
        {
            foreach ((string label, int[] counts) in new[] { "nonviolent", "violent" }.Zip(metrics.ConfusionMatrix))
            {
                confusion.Row($"{name}: {label} clips", MetricText.Count(counts[0]), MetricText.Count(counts[1]));
            }
        }

        confusion.Write(console);
    }

    private static string With(double value, Interval? interval, Func<double, string> format) =>
        interval is null || double.IsNaN(interval.Low)
            ? format(value)
            : $"{format(value)} [{format(interval.Low)}, {format(interval.High)}]";
}
