using System.Globalization;
using CudaTrainer.Training.Reporting;

namespace CudaTrainer.Training.Studies;

/// <summary>A search as a page: what it is worth, every trial's place on the validation parts, and the table.</summary>
internal static class TunePage
{
    private const double NameWidth = 90, PlotWidth = 620, RowHeight = 22, Top = 10, Bottom = 36;

    /// <summary>Trials in the picture; the table has all.</summary>
    private const int MostRows = 30;

    /// <param name="names">What was searched.</param>
    public static string Render(TuneResult result, IReadOnlyList<string> names) =>
        Page.Render("Search", Subtitle(result), [("search", "What searching is worth", Content(result, names))]);

    private static Markup Subtitle(TuneResult result) => HtmlBuilder.Piece(
        $"{Numbers.Plural(result.Clips, "clip")} from {Numbers.Plural(result.Sources, "source")}; {Numbers.Plural(result.Folds, "fold")}, {Numbers.Plural(result.Seeds, "seed")}; {result.Device}");

    private static Markup Content(TuneResult result, IReadOnlyList<string> names)
    {
        var html = new HtmlBuilder();
        html.Add($"<p>Options are chosen on the validation part of each fold and judged on its test part, which they have not seen: balanced accuracy {Percent(result.Metrics.BalancedAccuracy)} with what was found, {Percent(result.Given.BalancedAccuracy)} with what was given, gain {Points(result.Gain)} points. Dots are areas under the ROC curve on the validation parts: blue after whole trainings, orange where a trial went no further than a shorter one.</p>");
        html.Add($"<figure class=\"clip\"><div class=\"film\" role=\"region\" aria-label=\"Validation of every trial\" tabindex=\"0\">{Plot(result)}</div></figure>");
        html.Add(Page.Table(
            "Trials, the best first; validation: area under the ROC curve, mean over the folds in which the trial got so far",
            [">trial", ">best in folds", ">validation", ">epochs", .. names],
            result.Trials.Select(trial => (IReadOnlyList<Markup>)
            [
                Page.Text(trial.Number == 0 ? "given" : trial.Number.ToString(CultureInfo.InvariantCulture)),
                Page.Text(trial.Folds.ToString(CultureInfo.InvariantCulture)), Page.Text(Numbers.Fraction(trial.ValidationAuc)),
                Page.Text(trial.Epochs == 0 ? "–" : trial.Epochs.ToString(CultureInfo.InvariantCulture)),
                .. names.Select(name => Page.Text(trial.Settings.GetValueOrDefault(name, "–"))),
            ])));
        return html.ToMarkup();
    }

    private static Markup Plot(TuneResult result)
    {
        Trial[] rows = [.. result.Trials.Where(trial => double.IsFinite(trial.ValidationAuc)).Take(MostRows)];
        double low = Math.Floor(10 * rows.Select(trial => trial.ValidationAuc).DefaultIfEmpty(0.5).Min()) / 10;
        int most = rows.Select(trial => trial.Epochs).DefaultIfEmpty(0).Max();
        double bottom = Top + (rows.Length * RowHeight), width = NameWidth + PlotWidth + 30;
        var html = new HtmlBuilder();
        html.Add($"<svg viewBox=\"0 0 {width} {bottom + Bottom}\" role=\"img\" aria-label=\"Area under the ROC curve of {rows.Length} trials; the numbers are in the table below.\">");
        for (double tick = low; tick <= 1 + 1e-9; tick += 0.1)
        {
            html.Add($"<line class=\"grid\" x1=\"{X(tick):0.##}\" x2=\"{X(tick):0.##}\" y1=\"{Top}\" y2=\"{bottom}\"/><text text-anchor=\"middle\" x=\"{X(tick):0.##}\" y=\"{bottom + 18}\">{tick:0.0}</text>");
        }

        for (int i = 0; i < rows.Length; i++)
        {
            Trial trial = rows[i];
            double y = Top + ((i + 0.5) * RowHeight);
            string name = trial.Number == 0 ? "given" : $"trial {trial.Number}";
            string series = trial.Epochs is 0 || trial.Epochs == most ? "s0" : "s1";
            string what = string.Join(", ", trial.Settings.Select(setting => $"{setting.Key} {setting.Value}"));
            html.Add($"<text text-anchor=\"end\" x=\"{NameWidth - 12}\" y=\"{y + 4}\">{name}</text>");
            html.Add($"<g class=\"{series}\"><circle class=\"p\" cx=\"{X(trial.ValidationAuc):0.##}\" cy=\"{y}\" r=\"4.5\"><title>{name}: {Numbers.Fraction(trial.ValidationAuc)} {what}</title></circle></g>");
        }

        return html.Add($"</svg>").ToMarkup();

        double X(double value) => NameWidth + (PlotWidth * (value - low) / Math.Max(1 - low, 0.1));
    }

    private static string Percent(Estimate estimate) =>
        $"{Numbers.Percent(estimate.Value)} ({Numbers.Whole(estimate.Interval.Low)} to {Numbers.Whole(estimate.Interval.High)})";

    private static string Points(Estimate gain) => FormattableString.Invariant(
        $"{100 * gain.Value:+0.0;−0.0;0.0} ({100 * gain.Interval.Low:+0.0;−0.0;0.0} to {100 * gain.Interval.High:+0.0;−0.0;0.0})");
}
