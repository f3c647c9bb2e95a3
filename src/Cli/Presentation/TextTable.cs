using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>A cell of plain text; styles are seen on terminals only.</summary>
internal readonly record struct Cell(string Text, Style? Style = null)
{
    public static implicit operator Cell(string text) => new(text);
}

/// <summary>
/// A table that reads well on a terminal and in a file: aligned columns, no frame, no wrapping, nothing after the last word of a line. On a
/// terminal that is too narrow for it, a few lines for each row.
/// </summary>
/// <param name="titles">A title that starts with <c>&gt;</c> aligns its column to the right.</param>
internal sealed class TextTable(params IReadOnlyList<string> titles)
{
    private const string Gap = "   ", Indent = "  ";

    /// <summary>Columns that a text at the end of a row needs: what is longer, the terminal wraps.</summary>
    private const int LastText = 24;

    private static readonly Style TitleStyle = new(decoration: Decoration.Bold);

    private readonly List<Cell[]> _rows = [[.. titles.Select(title => new Cell(title.TrimStart('>'), TitleStyle))]];

    public TextTable Row(params ReadOnlySpan<Cell> cells)
    {
        if (cells.Length != titles.Count)
        {
            throw new ArgumentException($"The row has {cells.Length} cells; the table has {titles.Count} columns.", nameof(cells));
        }

        Cell[] row = new Cell[cells.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = cells[i] with { Text = Printable(cells[i].Text) };
        }

        _rows.Add(row);
        return this;
    }

    public void Write(IAnsiConsole console)
    {
        int[] widths = [.. titles.Select((_, column) => _rows.Max(row => row[column].Text.Length))];
        int last = IsRight(titles.Count - 1) ? widths[^1] : Math.Min(widths[^1], LastText);
        if (console is SizedConsole sized && widths[..^1].Sum(width => width + Gap.Length) + last > sized.Columns)
        {
            WriteLists(console);
        }
        else
        {
            WriteColumns(console, widths);
        }
    }

    private bool IsRight(int column) => titles[column].StartsWith('>');

    private void WriteColumns(IAnsiConsole console, int[] widths)
    {
        foreach (Cell[] row in _rows)
        {
            int last = Array.FindLastIndex(row, cell => cell.Text.Length > 0);
            for (int column = 0; column <= last; column++)
            {
                (string? text, Style? style) = row[column];
                string padding = new(' ', widths[column] - text.Length);
                bool right = IsRight(column);
                console.Write(new Text((column > 0 ? Gap : "") + (right ? padding : "")));
                console.Write(new Text(text, style));
                console.Write(new Text(right || column == last ? "" : padding));
            }

            console.WriteLine();
        }
    }

    /// <summary>Row by row, what stands in each column below each other; a name that begins a row is the heading of its list.</summary>
    private void WriteLists(IAnsiConsole console)
    {
        int width = titles.Max(title => title.TrimStart('>').Length);
        bool named = !IsRight(0);
        foreach (Cell[] row in _rows.Skip(1))
        {
            if (named)
            {
                console.Write(new Text(row[0].Text, row[0].Style ?? TitleStyle));
                console.WriteLine();
            }

            for (int column = named ? 1 : 0; column < row.Length; column++)
            {
                if (row[column].Text.Length > 0)
                {
                    console.Write(new Text($"{Indent}{_rows[0][column].Text.PadRight(width)}{Indent}"));
                    console.Write(new Text(row[column].Text, row[column].Style));
                    console.WriteLine();
                }
            }

            if (!named)
            {
                console.WriteLine();
            }
        }
    }

    /// <summary>
    /// Names and texts of files may hold anything, a terminal's control codes included: line ends are shown as they are typed.
    /// </summary>
    internal static string Printable(string text) => text.Any(char.IsControl)
        ? string.Concat(text.Select(letter => letter switch
        {
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ when char.IsControl(letter) => "\uFFFD",
            _ => letter.ToString(),
        }))
        : text;
}
