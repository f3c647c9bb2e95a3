using System.Globalization;
using System.Text;

namespace CudaTrainer.Bench.Compare;

/// <summary>The results as Markdown, shown while they arrive and written to bench/results/.</summary>
internal sealed class Report
{
    private readonly StringBuilder _text = new();

    public void Heading(string text) => Line($"\n## {text}\n");

    public void Paragraph(string text) => Line($"{text}\n");

    public void Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        Line($"| {string.Join(" | ", columns)} |");
        Line($"|{string.Concat(columns.Select((_, i) => i == 0 ? "---|" : "---:|"))}");
        foreach (IReadOnlyList<string> row in rows)
        {
            Line($"| {string.Join(" | ", row)} |");
        }

        Line(string.Empty);
    }

    public void Save(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, _text.ToString());
    }

    /// <summary>Three significant digits.</summary>
    public static string Number(double value) => value switch
    {
        >= 100 => value.ToString("F0", CultureInfo.InvariantCulture),
        >= 10 => value.ToString("F1", CultureInfo.InvariantCulture),
        >= 1 => value.ToString("F2", CultureInfo.InvariantCulture),
        _ => value.ToString("G3", CultureInfo.InvariantCulture),
    };

    public static string Times(double ratio) => $"{Number(ratio)} ×";

    public void Line(string text)
    {
        Console.WriteLine(text);
        _text.Append(text).Append('\n');
    }
}
