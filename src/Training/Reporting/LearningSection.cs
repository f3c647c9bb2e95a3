using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>How a run went, epoch by epoch.</summary>
internal static class LearningSection
{
    private const int ShownEpochs = 300;

    public static Markup Render(RunRecord run)
    {
        var html = new HtmlBuilder();
        int best = run.Result?.BestEpoch ?? 0;
        html.Add($"<p>Training figures are means over an epoch, with dropout, while the weights still moved; validation figures are those of the epoch's end{(run.Classes.IsViolence ? ", at threshold 0.5" : "; precision, recall and ROC-AUC are means over the classes")}.</p>");
        IReadOnlyList<Markup> main = Main(run);
        html.Add(Page.Grid([
            .. main.Take(main.Count - 1),
            Of(run, run.Classes.IsViolence ? "Precision and recall of violent" : "Precision and recall, mean over the classes",
                "validation", ("precision", "val_precision"), ("recall", "val_recall")),
            main[^1],
            Of(run, "Gradient norm", "mean, before clipping", ("gradient norm", "grad_norm"))]));
        html.Add(Page.Details("All epochs as a table", Table(run, best)));
        return html.ToMarkup();
    }

    /// <summary>The curves that tell how training goes: loss, accuracy, what is monitored by default, and last the learning rate.</summary>
    /// <param name="run">With a history of one epoch or more.</param>
    public static IReadOnlyList<Markup> Main(RunRecord run) =>
    [
        Of(run, "Loss", "loss", ("training", "loss"), ("validation", "val_loss")),
        Of(run, "Accuracy", "accuracy", ("training", "accuracy"), ("validation", "val_accuracy")),
        Of(run, "Balanced accuracy and ROC-AUC", "validation", ("balanced accuracy", "val_balanced_accuracy"), ("ROC-AUC", "val_auc")),
        Of(run, "Learning rate", "at the epoch's end", ("learning rate", "lr")),
    ];

    /// <summary>Some columns of the history over the epochs, with the best one marked.</summary>
    internal static Markup Of(RunRecord run, string title, string y, params ReadOnlySpan<(string Name, string Column)> columns)
    {
        List<Series> series = [];
        foreach ((string name, string column) in columns)
        {
            series.Add(new Series(
                name, series.Count, [.. run.History.Select(row => ((double)row.Epoch, row[column]))],
                Titles: [.. run.History.Select(row => $"epoch {row.Epoch}, {name}: {Numbers.General(row[column])}")]));
        }

        int best = run.Result?.BestEpoch ?? 0;
        bool isShare = columns[0].Column is "accuracy" or "val_balanced_accuracy" or "val_precision";
        Chart chart = Chart.Of(title, Describe(run, series, best), "epoch", y, series,
            least: isShare || columns[0].Column is "lr" ? 0 : double.NegativeInfinity, most: isShare ? 1 : double.PositiveInfinity);
        return (best > 0 ? chart with { Marks = [(best, $"best: epoch {best}")] } : chart).ToMarkup();
    }

    private static string Describe(RunRecord run, IReadOnlyList<Series> series, int best) => string.Join("; ", series.Select(line =>
    {
        string at = best > 0 && run.History.ToList().FindIndex(row => row.Epoch == best) is >= 0 and int i
            ? $", {Numbers.General(line.Points[i].Y)} in the best epoch {best}"
            : string.Empty;
        return $"{line.Name} from {Numbers.General(line.Points[0].Y)} in epoch {run.History[0].Epoch} to {Numbers.General(line.Points[^1].Y)} in epoch {run.History[^1].Epoch}{at}";
    })) + ".";

    private static Markup Table(RunRecord run, int best)
    {
        IEnumerable<HistoryRow> shown = run.History.Count > ShownEpochs ? run.History.TakeLast(ShownEpochs) : run.History;
        string caption = run.History.Count > ShownEpochs
            ? $"The last {ShownEpochs} of {run.History.Count} epochs; all are in {RunFolder.HistoryName}"
            : "Epochs";
        return Page.Table(
            caption,
            [">epoch", ">time", ">loss", ">accuracy", ">val loss", ">val accuracy", ">val balanced", ">val AUC", ">learning rate",
                ">gradient norm", ">skipped steps"],
            shown.Select(row => (IReadOnlyList<Markup>)
            [
                row.Epoch == best ? HtmlBuilder.Piece($"<span class=\"best\">{row.Epoch} best</span>") : Page.Text($"{row.Epoch}"),
                Page.Text(Numbers.Duration(row["seconds"])),
                Page.Text(Numbers.Loss(row["loss"])),
                Page.Text(Numbers.Percent(row["accuracy"])),
                Page.Text(Numbers.Loss(row["val_loss"])),
                Page.Text(Numbers.Percent(row["val_accuracy"])),
                Page.Text(Numbers.Percent(row["val_balanced_accuracy"])),
                Page.Text(Numbers.Fraction(row["val_auc"])),
                Page.Text(Numbers.General(row["lr"])),
                Page.Text(Numbers.General(row["grad_norm"])),
                Page.Text(Numbers.Count(row["skipped_steps"])),
            ]));
    }
}
