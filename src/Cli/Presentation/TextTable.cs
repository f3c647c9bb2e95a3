using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>A cell of plain text; styles are seen on terminals only.</summary>
internal readonly record struct Cell(string Text, Style? Style = null)
{
    public static implicit operator Cell(string text) => new(text);
}

/// <summary>
/// A table that reads well on a terminal and in a file: aligned columns, no frame, no wrapping, nothing after the last word of a line.
/// </summary>
/// <param name="titles">A title that starts with <c>&gt;</c> aligns its column to the right.</param>
internal sealed class TextTable(params IReadOnlyList<string> titles)
{
    private const string Gap = "   ";
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
        foreach (Cell[] row in _rows)
        {
            int last = Array.FindLastIndex(row, cell => cell.Text.Length > 0);
            for (int column = 0; column <= last; column++)
            {
                (string? text, Style? style) = row[column];
                string padding = new(' ', widths[column] - text.Length);
                bool right = titles[column].StartsWith('>');
                console.Write(new Text((column > 0 ? Gap : "") + (right ? padding : "")));
                console.Write(new Text(text, style));
                console.Write(new Text(right || column == last ? "" : padding));
            }

            console.WriteLine();
        }
    }

    /// <summary>File names may hold anything, a terminal's control codes included.</summary>
    internal static string Printable(string text) =>
        text.Any(char.IsControl) ? string.Concat(text.Select(letter => char.IsControl(letter) ? '\uFFFD' : letter)) : text;
}
