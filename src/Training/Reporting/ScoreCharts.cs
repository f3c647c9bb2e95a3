using CudaTrainer.Data.Dataset;

namespace CudaTrainer.Training.Reporting;

/// <summary>How well p(violent) tells the classes apart, drawn for the report's pages and for TensorBoard.</summary>
internal static class ScoreCharts
{
    /// <summary>What a curve is called: its split or run, and the area under it.</summary>
    public static string WithAuc(string name, double? auc) => $"{name} (AUC {Numbers.Fraction(auc ?? double.NaN)})";

    public static Markup Roc(string title, IReadOnlyList<Series> curves) => new Chart
    {
        Title = title,
        Description = "Violent clips found over false alarms as the threshold falls: "
            + $"{string.Join(", ", curves.Select(curve => curve.Name))}.",
        X = Axis.Unit("false alarms (share of nonviolent clips)"),
        Y = Axis.Unit("violent clips found"),
        Diagonal = "guessing",
        Series = curves,
    }.ToMarkup();

    /// <summary>A row for each class, a column for each answer. The deeper a cell's colour, the larger its share of the row.</summary>
    /// <param name="split">What the clips are called.</param>
    public static Markup Confusion(string split, ClassificationMetrics metrics)
    {
        const int Left = 96, Top = 28, Cell = 156, CellHeight = 112, Gap = 4;
        string title = $"{split}: {Numbers.Plural(metrics.Count, "clip")} at threshold {Numbers.Fraction(metrics.Threshold)}";
        var cells = new HtmlBuilder();
        List<string> rows = [];
        for (int label = 0; label < 2; label++)
        {
            int total = metrics.ConfusionMatrix[label].Sum(), top = Top + (label * (CellHeight + Gap)), middle = top + (CellHeight / 2);
            string clips = Numbers.Plural(total, "clip");
            int column = Left + (label * (Cell + Gap)) + (Cell / 2);
            string name = ClassLabel.Name(label);
            cells.Add($"<text class=\"label\" text-anchor=\"middle\" x=\"{column}\" y=\"{Top - 10}\">called {name}</text>");
            cells.Add($"<text class=\"label\" text-anchor=\"end\" x=\"{Left - 10}\" y=\"{middle - 4}\">{name}</text>");
            cells.Add($"<text class=\"tick\" text-anchor=\"end\" x=\"{Left - 10}\" y=\"{middle + 14}\">{clips}</text>");
            for (int called = 0; called < 2; called++)
            {
                int count = metrics.ConfusionMatrix[label][called], left = Left + (called * (Cell + Gap)), centre = left + (Cell / 2);
                double share = total == 0 ? 0 : (double)count / total;
                string verdict = $"{Numbers.Percent(share)} {(label == called ? "right" : "wrong")}";
                string shade = $"{(label == called ? "r" : "w")}{(int)Math.Ceiling(4 * share)}";
                cells.Add($"<rect class=\"{shade}\" x=\"{left}\" y=\"{top}\" width=\"{Cell}\" height=\"{CellHeight}\"/>");
                cells.Add($"<text class=\"count\" text-anchor=\"middle\" x=\"{centre}\" y=\"{middle + 4}\">{count}</text>");
                cells.Add($"<text class=\"share\" text-anchor=\"middle\" x=\"{centre}\" y=\"{middle + 25}\">{verdict}</text>");
                rows.Add($"{count} of {clips} {name} called {ClassLabel.Name(called)}");
            }
        }

        var html = new HtmlBuilder();
        html.Add($"<figure class=\"chart\"><figcaption>{title}</figcaption>");
        html.Add($"<svg viewBox=\"0 0 420 268\" role=\"img\" aria-label=\"{title}. {string.Join(", ", rows)}.\">");
        return html.Add(cells.ToMarkup()).Add($"</svg></figure>").ToMarkup();
    }
}
