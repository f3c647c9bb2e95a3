using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Training.Studies;

/// <summary>An ablation as a page: every row's balanced accuracy with its interval, and the table.</summary>
internal static class AblationPage
{
    private const double NameWidth = 250, PlotWidth = 560, RowHeight = 26, Top = 10, Bottom = 36;

    public static string Render(AblationResult result) =>
        Page.Render("Ablation", Subtitle(result), [("ablation", "What each piece is worth", Content(result))]);

    /// <summary>The same for a page that has other sections.</summary>
    public static Markup Section(AblationResult result) => HtmlBuilder.Piece($"<p>{Subtitle(result)}</p>{Content(result)}");

    private static Markup Subtitle(AblationResult result) =>
        HtmlBuilder.Piece($"{Numbers.Plural(result.Clips, "clip")} from {Numbers.Plural(result.Sources, "source")}; {result.Device}{(result.Jobs > 1 ? $"; {result.Jobs} trainings at a time, times from one that ran alone" : string.Empty)}");

    private static Markup Content(AblationResult result)
    {
        var html = new HtmlBuilder();
        html.Add($"<p>Each row is a cross-validation of its own: {Numbers.Plural(result.Folds, "fold")} that share no source, times {Numbers.Plural(result.Seeds, "seed")}. Dots are balanced accuracies over all clips, lines their 95 % intervals (bootstrap over sources); the dashed line is guessing. Rows overlap where the clips cannot tell them apart: the gain in the table is paired clip by clip and tells more.</p>");
        html.Add($"<figure class=\"clip\"><div class=\"film\" role=\"region\" aria-label=\"Balanced accuracy of every row\" tabindex=\"0\">{Plot(result)}</div></figure>");
        html.Add(Page.Table(
            "Gain: balanced accuracy in points over the row before; for \"all but\" rows over all together",
            ["row", ">balanced accuracy", ">gain", ">accuracy", .. result.OfClasses.Select(column => ">" + column.Name), ">AUC",
                ">s per epoch", ">s to best", ">waiting for data"],
            result.Rows.Select(row => (IReadOnlyList<Markup>)(row.Metrics is { } metrics
                ?
                [
                    Name(row), Percent(metrics.BalancedAccuracy), Points(row.Gain), Percent(metrics.Accuracy),
                    .. result.OfClasses.Select(column => Percent(column.Of(metrics))),
                    Page.Text($"{Numbers.Fraction(metrics.Auc.Value)} ({Numbers.Fraction(metrics.Auc.Interval.Low)} to {Numbers.Fraction(metrics.Auc.Interval.High)})"), Page.Text(Numbers.Fraction(row.SecondsPerEpoch)),
                    Page.Text(Numbers.Fraction(row.SecondsToBest)), Page.Text(Numbers.Percent(row.StallFraction)),
                ]
                : [Name(row), Page.Text($"not run: {row.Missing}"), .. Enumerable.Repeat(Page.Text("–"), result.OfClasses.Count + 6)]))));
        return html.ToMarkup();
    }

    private static Markup Plot(AblationResult result)
    {
        AblationRow[] rows = [.. result.Rows.Where(row => row.Metrics is not null)];
        double guessing = 1.0 / (result.Classes?.Count ?? 2);
        double low = Math.Floor(
            10 * Math.Min(guessing, rows.Select(row => row.Metrics!.BalancedAccuracy.Interval.Low).DefaultIfEmpty(0.5).Min())) / 10,
            high = Math.Ceiling(10 * rows.Select(row => row.Metrics!.BalancedAccuracy.Interval.High).DefaultIfEmpty(1).Max()) / 10;
        double bottom = Top + (rows.Length * RowHeight), width = NameWidth + PlotWidth + 30;
        var html = new HtmlBuilder();
        html.Add($"<svg viewBox=\"0 0 {width} {bottom + Bottom}\" role=\"img\" aria-label=\"Balanced accuracy of {rows.Length} rows with intervals; the numbers are in the table below.\">");
        for (double tick = low; tick <= high + 1e-9; tick += 0.1)
        {
            html.Add($"<line class=\"grid\" x1=\"{X(tick):0.##}\" x2=\"{X(tick):0.##}\" y1=\"{Top}\" y2=\"{bottom}\"/><text text-anchor=\"middle\" x=\"{X(tick):0.##}\" y=\"{bottom + 18}\">{Numbers.Whole(tick)} %</text>");
        }

        html.Add($"<line class=\"diagonal\" x1=\"{X(guessing):0.##}\" x2=\"{X(guessing):0.##}\" y1=\"{Top}\" y2=\"{bottom}\"><title>guessing</title></line>");
        for (int i = 0; i < rows.Length; i++)
        {
            Estimate estimate = rows[i].Metrics!.BalancedAccuracy;
            double y = Top + ((i + 0.5) * RowHeight);
            html.Add($"<text text-anchor=\"end\" x=\"{NameWidth - 12}\" y=\"{y + 4}\">{rows[i].Name}</text>");
            html.Add($"<g class=\"s0\"><line class=\"line\" x1=\"{X(estimate.Interval.Low):0.##}\" x2=\"{X(estimate.Interval.High):0.##}\" y1=\"{y}\" y2=\"{y}\"/><circle class=\"p\" cx=\"{X(estimate.Value):0.##}\" cy=\"{y}\" r=\"4.5\"><title>{rows[i].Name}: {Numbers.Percent(estimate.Value)}</title></circle></g>");
        }

        return html.Add($"</svg>").ToMarkup();

        double X(double value) => NameWidth + (PlotWidth * (value - low) / (high - low));
    }

    private static Markup Name(AblationRow row) => HtmlBuilder.Piece($"<span class=\"wide\">{row.Name}</span>");

    private static Markup Percent(Estimate estimate) =>
        Page.Text($"{Numbers.Percent(estimate.Value)} ({Numbers.Whole(estimate.Interval.Low)} to {Numbers.Whole(estimate.Interval.High)})");

    private static Markup Points(Estimate? gain) => gain is null
        ? Page.Text("–")
        : Page.Text(FormattableString.Invariant(
            $"{100 * gain.Value:+0.0;−0.0;0.0} ({100 * gain.Interval.Low:+0.0;−0.0;0.0} to {100 * gain.Interval.High:+0.0;−0.0;0.0})"));
}
