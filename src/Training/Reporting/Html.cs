using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace CudaTrainer.Training.Reporting;

/// <summary>Text that is HTML already and must not be escaped again.</summary>
internal readonly record struct Markup(string Text)
{
    public override string ToString() => Text;
}

/// <summary>
/// HTML under construction. Whatever stands in the holes of an interpolated string is escaped, numbers are written the same in every
/// culture; only <see cref="Markup"/> goes in as it is.
/// So a clip's name cannot become a part of the page.
/// </summary>
internal sealed class HtmlBuilder
{
    private readonly StringBuilder _text = new();

    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (char letter in text)
        {
            escaped.Append(letter switch
            {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",

                // HTML has no control characters, and these can make a name look like another one.
                < ' ' and not ('\t' or '\n') or '\u007f' => "\ufffd",
                >= '\u0080' and <= '\u009f' => "\ufffd",
                >= '\u202a' and <= '\u202e' or >= '\u2066' and <= '\u2069' or '\u200e' or '\u200f' => "\ufffd",
                _ => letter.ToString(),
            });
        }

        return escaped.ToString();
    }

    /// <summary>A piece of HTML on its own, escaped in the same way.</summary>
    public static Markup Piece(ref Handler html) => new(html.Text);

    public static Markup Join(IEnumerable<Markup> pieces) => new(string.Concat(pieces.Select(piece => piece.Text)));

    public HtmlBuilder Add(ref Handler html)
    {
        _text.Append(html.Text).Append('\n');
        return this;
    }

    public HtmlBuilder Add(Markup markup)
    {
        _text.Append(markup.Text).Append('\n');
        return this;
    }

    public Markup ToMarkup() => new(_text.ToString());

    public override string ToString() => _text.ToString();

    [InterpolatedStringHandler]
    internal readonly ref struct Handler
    {
        private readonly StringBuilder _text;

        public Handler(int literalLength, int formattedCount) => _text = new StringBuilder(literalLength + (16 * formattedCount));

        public string Text => _text.ToString();

        public void AppendLiteral(string text) => _text.Append(text);

        public void AppendFormatted(Markup markup) => _text.Append(markup.Text);

        public void AppendFormatted(string? text) => _text.Append(Escape(text ?? string.Empty));

        public void AppendFormatted<T>(T value, string? format = null)
            where T : IFormattable => _text.Append(Escape(value.ToString(format, CultureInfo.InvariantCulture)));
    }
}
