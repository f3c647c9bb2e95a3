using System.Security.Cryptography;
using System.Text;

namespace CudaTrainer.Training.Reporting;

/// <summary>
/// What all pages share: the frame with style sheet and content policy, sections, tables. A page has no script, and asks for nothing.
/// </summary>
internal static class Page
{
    /// <summary>The style sheet of charts alone.</summary>
    public static string ChartStyle { get; } = ReadStyle("chart.css");

    /// <summary>The style sheet.</summary>
    public static string Style { get; } = ChartStyle + ReadStyle("report.css");

    /// <param name="title">Of the document and its first heading.</param>
    /// <param name="subtitle">Below it.</param>
    /// <param name="sections">Identifier, heading and content.</param>
    public static string Render(string title, Markup subtitle, IReadOnlyList<(string Id, string Heading, Markup Content)> sections)
    {
        // A data URI is all that a page may load, and the style sheet is known by its hash: what hides in a clip's name could not run even
        // if it were not escaped.
        string hash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Style)));
        var html = new HtmlBuilder();
        html.Add($"<!DOCTYPE html>");
        html.Add($"<html lang=\"en\">");
        html.Add($"<head>");
        html.Add($"<meta charset=\"utf-8\">");
        html.Add($"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-{new Markup(hash)}'; base-uri 'none'; form-action 'none'\">");
        html.Add($"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.Add($"<meta name=\"color-scheme\" content=\"light dark\">");
        html.Add($"<meta name=\"generator\" content=\"CudaTrainer\">");
        html.Add($"<title>{title}</title>");
        html.Add($"<style>{new Markup(Style)}</style>");
        html.Add($"</head>");
        html.Add($"<body>");
        html.Add($"<a class=\"skip\" href=\"#{sections[0].Id}\">Skip to the content</a>");
        html.Add($"<header><div class=\"inner\">");
        html.Add($"<div class=\"top\"><p class=\"brand\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"M3 19l6-8 4 4 8-11\"/><circle cx=\"21\" cy=\"4\" r=\"1.6\"/></svg>CudaTrainer</p>");
        html.Add($"<fieldset class=\"theme\"><legend>Colours</legend><label><input type=\"radio\" name=\"theme\" id=\"theme-auto\" checked><span>Auto</span></label><label><input type=\"radio\" name=\"theme\" id=\"theme-light\"><span>Light</span></label><label><input type=\"radio\" name=\"theme\" id=\"theme-dark\"><span>Dark</span></label></fieldset></div>");
        html.Add($"<h1>{title}</h1>");
        html.Add($"<p class=\"subtitle\">{subtitle}</p>");
        html.Add($"</div></header>");
        html.Add($"<nav aria-label=\"Sections\"><ul class=\"inner\">");
        foreach ((string id, string heading, _) in sections)
        {
            html.Add($"<li><a href=\"#{id}\">{heading}</a></li>");
        }

        html.Add($"</ul></nav>");
        html.Add($"<main class=\"inner\">");
        foreach ((string id, string heading, Markup content) in sections)
        {
            html.Add($"<section id=\"{id}\" aria-labelledby=\"{id}-heading\"><h2 id=\"{id}-heading\">{heading}</h2>");
            html.Add(content);
            html.Add($"</section>");
        }

        html.Add($"</main>");
        html.Add($"<footer><p class=\"inner\">One file, no scripts, nothing loaded from anywhere. Numbers come from the files beside it.</p></footer>");
        html.Add($"</body>");
        html.Add($"</html>");
        return html.ToString();
    }

    /// <summary>A table that scrolls by itself where it is too wide, also by keyboard.</summary>
    /// <param name="caption">Says what the table is.</param>
    /// <param name="columns">Those that start with &gt; hold numbers.</param>
    /// <param name="rows">The first cell of a row is its header.</param>
    public static Markup Table(string caption, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<Markup>> rows,
        bool hidesCaption = false)
    {
        var html = new HtmlBuilder();
        html.Add($"<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\"><table><caption{new Markup(hidesCaption ? " class=\"unseen\"" : string.Empty)}>{caption}</caption><thead><tr>");
        foreach (string column in columns)
        {
            bool isNumber = column.StartsWith('>');
            html.Add($"<th scope=\"col\"{Number(isNumber)}>{(isNumber ? column[1..] : column)}</th>");
        }

        html.Add($"</tr></thead><tbody>");
        foreach (IReadOnlyList<Markup> row in rows)
        {
            html.Add($"<tr><th scope=\"row\"{Number(columns[0].StartsWith('>'))}>{row[0]}</th>");
            for (int i = 1; i < row.Count; i++)
            {
                html.Add($"<td{Number(columns[i].StartsWith('>'))}>{row[i]}</td>");
            }

            html.Add($"</tr>");
        }

        return html.Add($"</tbody></table></div>").ToMarkup();

        static Markup Number(bool isNumber) => new(isNumber ? " class=\"number\"" : string.Empty);
    }

    public static Markup Text(string text) => HtmlBuilder.Piece($"{text}");

    /// <summary>A clip's or file's name, apart from the text around it in whatever direction it is written.</summary>
    public static Markup Path(string path) => HtmlBuilder.Piece($"<bdi class=\"path\">{path}</bdi>");

    public static Markup Details(string summary, Markup content) =>
        HtmlBuilder.Piece($"<details><summary>{summary}</summary>{content}</details>");

    public static Markup Grid(params IEnumerable<Markup> charts) =>
        HtmlBuilder.Piece($"<div class=\"charts\">{HtmlBuilder.Join(charts)}</div>");

    private static string ReadStyle(string name)
    {
        using Stream stream = typeof(Page).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
