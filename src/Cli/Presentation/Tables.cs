using Spectre.Console;

namespace CudaTrainer.Cli.Presentation;

/// <summary>Tables that read well on a terminal and in a file: aligned columns, no frames.</summary>
internal static class Tables
{
    /// <param name="columns">Titles; one that starts with <c>&gt;</c> is aligned to the right.</param>
    public static Table Create(params ReadOnlySpan<string> columns)
    {
        var table = new Table().Border(TableBorder.None);
        foreach (string column in columns)
        {
            bool right = column.StartsWith('>');
            var added = new TableColumn(new Text(right ? column[1..] : column, new Style(decoration: Decoration.Bold)))
            {
                Alignment = right ? Justify.Right : Justify.Left,
                NoWrap = true,
                Padding = new Padding(0, 0, 3, 0),
            };
            table.AddColumn(added);
        }

        return table;
    }

    /// <summary>Adds a row of plain text.</summary>
    public static Table Row(this Table table, params ReadOnlySpan<string> cells)
    {
        List<Text> row = [];
        foreach (string cell in cells)
        {
            row.Add(new Text(cell));
        }

        return table.AddRow(row);
    }
}
