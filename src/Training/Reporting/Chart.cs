using System.Globalization;
using System.Text;

namespace CudaTrainer.Training.Reporting;

internal enum SeriesKind
{
    /// <summary>Straight from point to point, with a mark at each while there are few.</summary>
    Line,

    /// <summary>Straight from point to point, without marks.</summary>
    Curve,

    /// <summary>Bars from the bottom of the chart, each from its point to the next one's x.</summary>
    Bars,
}

/// <param name="Style">Decides colour, dashes and marks together, so that nothing hangs on the colour alone.</param>
/// <param name="Points">A point that is not finite interrupts the line.</param>
/// <param name="Titles">What a point says when pointed at; its numbers where left out.</param>
internal sealed record Series(string Name, int Style, IReadOnlyList<(double X, double Y)> Points, SeriesKind Kind = SeriesKind.Line,
    IReadOnlyList<string>? Titles = null)
{
    /// <summary>For bars: the width of each, in units of x.</summary>
    public double BarWidth { get; init; }
}

/// <summary>A chart as inline SVG, with a legend in text. Everything that looks is in the page's style sheet, by class.</summary>
internal sealed record Chart
{
    public const int Styles = 6;

    /// <summary>Points beyond which a line has no marks: they would cover it, and each is an element of the page.</summary>
    private const int MostMarks = 120;

    /// <summary>A line of more points than the chart has pixels is thinned to the extremes of each column.</summary>
    private const int MostPoints = 2000;

    private const double Width = 420, Height = 268, Left = 54, Right = 14, Bottom = 44;

    public required string Title { get; init; }

    /// <summary>What a reader who does not see the chart is told.</summary>
    public required string Description { get; init; }

    public required Axis X { get; init; }

    public required Axis Y { get; init; }

    public IReadOnlyList<Series> Series { get; init; } = [];

    /// <summary>Vertical lines with a name, for example the best epoch.</summary>
    public IReadOnlyList<(double X, string Name)> Marks { get; init; } = [];

    /// <summary>Draws the line from corner to corner that means guessing, or perfect calibration, under this name.</summary>
    public string? Diagonal { get; init; }

    /// <summary>A chart of lines whose axes fit them.</summary>
    public static Chart Of(
        string title, string description, string x, string y, IReadOnlyList<Series> series, bool wholeX = true,
        double least = double.NegativeInfinity, double most = double.PositiveInfinity) => new()
        {
            Title = title,
            Description = description,
            X = Axis.Around(x, series.SelectMany(line => line.Points).Select(point => point.X), 6, wholeX) is var axis
            ? Tight(axis, series)
            : axis,
            Y = Axis.Around(y, series.SelectMany(line => line.Points).Select(point => point.Y), 5, least: least, most: most),
            Series = series,
        };

    /// <summary>Names of marks stand above the lines.</summary>
    private double Top => Marks.Count > 0 ? 26 : 14;

    public Markup ToMarkup()
    {
        var html = new HtmlBuilder();
        html.Add($"<figure class=\"chart\"><figcaption>{Title}</figcaption>");
        html.Add($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Title}. {Description}\">");
        AddGrid(html);
        if (Diagonal is { } diagonal)
        {
            html.Add($"<line class=\"diagonal\" x1=\"{At(PixelX(X.From))}\" y1=\"{At(PixelY(Y.From))}\" x2=\"{At(PixelX(X.To))}\" y2=\"{At(PixelY(Y.To))}\"><title>{diagonal}</title></line>");
        }

        foreach (Series series in Series.Where(series => series.Points.Count > 0))
        {
            AddSeries(html, series);
        }

        AddMarks(html);
        html.Add($"</svg>");
        if (Series.Count > 1 || Diagonal is not null)
        {
            AddLegend(html);
        }

        return html.Add($"</figure>").ToMarkup();
    }

    /// <summary>The shape of a style's mark around a point, for lines and for legends.</summary>
    private static Markup Mark(int style, double x, double y) => (style % 4) switch
    {
        0 => HtmlBuilder.Piece($"<circle class=\"p s{style}\" cx=\"{At(x)}\" cy=\"{At(y)}\" r=\"2.6\"/>"),
        1 => HtmlBuilder.Piece($"<path class=\"p s{style}\" d=\"M{At(x)} {At(y - 3.4)}l3.2 5.8h-6.4z\"/>"),
        2 => HtmlBuilder.Piece($"<rect class=\"p s{style}\" x=\"{At(x - 2.5)}\" y=\"{At(y - 2.5)}\" width=\"5\" height=\"5\"/>"),
        _ => HtmlBuilder.Piece($"<path class=\"p s{style}\" d=\"M{At(x)} {At(y - 3.6)}l3.6 3.6l-3.6 3.6l-3.6 -3.6z\"/>"),
    };

    private static string At(double pixels) => pixels.ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>Epochs have no room before the first and behind the last.</summary>
    private static Axis Tight(Axis axis, IReadOnlyList<Series> series)
    {
        double[] xs = [.. series.SelectMany(line => line.Points).Select(point => point.X).Where(double.IsFinite)];
        return xs.Length == 0 || xs.Min() == xs.Max() ? axis : Axis.Between(axis.Label, xs.Min(), xs.Max(), axis.Step);
    }

    /// <summary>Of each run of points that fall into one column of pixels, the lowest and the highest.</summary>
    private static IReadOnlyList<(double X, double Y)> Thin(IReadOnlyList<(double X, double Y)> points)
    {
        if (points.Count <= MostPoints)
        {
            return points;
        }

        int perColumn = (points.Count + (MostPoints / 2) - 1) / (MostPoints / 2);
        return [.. points.Chunk(perColumn).SelectMany(column =>
        {
            (double X, double Y) low = column.MinBy(point => point.Y), high = column.MaxBy(point => point.Y);
            return low == high ? [low] : low.X <= high.X ? new[] { low, high } : [high, low];
        })];
    }

    private double PixelX(double x) => Left + (X.Place(x) * (Width - Left - Right));

    private double PixelY(double y) => Height - Bottom - (Y.Place(y) * (Height - Top - Bottom));

    private void AddGrid(HtmlBuilder html)
    {
        foreach (double tick in Y.Ticks)
        {
            html.Add($"<line class=\"grid\" x1=\"{At(Left)}\" y1=\"{At(PixelY(tick))}\" x2=\"{At(Width - Right)}\" y2=\"{At(PixelY(tick))}\"/><text class=\"tick\" text-anchor=\"end\" x=\"{At(Left - 7)}\" y=\"{At(PixelY(tick) + 4)}\">{Y.Text(tick)}</text>");
        }

        foreach (double tick in X.Ticks)
        {
            html.Add($"<line class=\"axis\" x1=\"{At(PixelX(tick))}\" y1=\"{At(Height - Bottom)}\" x2=\"{At(PixelX(tick))}\" y2=\"{At(Height - Bottom + 4)}\"/><text class=\"tick\" text-anchor=\"middle\" x=\"{At(PixelX(tick))}\" y=\"{At(Height - Bottom + 17)}\">{X.Text(tick)}</text>");
        }

        html.Add($"<line class=\"axis\" x1=\"{At(Left)}\" y1=\"{At(Height - Bottom)}\" x2=\"{At(Width - Right)}\" y2=\"{At(Height - Bottom)}\"/>");
        html.Add($"<text class=\"label\" text-anchor=\"middle\" x=\"{At((Left + Width - Right) / 2)}\" y=\"{At(Height - 8)}\">{X.Label}</text>");
        html.Add($"<text class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90)\" x=\"{At(-(Top + Height - Bottom) / 2)}\" y=\"12\">{Y.Label}</text>");
    }

    private void AddSeries(HtmlBuilder html, Series series)
    {
        if (series.Kind == SeriesKind.Bars)
        {
            AddBars(html, series);
            return;
        }

        html.Add($"<path class=\"line s{series.Style}\" d=\"{new Markup(Path(Thin(series.Points)))}\"><title>{series.Name}</title></path>");
        if (series.Kind == SeriesKind.Line && series.Points.Count <= MostMarks)
        {
            for (int i = 0; i < series.Points.Count; i++)
            {
                (double x, double y) = series.Points[i];
                if (double.IsFinite(x) && double.IsFinite(y))
                {
                    html.Add($"<g>{Mark(series.Style, PixelX(x), PixelY(y))}<title>{TitleOf(series, i)}</title></g>");
                }
            }
        }
    }

    private void AddBars(HtmlBuilder html, Series series)
    {
        for (int i = 0; i < series.Points.Count; i++)
        {
            (double x, double y) = series.Points[i];
            if (double.IsFinite(y) && y != Y.From)
            {
                html.Add($"<rect class=\"bar s{series.Style}\" x=\"{At(PixelX(x))}\" y=\"{At(PixelY(y))}\" width=\"{At(Math.Max(1, PixelX(x + series.BarWidth) - PixelX(x) - 1))}\" height=\"{At(PixelY(Y.From) - PixelY(y))}\"><title>{TitleOf(series, i)}</title></rect>");
            }
        }
    }

    private string TitleOf(Series series, int point) => series.Titles?[point]
        ?? $"{series.Name}: {Numbers.General(series.Points[point].Y)} at {X.Label} {Numbers.General(series.Points[point].X)}";

    private string Path(IReadOnlyList<(double X, double Y)> points)
    {
        var path = new StringBuilder();
        bool broken = true;
        foreach ((double x, double y) in points)
        {
            if (!double.IsFinite(x) || !double.IsFinite(y))
            {
                broken = true;
                continue;
            }

            path.Append(broken ? 'M' : 'L').Append(At(PixelX(x))).Append(' ').Append(At(PixelY(Math.Clamp(y, Y.From, Y.To))));
            broken = false;
        }

        return path.ToString();
    }

    private void AddMarks(HtmlBuilder html)
    {
        foreach ((double x, string name) in Marks.Where(mark => X.Place(mark.X) is >= 0 and <= 1))
        {
            double place = X.Place(x);
            string anchor = place > 0.7 ? "end" : place < 0.3 ? "start" : "middle";
            html.Add($"<line class=\"mark\" x1=\"{At(PixelX(x))}\" y1=\"{At(Top)}\" x2=\"{At(PixelX(x))}\" y2=\"{At(Height - Bottom)}\"><title>{name}</title></line>");
            html.Add($"<text class=\"marked\" text-anchor=\"{anchor}\" x=\"{At(PixelX(x))}\" y=\"{At(Top - 8)}\">{name}</text>");
        }
    }

    private void AddLegend(HtmlBuilder html)
    {
        html.Add($"<ul class=\"legend\">");
        foreach (Series series in Series)
        {
            Markup swatch = series.Kind == SeriesKind.Bars
                ? HtmlBuilder.Piece($"<rect class=\"bar s{series.Style}\" x=\"5\" y=\"1\" width=\"16\" height=\"10\"/>")
                : HtmlBuilder.Piece(
                    $"<path class=\"line s{series.Style}\" d=\"M1 " +
                        $"6H27\"/>{(series.Kind == SeriesKind.Line ? Mark(series.Style, 14, 6) : new Markup(string.Empty))}");
            html.Add($"<li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\">{swatch}</svg>{series.Name}</li>");
        }

        if (Diagonal is { } diagonal)
        {
            html.Add($"<li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\"><path class=\"diagonal\" d=\"M1 6H27\"/></svg>{diagonal}</li>");
        }

        html.Add($"</ul>");
    }
}
