using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Formats;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Training.Reporting;

/// <summary>Several runs side by side: what was done differently, and what came of it.</summary>
internal static class ComparisonPage
{
    /// <summary>Options that say where a run lies, not how it was trained.</summary>
    private static readonly string[] Places = [nameof(TrainingOptions.CheckpointDir), nameof(TrainingOptions.Resume),
        nameof(TrainingOptions.Overwrite), nameof(TrainingOptions.Report)];

    /// <param name="runs">Two or more.</param>
    /// <param name="more">Sections to show besides.</param>
    public static string Render(IReadOnlyList<RunRecord> runs, IReadOnlyList<(string Id, string Heading, Markup Content)> more)
    {
        string[] names = NamesOf(runs);
        List<(string, string, Markup)> sections =
        [
            ("summary", "Summary", Summary(runs, names)),
            ("options", "Options that differ", Options(runs, names)),
            ("metrics", "Metrics", Metrics(runs, names)),
            ("curves", "Curves", Curves(runs, names)),
            .. more,
        ];
        return Page.Render($"Comparison of {runs.Count} runs", HtmlBuilder.Piece($"{string.Join(", ", names)}"), sections);
    }

    /// <summary>The folder's last part, or the folder where two runs share that.</summary>
    private static string[] NamesOf(IReadOnlyList<RunRecord> runs)
    {
        bool unique = runs.DistinctBy(run => run.Name).Count() == runs.Count;
        return [.. runs.Select(run => unique ? run.Name : run.Folder)];
    }

    private static ClassificationMetrics? Reported(RunRecord run) => run.Result?.Test ?? run.Result?.Val;

    private static Markup Summary(IReadOnlyList<RunRecord> runs, string[] names)
    {
        var html = new HtmlBuilder();
        (RunRecord Run, string Name,
            ClassificationMetrics Metrics)[] finished = [.. runs.Zip(names).Where(pair => Reported(pair.First) is not null)
            .Select(pair => (pair.First, pair.Second, Reported(pair.First)!))];
        if (finished.Length < 2)
        {
            html.Add($"<div class=\"verdict\"><p>Fewer than two of these runs have finished, so there are no results to compare.</p></div>");
            return html.ToMarkup();
        }

        if (WhyNotRanked(finished.Select(run => run.Run).ToArray()) is { } reason)
        {
            html.Add($"<div class=\"verdict\"><p>These runs are not ranked: {reason}.</p></div>");
            return html.ToMarkup();
        }

        (RunRecord Run, string Name, ClassificationMetrics Metrics)[] ranked =
            finished.OrderByDescending(run => run.Metrics.BalancedAccuracy).ToArray();
        (RunRecord Run, string Name, ClassificationMetrics Metrics) best = ranked[0], next = ranked[1];
        (double low, _) = Interval.OfShare(best.Metrics.Accuracy, best.Metrics.Count);
        string chance = low > next.Metrics.Accuracy ? "The lead over the next one is larger than the 95 % interval of its accuracy."
            : "The lead is smaller than the 95 % interval of its accuracy: with so many clips, that may be chance.";
        string clips = Numbers.Plural(best.Metrics.Count, best.Run.Result?.Test is null ? "validation clip" : "test clip");
        html.Add($"<div class=\"verdict\"><p><strong>{best.Name}</strong> has the highest balanced accuracy: ");
        html.Add($"{Numbers.Percent(best.Metrics.BalancedAccuracy)} of {clips}; {next.Name} follows with ");
        html.Add($"{Numbers.Percent(next.Metrics.BalancedAccuracy)}. {chance}</p><p>Whoever chooses the best of several runs by their ");
        html.Add($"test figures uses the test clips up: the figure of the winner flatters it.</p></div>");
        return html.ToMarkup();
    }

    /// <summary>Why the finished runs among these cannot be ranked; null if they can.</summary>
    private static string? WhyNotRanked(IReadOnlyList<RunRecord> runs)
    {
        RunRecord[] finished = [.. runs.Where(run => Reported(run) is not null)];
        if (finished.Select(run => run.Result!.Test is null).Distinct().Count() > 1)
        {
            return "some were measured on test clips, others on the validation clips that chose their epoch";
        }

        if (finished.DistinctBy(run => run.Classes).Count() > 1)
        {
            return $"they tell other classes apart ({string.Join("; ", finished.Select(run => run.Classes).Distinct())})";
        }

        string split = finished[0].Result!.Test is null ? "val" : "test";
        HashSet<(string, int)>[] clips = [.. finished.Select(run => run.Predictions.FirstOrDefault(pair => pair.Key == split).Value ?? [])
            .Select(predictions => predictions.Select(clip => (clip.Path, clip.Label)).ToHashSet())];
        int common = clips.Aggregate((IEnumerable<(string, int)>)clips[0], (all, some) => all.Intersect(some)).Count();
        return clips.All(some => some.Count == common) && finished.All(run => Reported(run)!.Count == Reported(finished[0])!.Count)
            ? null
            : $"they were measured on other {split} clips ({string.Join(", ", clips.Select(some => some.Count))}, of which {common} are " +
                $"in all of them). Train them with the same {SettingName.Of(nameof(TrainingOptions.Seed))}, " +
                $"{SettingName.Of(nameof(TrainingOptions.Split))} and {SettingName.Of(nameof(TrainingOptions.Groups))}";
    }

    /// <summary>Losses compare only where they are the same function.</summary>
    private static bool HaveOneLoss(IReadOnlyList<RunRecord> runs)
    {
        Setting[] settings = [.. Setting.Of(typeof(TrainingOptions)).Where(setting => setting.Group == SettingGroup.Loss)];
        return runs.Select(run => $"{string.Join(' ', settings.Select(setting => setting.TextIn(run.Options)))} " +
            Classifiers.IsFitted(run.Options.Model)).Distinct().Count() == 1;
    }

    private static Markup Options(IReadOnlyList<RunRecord> runs, string[] names)
    {
        Setting[] differing = [.. Setting.Of(typeof(TrainingOptions)).Where(setting => !Places.Contains(setting.Property.Name)
            && runs.Any(run => setting.TextIn(run.Options) != setting.TextIn(runs[0].Options)))];
        return differing.Length == 0
            ? HtmlBuilder.Piece($"<p>The runs have the same options, seed included.</p>")
            : Page.Table("Options that differ", ["option", .. names], differing.Select(setting => (IReadOnlyList<Markup>)
                [HtmlBuilder.Piece($"<code class=\"path wide\">{SettingName.Of(setting.Property.Name)}</code>"),
                    .. runs.Select(run => Page.Path(RunPage.Value(setting, run.Options)))]), hidesCaption: true);
    }

    private static Markup Metrics(IReadOnlyList<RunRecord> runs, string[] names)
    {
        var html = new HtmlBuilder();
        bool ranks = runs.Any(run => Reported(run) is not null) && WhyNotRanked(runs) is null;
        foreach (string split in new[] { "test", "val" })
        {
            ClassificationMetrics?[] metrics = [.. runs.Select(run => run.MetricsOf(split))];
            if (metrics.All(run => run is null))
            {
                continue;
            }

            ClassList[] classes = [.. metrics.OfType<ClassificationMetrics>().Select(run => run.ClassList).Distinct()];
            if (classes.Length > 1)
            {
                html.Add($"<p>The runs tell other classes apart, so there is no common table of {split}.</p>");
                continue;
            }

            html.Add(Page.Table(classes[0].IsViolence ? $"{split}, each at the threshold chosen on its val" : $"{split}",
                ["", .. names.Select(name => ">" + name)],
                ResultSections.RowsOf(classes[0]).Select(row =>
            {
                double[] values = [.. metrics.Select(run => run is null ? double.NaN : row.Value(run))];
                double best = row.Best == 0 || !ranks || (row.Name == ResultSections.Loss && !HaveOneLoss(runs))
                    ? double.NaN
                    : row.Best * values.Select(value => row.Best * value).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Max();
                return (IReadOnlyList<Markup>)[Page.Text(row.Name),
                    .. values.Select(value => value.Equals(best) && values.Count(double.IsFinite) > 1
                    ? HtmlBuilder.Piece($"<span class=\"best\">{row.Format(value)} best</span>")
                    : Page.Text(row.Format(value)))];
            })));
        }

        html.Add(Page.Table("Cost", ["", .. names.Select(name => ">" + name)],
        [
            [Page.Text("best epoch"),
                .. runs.Select(run => Page.Text(run.Result is not { } result ? $"unfinished, {run.History.Count} so far"
                    : Classifiers.IsFitted(run.Options.Model) ? "–" : $"{result.BestEpoch} of {result.Epochs}"))],
            [Page.Text("training time"),
                .. runs.Select(run => Page.Text(
                Numbers.Duration(run.Result?.Stages.GetValueOrDefault("train", double.NaN) ?? run.History.Sum(row => row["seconds"]))))],
            [Page.Text("seconds an epoch"),
                .. runs.Select(run => Page.Text(
                run.History.Count == 0 ? "–" : Numbers.Duration(run.History.Average(row => row["seconds"]))))],
            [Page.Text("device"), .. runs.Select(run => Page.Text(run.Result?.Device ?? "–"))],
        ]));
        return html.ToMarkup();
    }

    private static Markup Curves(IReadOnlyList<RunRecord> runs, string[] names)
    {
        List<Markup> charts =
        [
            Overlay("Validation loss", "val_loss"),
            Overlay("Validation balanced accuracy", "val_balanced_accuracy", isShare: true),
            Overlay("Validation ROC-AUC", "val_auc", isShare: true),
            Overlay("Training loss", "loss"),
        ];
        string split = runs.Any(run => run.MetricsOf("test") is not null) ? "test" : "val";
        Series[] curves = runs.Any(run => !run.Classes.IsViolence) ? [] : [.. runs.Select(
            (run, i) => new Series(ScoreCharts.WithAuc(names[i], run.MetricsOf(split)?.Auc), i % Chart.Styles,
            ScoreCurves.Roc(run.Predictions.FirstOrDefault(pair => pair.Key == split).Value ?? []), SeriesKind.Curve))];
        if (curves.Any(curve => curve.Points.Count > 0))
        {
            charts.Add(ScoreCharts.Roc($"ROC curves on {split}", curves));
        }

        return Page.Grid(charts);

        Markup Overlay(string title, string column, bool isShare = false)
        {
            Series[] series = [.. runs.Select((run, i) => new Series(
                names[i], i % Chart.Styles, [.. run.History.Select(row => ((double)row.Epoch, row[column]))],
                    Titles: [.. run.History.Select(row => $"{names[i]}, epoch {row.Epoch}: {Numbers.General(row[column])}")]))];
            string description = string.Join("; ",
                runs.Select((run, i) => run.History.Count == 0 ? $"{names[i]} has no epochs" : $"{names[i]} ends at {Numbers.General(run.History[^1][column])}")) + ".";
            return Chart.Of(title, description, "epoch", title.ToLowerInvariant(), series, least: isShare ? 0 : double.NegativeInfinity,
                most: isShare ? 1 : double.PositiveInfinity).ToMarkup();
        }
    }
}
