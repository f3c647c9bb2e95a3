using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>What the best checkpoint does on the clips it was not trained on.</summary>
internal static class ResultSections
{
    /// <summary>The name of the row that only says something among runs of one loss.</summary>
    public const string Loss = "loss";

    /// <summary>Rows of a table of metrics. Best says which direction is better: 1 up, −1 down, 0 neither.</summary>
    public static IReadOnlyList<(string Name, Func<ClassificationMetrics, double> Value, Func<double, string> Format, int Best)> Rows { get; } =
    [
        ("clips", metrics => metrics.Count, Numbers.Count, 0),
        ("accuracy", metrics => metrics.Accuracy, Numbers.Percent, 1),
        ("always the larger class", metrics => metrics.MajorityBaseline, Numbers.Percent, 0),
        ("balanced accuracy", metrics => metrics.BalancedAccuracy, Numbers.Percent, 1),
        ("nonviolent called right", metrics => metrics.Class0Accuracy, Numbers.Percent, 1),
        ("violent called right (recall)", metrics => metrics.Recall, Numbers.Percent, 1),
        ("precision of violent", metrics => metrics.Precision, Numbers.Percent, 1),
        ("F1 of violent", metrics => metrics.F1, Numbers.Percent, 1),
        ("ROC-AUC", metrics => metrics.Auc, Numbers.Fraction, 1),
        ("PR-AUC", metrics => metrics.PrAuc, Numbers.Fraction, 1),
        (Loss, metrics => metrics.Loss, Numbers.Loss, -1),
        ("threshold", metrics => metrics.Threshold, Numbers.Fraction, 0),
    ];

    /// <summary>The same for classes other than the known pair; those of each class stand in a table of their own.</summary>
    private static IReadOnlyList<(string Name, Func<ClassificationMetrics, double> Value, Func<double, string> Format, int Best)>
        RowsOfClasses { get; } =
    [
        .. Rows.Take(4),
        ("among the two likeliest", metrics => metrics.Top2Accuracy ?? double.NaN, Numbers.Percent, 1),
        ("macro precision", metrics => metrics.Precision, Numbers.Percent, 1),
        ("macro F1", metrics => metrics.F1, Numbers.Percent, 1),
        ("macro ROC-AUC, one against the rest", metrics => metrics.Auc, Numbers.Fraction, 1),
        ("macro PR-AUC", metrics => metrics.PrAuc, Numbers.Fraction, 1),
        (Loss, metrics => metrics.Loss, Numbers.Loss, -1),
    ];

    /// <summary>The rows that mean something for these classes.</summary>
    public static IReadOnlyList<(string Name, Func<ClassificationMetrics, double> Value, Func<double, string> Format, int Best)> RowsOf(
        ClassList classes) => classes.IsViolence ? Rows : RowsOfClasses;

    /// <summary>Metrics and confusion matrices.</summary>
    public static Markup Metrics(RunRecord run)
    {
        TrainingResult result = run.Result!;
        List<(string Name, ClassificationMetrics Metrics)> splits = [];
        Add("val", result.Val);
        Add("test", result.Test);
        Add("val at 0.5", result.ValAtHalf);
        Add("test at 0.5", result.TestAtHalf);
        var html = new HtmlBuilder();
        html.Add(run.Classes.IsViolence
            ? HtmlBuilder.Piece($"<p>All of the best checkpoint, loaded from its file. The threshold was chosen on val, by balanced accuracy; the plain threshold of 0.5 stands beside it.</p>")
            : HtmlBuilder.Piece($"<p>All of the best checkpoint, loaded from its file. A clip is called by its largest probability. Macro figures are the plain means over the classes, each against the rest.</p>"));
        html.Add(Table("Metrics", splits));
        if (result.Averages.Count > 0)
        {
            html.Add($"<h3>Averages of the weights</h3><p>{string.Join("; ", result.Averages.Select(average => $"{average.Name}: {average.Description}, in {average.File}"))}. Each with batch statistics and a threshold of its own. Whether one is used in place of the best checkpoint is to be decided by val.</p>");
            html.Add(Table("Metrics of the averages",
                [.. result.Averages.SelectMany(
                average => new[] { ($"{average.Name}, val", average.Val), ($"{average.Name}, test", average.Test) })
                .Where(column => column.Item2 is not null)!]));
        }

        if (result.Datasets is { } datasets)
        {
            html.Add($"<h3>Each data set by itself</h3><p>In brackets: 95 % intervals by bootstrap over the clips.</p>");
            html.Add(Page.Table("Each data set by itself", ["data set", "split", ">clips", ">accuracy", ">balanced accuracy", ">ROC-AUC"],
                from dataset in datasets
                from split in new[] { ("val", dataset.Value.Val), ("test", dataset.Value.Test) }
                where split.Item2 is not null
                let metrics = split.Item2
                select (IReadOnlyList<Markup>)
                [
                    Page.Text(dataset.Key), Page.Text(split.Item1), Page.Text(Numbers.Count(metrics.Count)),
                    Page.Text(Numbers.Percent(metrics.Accuracy)),
                    Page.Text(With(metrics.BalancedAccuracy, metrics.Intervals?.BalancedAccuracy, Numbers.Percent)),
                    Page.Text(With(metrics.Auc, metrics.Intervals?.Auc, Numbers.Fraction)),
                ],
                hidesCaption: true));
        }

        foreach ((string name, ClassificationMetrics metrics) in splits.Where(split => split.Metrics.PerClass is not null))
        {
            html.Add(Page.Table($"Each class on {name}", ["class", ">clips", ">precision", ">recall", ">F1", ">ROC-AUC", ">PR-AUC"],
                metrics.PerClass!.Select(one => (IReadOnlyList<Markup>)
            [
                Page.Text(one.Name), Page.Text(Numbers.Count(one.Count)), Page.Text(Numbers.Percent(one.Precision)),
                Page.Text(Numbers.Percent(one.Recall)), Page.Text(Numbers.Percent(one.F1)), Page.Text(Numbers.Fraction(one.Auc)),
                Page.Text(Numbers.Fraction(one.PrAuc)),
            ])));
        }

        html.Add($"<h3>Confusion matrices</h3>");
        html.Add(Page.Grid(splits.Where(split => !split.Name.Contains(' '))
            .Select(split => ScoreCharts.Confusion(split.Name, split.Metrics))));
        return html.ToMarkup();

        Markup Table(string caption, IReadOnlyList<(string Name, ClassificationMetrics Metrics)> columns) => Page.Table(
            caption, ["", .. columns.Select(column => ">" + column.Name)],
            RowsOf(run.Classes).Select(row => (IReadOnlyList<Markup>)[Page.Text(row.Name),
            .. columns.Select(column => Page.Text(row.Format(row.Value(column.Metrics))))]),
            hidesCaption: true);

        static string With(double value, Interval? interval, Func<double, string> format) =>
            interval is null ? format(value) : $"{format(value)} [{format(interval.Low)}, {format(interval.High)}]";

        void Add(string name, ClassificationMetrics? metrics)
        {
            if (metrics is not null)
            {
                splits.Add((name, metrics));
            }
        }
    }

    /// <summary>What other thresholds would do, and whether p(violent) can be taken as a probability.</summary>
    public static Markup Decisions(RunRecord run)
    {
        (string split, IReadOnlyList<ClipPrediction> clips) = run.Predictions[^1];
        if (run.MetricsOf(split) is { PerClass: not null } ofClasses)
        {
            return Classes(split, clips, ofClasses);
        }

        var html = new HtmlBuilder();
        string[] areas = [.. run.Predictions.Select(pair => ScoreCharts.WithAuc(pair.Key, run.MetricsOf(pair.Key)?.Auc))];
        string[] precisions = [.. run.Predictions.Select(pair => ScoreCharts.WithAuc(pair.Key, run.MetricsOf(pair.Key)?.PrAuc))];
        html.Add(Page.Grid(
            ScoreCharts.Roc("ROC curve",
                [.. run.Predictions.Select((pair, i) => new Series(areas[i], i, ScoreCurves.Roc(pair.Value), SeriesKind.Curve))]),
            new Chart
            {
                Title = "Precision and recall",
                Description = $"Precision over recall as the threshold falls: {string.Join(", ", precisions)}.",
                X = Axis.Unit("recall of violent"),
                Y = Axis.Unit("precision"),
                Series = [.. run.Predictions.Select(
                    (pair, i) => new Series(precisions[i], i, ScoreCurves.PrecisionRecall(pair.Value), SeriesKind.Curve))],
            }.ToMarkup(),
            Sweep(run),
            Calibration(run),
            Histogram(split, clips, run.MetricsOf(split)?.Threshold)));
        html.Add($"<p>{CalibrationText(run)}</p>");
        html.Add(Page.Details("Thresholds as a table", SweepTable(run)));
        return html.ToMarkup();
    }

    /// <summary>How well each class is told from the rest.</summary>
    private static Markup Classes(string split, IReadOnlyList<ClipPrediction> clips, ClassificationMetrics metrics)
    {
        var html = new HtmlBuilder();
        IReadOnlyList<Series> precision = ScoreCharts.OfClasses(metrics, clips, ScoreCurves.PrecisionRecall, one => one.PrAuc);
        html.Add(Page.Grid(
            ScoreCharts.Roc($"ROC curves on {split}, one against the rest",
                ScoreCharts.OfClasses(metrics, clips, ScoreCurves.Roc, one => one.Auc), ofClasses: true),
            new Chart
            {
                Title = $"Precision and recall on {split}, one against the rest",
                Description =
                    $"Precision over recall as the threshold falls: {string.Join(", ", precision.Select(series => series.Name))}.",
                X = Axis.Unit("recall of the class"),
                Y = Axis.Unit("precision"),
                Series = precision,
            }.ToMarkup()));
        html.Add($"<p>{(metrics.PerClass!.Count > Chart.Styles ? $"Shown are the {Chart.Styles} of {metrics.PerClass.Count} classes that are told apart worst." : "A curve stands for the probability of one class against all others.")}</p>");
        return html.ToMarkup();
    }

    private static Markup Sweep(RunRecord run)
    {
        (string split, IReadOnlyList<ClipPrediction> clips) = run.Predictions[0];
        IReadOnlyList<ThresholdPoint> points = ScoreCurves.Sweep(clips);
        double threshold = run.MetricsOf(split)?.Threshold ?? 0.5;
        return new Chart
        {
            Title = $"Thresholds on {split}",
            Description = $"Accuracy, balanced accuracy, precision and recall over the threshold; {Numbers.Fraction(threshold)} was chosen.",
            X = Axis.Unit("threshold"),
            Y = Axis.Unit("share"),
            Marks = [(threshold, $"chosen: {Numbers.Fraction(threshold)}")],
            Series =
            [
                new Series("balanced accuracy", 0, [.. points.Select(point => (point.Threshold, point.BalancedAccuracy))],
                    SeriesKind.Curve),
                new Series("accuracy", 2, [.. points.Select(point => (point.Threshold, point.Accuracy))], SeriesKind.Curve),
                new Series("precision", 3, [.. points.Select(point => (point.Threshold, point.Precision))], SeriesKind.Curve),
                new Series("recall", 1, [.. points.Select(point => (point.Threshold, point.Recall))], SeriesKind.Curve),
            ],
        }.ToMarkup();
    }

    private static Markup SweepTable(RunRecord run) => Page.Table(
        $"Thresholds on {run.Predictions[0].Key}",
        [">threshold", ">accuracy", ">balanced accuracy", ">precision", ">recall", ">F1"],
        ScoreCurves.Sweep(run.Predictions[0].Value).Where((_, i) => i % 5 == 0).Select(point => (IReadOnlyList<Markup>)
        [
            HtmlBuilder.Piece($"{point.Threshold:0.00}"), Page.Text(Numbers.Percent(point.Accuracy)),
            Page.Text(Numbers.Percent(point.BalancedAccuracy)),
            Page.Text(Numbers.Percent(point.Precision)), Page.Text(Numbers.Percent(point.Recall)), Page.Text(Numbers.Percent(point.F1)),
        ]));

    private static Markup Calibration(RunRecord run) => new Chart
    {
        Title = "Calibration",
        Description = CalibrationText(run),
        X = Axis.Unit("mean p(violent) of the clips"),
        Y = Axis.Unit("share that is violent"),
        Diagonal = "a true probability",
        Series = [.. run.Predictions.Select((pair, i) =>
        {
            IReadOnlyList<CalibrationBin> bins = ScoreCurves.Calibration(pair.Value);
            return new Series(
                pair.Key, i, [.. bins.Select(bin => (bin.Mean, bin.Violent))],
                Titles: [.. bins.Select(
                    bin => $"{pair.Key}, p from {bin.From:0.0} to {bin.To:0.0}: {Numbers.Plural(bin.Count, "clip")}, mean p {Numbers.Fraction(bin.Mean)}, violent {Numbers.Percent(bin.Violent)}")]);
        })],
    }.ToMarkup();

    private static string CalibrationText(RunRecord run) => string.Join(" ", run.Predictions.Select(pair =>
        $"On {pair.Key} the expected calibration error is {Numbers.Fraction(ScoreCurves.CalibrationError(pair.Value))} and the Brier " +
            $"score {Numbers.Fraction(ScoreCurves.Brier(pair.Value))} (0 would be perfect, always saying 0.5 gives 0.25)."));

    private static Markup Histogram(string split, IReadOnlyList<ClipPrediction> clips, double? threshold)
    {
        const int Bins = 20;
        const double Width = 0.5 / Bins;
        List<Series> series = [];
        foreach (int label in new[] { ClassLabel.Nonviolent, ClassLabel.Violent })
        {
            int[] counts = new int[Bins];
            foreach (ClipPrediction clip in clips.Where(clip => clip.Label == label))
            {
                counts[Math.Min(Bins - 1, (int)(clip.Violent * Bins))]++;
            }

            series.Add(new Series(
                ClassLabel.Name(label), label, [.. counts.Select((count, i) => (((double)i / Bins) + (label * Width), (double)count))],
                SeriesKind.Bars,
                [.. counts.Select((count, i) => $"{Numbers.Plural(count, ClassLabel.Name(label) + " clip")}, p from {(double)i / Bins:0.00} to {(i + 1.0) / Bins:0.00}")])
            { BarWidth = Width });
        }

        return new Chart
        {
            Title = $"p(violent) of the {split} clips",
            Description = "How many clips of each class got which p(violent): the further apart the classes, the better.",
            X = Axis.Unit("p(violent)"),
            Y = Axis.Around("clips", series.SelectMany(line => line.Points).Select(point => point.Y).Append(0), 5, whole: true),
            Series = series,
            Marks = threshold is { } at ? [(at, $"threshold {Numbers.Fraction(at)}")] : [],
        }.ToMarkup();
    }
}
