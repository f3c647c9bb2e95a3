using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>How well p(violent) tells the classes apart, drawn for the report's pages and for TensorBoard.</summary>
internal static class ScoreCharts
{
    /// <summary>Of the drawing's text, as far as it takes room.</summary>
    private const int LineHeight = 18, LetterWidth = 7;

    /// <summary>What a curve is called: its split or run, and the area under it.</summary>
    public static string WithAuc(string name, double? auc) => $"{name} (AUC {Numbers.Fraction(auc ?? double.NaN)})";

    public static Markup Roc(string title, IReadOnlyList<Series> curves, bool ofClasses = false) => new Chart
    {
        Title = title,
        Description = $"{(ofClasses ? "Clips of a class" : "Violent clips")} found over false alarms as the threshold falls: "
            + $"{string.Join(", ", curves.Select(curve => curve.Name))}.",
        X = Axis.Unit(ofClasses ? "false alarms (share of the other clips)" : "false alarms (share of nonviolent clips)"),
        Y = Axis.Unit(ofClasses ? "clips of the class found" : "violent clips found"),
        Diagonal = "guessing",
        Series = curves,
    }.ToMarkup();

    /// <summary>A curve for each class against the rest; of many classes those that are told apart worst.</summary>
    /// <param name="metrics">Of the same clips, of other classes than the known pair.</param>
    /// <param name="curve">The points of one class's clips.</param>
    /// <param name="area">The area under its curve.</param>
    public static IReadOnlyList<Series> OfClasses(ClassificationMetrics metrics, IReadOnlyList<ClipPrediction> clips,
        Func<IReadOnlyList<ClipPrediction>, IReadOnlyList<(double X, double Y)>> curve, Func<ClassMetrics, double> area) =>
        [.. metrics.PerClass!.Select((one, label) => (One: one, Label: label)).OrderBy(found => area(found.One)).Take(Chart.Styles)
            .OrderBy(found => found.Label).Select((found, i) => new Series(WithAuc(found.One.Name, area(found.One)), i,
                curve([.. clips.Select(clip => clip.Against(found.Label))]), SeriesKind.Curve))];

    /// <summary>A row for each class, a column for each answer. The deeper a cell's colour, the larger its share of the row.</summary>
    /// <param name="split">What the clips are called.</param>
    public static Markup Confusion(string split, ClassificationMetrics metrics)
    {
        const int Left = 96, Top = 28, Width = 316, Height = 228;
        ClassList classes = metrics.ClassList;
        int gap = classes.Count < 20 ? 4 : 1, cell = ((Width + gap) / classes.Count) - gap,
            height = ((Height + gap) / classes.Count) - gap;
        string title = $"{split}: {Numbers.Plural(metrics.Count, "clip")}" +
            (classes.IsViolence ? $" at threshold {Numbers.Fraction(metrics.Threshold)}" : string.Empty);
        var cells = new HtmlBuilder();
        List<string> rows = [];
        for (int label = 0; label < classes.Count; label++)
        {
            int total = metrics.ConfusionMatrix[label].Sum(), top = Top + (label * (height + gap)), middle = top + (height / 2);
            string clips = Numbers.Plural(total, "clip");
            int column = Left + (label * (cell + gap)) + (cell / 2);
            string name = classes[label], called = classes.IsViolence ? $"called {name}" : Short(name, cell);
            if (called.Length > 0)
            {
                cells.Add($"<text class=\"label\" text-anchor=\"middle\" x=\"{column}\" y=\"{Top - 10}\">{called}</text>");
            }

            if (height >= LineHeight)
            {
                int line = height >= 2 * LineHeight ? middle - 4 : middle + 4;
                cells.Add($"<text class=\"label\" text-anchor=\"end\" x=\"{Left - 10}\" y=\"{line}\">{Short(name, Left)}</text>");
            }

            if (height >= 2 * LineHeight)
            {
                cells.Add($"<text class=\"tick\" text-anchor=\"end\" x=\"{Left - 10}\" y=\"{middle + 14}\">{clips}</text>");
            }

            for (int other = 0; other < classes.Count; other++)
            {
                int count = metrics.ConfusionMatrix[label][other], left = Left + (other * (cell + gap)), centre = left + (cell / 2);
                double share = total == 0 ? 0 : (double)count / total;
                string verdict = $"{Numbers.Percent(share)} {(label == other ? "right" : "wrong")}";
                string shade = $"{(label == other ? "r" : "w")}{(int)Math.Ceiling(4 * share)}";
                cells.Add($"<rect class=\"{shade}\" x=\"{left}\" y=\"{top}\" width=\"{cell}\" height=\"{height}\"/>");
                bool hasVerdict = height >= 3 * LineHeight && cell >= 100;
                if (height >= LineHeight && cell >= 24)
                {
                    int line = hasVerdict ? middle + 4 : middle + 6;
                    cells.Add($"<text class=\"count\" text-anchor=\"middle\" x=\"{centre}\" y=\"{line}\">{count}</text>");
                }

                if (hasVerdict)
                {
                    cells.Add($"<text class=\"share\" text-anchor=\"middle\" x=\"{centre}\" y=\"{middle + 25}\">{verdict}</text>");
                }

                rows.Add($"{count} of {clips} {name} called {classes[other]}");
            }
        }

        var html = new HtmlBuilder();
        html.Add($"<figure class=\"chart\"><figcaption>{title}</figcaption>");
        html.Add($"<svg viewBox=\"0 0 420 268\" role=\"img\" aria-label=\"{title}. {string.Join(", ", rows)}.\">");
        return html.Add(cells.ToMarkup()).Add($"</svg></figure>").ToMarkup();
    }
    /// <summary>As much of a name as there is room for; nothing where that would say nothing.</summary>
    private static string Short(string name, int width)
    {
        int letters = width / LetterWidth;
        return name.Length <= letters ? name : letters < 3 ? string.Empty : name[..(letters - 1)] + "…";
    }
}
