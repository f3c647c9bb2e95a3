using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using CudaTrainer.Training.Pictures;
using SkiaSharp;

namespace CudaTrainer.Training.Reporting;

/// <summary>
/// A chart of the report as a PNG file, for viewers that show no SVG: the drawing of the page in the light colours of its style sheet.
/// Letters come from a font in the program, so that equal charts give equal files whatever is installed. Of SVG and CSS it knows what
/// charts use.
/// </summary>
internal static class ChartPicture
{
    /// <summary>Pixels of every picture.</summary>
    public const int Width = Scale * 448, Height = Scale * 338;

    private const int Scale = 2, Margin = 14, CaptionBaseline = 25, DrawingTop = 36, LegendTop = 314;

    private static readonly SKTypeface Letters = ReadLetters();

    /// <summary>Colours of the page, by name.</summary>
    private static readonly Dictionary<string, string> Colours = Regex.Matches(Page.Style, @"(--\w+): light-dark\((#\w+),")
        .ToDictionary(colour => colour.Groups[1].Value, colour => colour.Groups[2].Value);

    /// <summary>Rules of the style sheet in its order: the elements and classes one must have or be in, and what then holds.</summary>
    private static readonly (string[] Selector, (string Name, string Value)[] Properties)[] Rules =
    [
        .. Regex.Matches(Page.Style, @"^([\w.][\w. -]*) \{ (.*) \}$", RegexOptions.Multiline).Select(rule => (
            Regex.Matches(rule.Groups[1].Value, @"\.?[\w-]+").Select(part => part.Value).ToArray(),
            Regex.Matches(rule.Groups[2].Value, @"([\w-]+): ([^;]+)").Select(pair => (pair.Groups[1].Value, pair.Groups[2].Value))
                .ToArray())),
    ];

    /// <param name="chart">A figure with a caption, a drawing and, where it has several lines, a legend.</param>
    public static byte[] Draw(Markup chart)
    {
        var figure = XElement.Parse(chart.Text);
        using var picture = new SKBitmap(Width, Height, SKColorType.Rgb888x, SKAlphaType.Opaque);
        using var canvas = new SKCanvas(picture);
        canvas.Clear(SKColor.Parse(Colours["--card"]));
        canvas.Scale(Scale);
        XElement caption = figure.Element("figcaption")!;
        DrawText(canvas, caption.Value, Margin, CaptionBaseline, SKTextAlign.Left, StyleOf(caption), "color");
        canvas.Translate(Margin, DrawingTop);
        Draw(canvas, figure.Element("svg")!);
        canvas.Translate(0, LegendTop - DrawingTop);
        const float TextLeft = 35, Baseline = 10.5f, Gap = 16, Room = (Width / Scale) - (2 * Margin);
        XElement[] legend = [.. figure.Elements("ul").Elements()];
        float needed = legend.Sum(entry => TextLeft + Gap + DrawText(null, entry.Value, 0, 0, SKTextAlign.Left, StyleOf(entry), "color"));
        if (needed - Gap > Room)
        {
            canvas.Scale(Room / (needed - Gap));
        }

        foreach (XElement entry in legend)
        {
            Draw(canvas, entry.Element("svg")!);
            canvas.Translate(TextLeft, 0);
            canvas.Translate(DrawText(canvas, entry.Value, 0, Baseline, SKTextAlign.Left, StyleOf(entry), "color") + Gap, 0);
        }

        return Png.Encode(picture);
    }

    private static void Draw(SKCanvas canvas, XElement element)
    {
        Dictionary<string, string> style = StyleOf(element);
        if (element.Name.LocalName is "svg" or "g")
        {
            foreach (XElement part in element.Elements())
            {
                Draw(canvas, part);
            }
        }
        else if (element.Name.LocalName == "text")
        {
            using var turned = new SKAutoCanvasRestore(canvas);
            if (element.Attribute("transform") is not null)
            {
                // The only one there is, that of the vertical axis.
                canvas.RotateDegrees(-90);
            }

            SKTextAlign align = Of(element, "text-anchor") switch
            {
                "middle" => SKTextAlign.Center,
                "end" => SKTextAlign.Right,
                _ => SKTextAlign.Left,
            };
            DrawText(canvas, element.Value, Number(Of(element, "x")), Number(Of(element, "y")), align, style, "fill");
        }
        else if (Outline(element) is { } outline)
        {
            using var path = SKPath.ParseSvgPathData(outline);
            foreach (string property in (string[])["fill", "stroke"])
            {
                using SKPaint? paint = Paint(style, property);
                if (paint is not null)
                {
                    canvas.DrawPath(path, paint);
                }
            }
        }
    }

    /// <summary>Draws a line of text over its own outline, if it has one.</summary>
    /// <param name="canvas">Null to measure it only.</param>
    /// <param name="ink">The property with its colour.</param>
    /// <returns>Its width.</returns>
    private static float DrawText(SKCanvas? canvas, string text, float x, float y, SKTextAlign align, Dictionary<string, string> style,
        string ink)
    {
        using var font = new SKFont(Letters, Number(style.GetValueOrDefault("font-size", "16px")))
        {
            Subpixel = true,
            Hinting = SKFontHinting.None,
            Embolden = Number(style.GetValueOrDefault("font-weight", "400")) >= 600,
        };
        foreach (string property in (string[])["stroke", ink])
        {
            using SKPaint? paint = Paint(style, property);
            if (paint is not null)
            {
                canvas?.DrawText(text, x, y, align, font, paint);
            }
        }

        return font.MeasureText(text);
    }

    /// <summary>A shape as the data of an SVG path; null for what is not seen.</summary>
    private static string? Outline(XElement shape)
    {
        return shape.Name.LocalName switch
        {
            "path" => At("d"),
            "line" => $"M{At("x1")} {At("y1")}L{At("x2")} {At("y2")}",
            "rect" => $"M{At("x")} {At("y")}h{At("width")}v{At("height")}h-{At("width")}z",
            "circle" => $"M{At("cx")} {At("cy")}m-{At("r")} 0{Arc("", "")}{Arc("", "-")}{Arc("-", "-")}{Arc("-", "")}z",
            _ => null,
        };

        string At(string attribute) => Of(shape, attribute);
        string Arc(string x, string y) => $"a{At("r")} {At("r")} 0 0 0 {x}{At("r")} {y}{At("r")}";
    }

    /// <param name="property">"fill", "stroke" or "color".</param>
    /// <returns>Null where it is not to be painted.</returns>
    private static SKPaint? Paint(Dictionary<string, string> style, string property)
    {
        string colour = style.GetValueOrDefault(property, "none");
        if (colour == "none")
        {
            return null;
        }

        var paint = new SKPaint { Color = ColourOf(colour, style), IsAntialias = true, IsStroke = property == "stroke" };
        if (paint.IsStroke)
        {
            paint.StrokeWidth = Number(style.GetValueOrDefault("stroke-width", "1"));
            paint.StrokeJoin = style.ContainsKey("stroke-linejoin") ? SKStrokeJoin.Round : SKStrokeJoin.Miter;
            if (style.TryGetValue("stroke-dasharray", out string? dashes))
            {
                paint.PathEffect = SKPathEffect.CreateDash([.. dashes.Split(' ').Select(Number)], 0);
            }
        }

        return paint;
    }

    private static SKColor ColourOf(string text, Dictionary<string, string> style)
    {
        while (text.Contains("var(", StringComparison.Ordinal))
        {
            text = Regex.Replace(text, @"var\((--\w+)\)", use => style[use.Groups[1].Value]);
        }

        Match mix = Regex.Match(text, @"^color-mix\(in srgb, (#\w+) (\d+)%, (#\w+)\)$");
        if (!mix.Success)
        {
            return SKColor.Parse(text);
        }

        SKColor one = SKColor.Parse(mix.Groups[1].Value), other = SKColor.Parse(mix.Groups[3].Value);
        float share = Number(mix.Groups[2].Value) / 100;
        return new SKColor(Mixed(one.Red, other.Red), Mixed(one.Green, other.Green), Mixed(one.Blue, other.Blue));

        byte Mixed(byte from, byte to) => (byte)MathF.Round((share * from) + ((1 - share) * to));
    }

    /// <summary>What the style sheet says of an element by its name and classes and those of the elements that it is in.</summary>
    private static Dictionary<string, string> StyleOf(XElement element)
    {
        HashSet<string> places = ["body"];
        foreach (XElement place in element.AncestorsAndSelf())
        {
            places.Add(place.Name.LocalName);
            places.UnionWith(Of(place, "class").Split(' ').Select(name => "." + name));
        }

        var style = new Dictionary<string, string>(Colours);
        foreach ((string name, string value) in Rules.Where(rule => rule.Selector.All(places.Contains))
            .SelectMany(rule => rule.Properties))
        {
            style[name] = value;
        }

        return style;
    }

    /// <summary>An attribute; empty if it is not there.</summary>
    private static string Of(XElement element, string attribute) => (string?)element.Attribute(attribute) ?? string.Empty;

    private static float Number(string pixels) => float.Parse(pixels.AsSpan().TrimEnd("px"), CultureInfo.InvariantCulture);

    private static SKTypeface ReadLetters()
    {
        using Stream font = typeof(ChartPicture).Assembly.GetManifestResourceStream("DejaVuSans.ttf")!;
        return SKTypeface.FromStream(font);
    }
}
