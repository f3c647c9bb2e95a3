using System.Globalization;
using CudaTrainer.Data.Dataset;
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

    /// <summary>The same for classes other than the known pair; those of each class stand in a table of their own.</summary>
    private static readonly (string Title, Func<ClassificationMetrics, string> Value)[] RowsOfClasses =
    [
        .. Rows[..4],
        ("among the two likeliest", metrics => MetricText.Percent(metrics.Top2Accuracy ?? double.NaN)),
        ("macro precision", metrics => MetricText.Percent(metrics.Precision)),
        ("macro F1", metrics => With(metrics.F1, metrics.Intervals?.F1, MetricText.Percent)),
        ("macro ROC-AUC, one against the rest", metrics => With(metrics.Auc, metrics.Intervals?.Auc, MetricText.Fraction)),
        ("macro PR-AUC", metrics => MetricText.Fraction(metrics.PrAuc)),
        ("loss", metrics => MetricText.Loss(metrics.Loss)),
    ];

    public static void Write(IAnsiConsole console, IReadOnlyList<KeyValuePair<string, ClassificationMetrics>> splits)
    {
        TextTable table = new(["", .. splits.Select(split => ">" + split.Key)]);
        bool ofPair = splits.All(split => split.Value.Classes is null);
        foreach ((string title, Func<ClassificationMetrics, string> value) in ofPair ? Rows : RowsOfClasses)
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
        WriteClasses(console, splits);
        IReadOnlyList<string> names = splits.Select(split => split.Value.Classes).FirstOrDefault() ?? ClassList.Violence.Names;
        bool hasNothing = splits.Any(split => split.Value.CalledNothing is not null);
        TextTable confusion = new(
            ["confusion", .. names.Select(name => $">called {name}"), .. hasNothing ? [">called nothing"] : Array.Empty<string>()]);
        foreach ((string name, ClassificationMetrics metrics) in splits)
        {
            for (int label = 0; label < names.Count; label++)
            {
                confusion.Row(
                [
                    $"{name}: {names[label]} clips", .. metrics.ConfusionMatrix[label].Select(count => new Cell(MetricText.Count(count))),
                    .. hasNothing ? new Cell[] { metrics.CalledNothing is { } nothing ? MetricText.Count(nothing[label]) : "-" } : [],
                ]);
            }
        }

        confusion.Write(console);
    }

    /// <summary>What each of several data sets comes to by itself; nothing where there is one alone.</summary>
    public static void WriteDatasets(IAnsiConsole console,
        IReadOnlyList<(string Dataset, string Split, ClassificationMetrics Metrics)> datasets)
    {
        if (datasets.Count == 0)
        {
            return;
        }

        TextTable table = new("data set", "split", ">clips", ">accuracy", ">balanced accuracy", ">ROC-AUC");
        foreach ((string dataset, string split, ClassificationMetrics metrics) in datasets)
        {
            table.Row(
                dataset, split, MetricText.Count(metrics.Count),
                With(metrics.Accuracy, metrics.Intervals?.Accuracy, MetricText.Percent),
                With(metrics.BalancedAccuracy, metrics.Intervals?.BalancedAccuracy, MetricText.Percent),
                With(metrics.Auc, metrics.Intervals?.Auc, MetricText.Fraction));
        }

        console.WriteLine();
        table.Write(console);
    }

    /// <summary>Each class against the rest, where the classes are others than the known pair.</summary>
    private static void WriteClasses(IAnsiConsole console, IReadOnlyList<KeyValuePair<string, ClassificationMetrics>> splits)
    {
        if (splits.All(split => split.Value.PerClass is null))
        {
            return;
        }

        TextTable table = new("class", ">clips", ">precision", ">recall", ">F1", ">ROC-AUC", ">PR-AUC");
        foreach ((string split, ClassificationMetrics metrics) in splits)
        {
            foreach (ClassMetrics one in metrics.PerClass ?? [])
            {
                table.Row(
                    $"{split}: {one.Name}", MetricText.Count(one.Count),
                    With(one.Precision, one.Intervals?.Precision, MetricText.Percent),
                    With(one.Recall, one.Intervals?.Recall, MetricText.Percent), With(one.F1, one.Intervals?.F1, MetricText.Percent),
                    With(one.Auc, one.Intervals?.Auc, MetricText.Fraction), MetricText.Fraction(one.PrAuc));
            }
        }

        table.Write(console);
        console.WriteLine();
    }

    private static string With(double value, Interval? interval, Func<double, string> format) =>
        interval is null || double.IsNaN(interval.Low)
            ? format(value)
            : $"{format(value)} [{format(interval.Low)}, {format(interval.High)}]";
}
