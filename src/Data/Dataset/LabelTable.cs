using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>What clips show, as a CSV file with the columns path and class says, whatever folders they lie in.</summary>
internal sealed class LabelTable
{
    private const string Hint = "The first line names the columns: path,class.";

    private readonly Dictionary<string, int> _labels;

    private LabelTable(string path, ClassList classes, Dictionary<string, int> labels)
    {
        Path = path;
        Classes = classes;
        _labels = labels;
    }

    public string Path { get; }

    public ClassList Classes { get; }

    /// <summary>The label of a clip; null where the table does not name it, or its class is left out.</summary>
    public int? this[string relativePath] => _labels.TryGetValue(relativePath, out int label) ? label : null;

    /// <summary>As <see cref="Read"/>.</summary>
    /// <exception cref="DatasetException">There is no such file.</exception>
    public static LabelTable Open(string path, string root, IReadOnlySet<string> clips, ClassMerge? merge, ClassList? known = null) =>
        File.Exists(path)
        ? Read(path, root, clips, merge, known)
        : throw new DatasetException($"The table of labels '{path}' does not exist. Check {SettingName.Of("Labels")}.");

    /// <summary>Reads a table and compares it with the clips found.</summary>
    /// <param name="path">The CSV file.</param>
    /// <param name="root">The dataset's folder, to which the paths in the table are relative; if not found there, the table's own
    /// folder.</param>
    /// <param name="clips">Every clip by relative path.</param>
    /// <param name="merge">Which classes of the table are put together; null for none.</param>
    /// <param name="known">Classes of which some are enough; null where there have to be two.</param>
    /// <exception cref="FileFormatException">It is unusable, contradicts itself, or names files that are not there.</exception>
    public static LabelTable Read(string path, string root, IReadOnlySet<string> clips, ClassMerge? merge, ClassList? known = null)
    {
        path = System.IO.Path.GetFullPath(path);
        IReadOnlyList<CsvRecord> records = CsvFile.Read(path);
        if (records.Count < 2)
        {
            throw new FileFormatException(path, "it labels no clip", Hint);
        }

        int columns = records[0].Fields.Count, pathColumn = ClipTable.Column(path, records[0], "path", Hint),
            classColumn = ClipTable.Column(path, records[0], "class", Hint);
        Dictionary<string, (string Class, int Line)> rows = new(StringComparer.Ordinal);
        List<string> missing = [];
        foreach (CsvRecord record in records.Skip(1))
        {
            if (record.Fields.Count != columns)
            {
                throw new FileFormatException(path, $"line {record.Line} has {record.Fields.Count} fields, expected {columns}", Hint);
            }

            string name = record.Fields[classColumn].Trim();
            if (name.Length == 0)
            {
                throw new FileFormatException(path, $"line {record.Line} gives no class", "Name one, or remove the line.");
            }

            if (ClipTable.Resolve(record.Fields[pathColumn], root, path, clips.Contains) is not { } clip)
            {
                missing.Add($"line {record.Line} '{record.Fields[pathColumn]}'");
            }
            else if (!rows.TryAdd(clip, (name, record.Line))
                && !rows[clip].Class.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                throw new FileFormatException(
                    path, $"'{clip}' is '{rows[clip].Class}' on line {rows[clip].Line} and '{name}' on line {record.Line}",
                    "Keep one of the two lines.");
            }
        }

        if (missing.Count > 0)
        {
            throw new FileFormatException(
                path, $"{missing.Count} of its {records.Count - 1} lines label videos that do not exist: {ClipTable.Lines(missing)}",
                $"Paths are relative to '{root}'. Correct the paths, or remove the lines.");
        }

        string[] named = [.. rows.Values.Select(row => row.Class)];
        if (merge?.Folders.FirstOrDefault(folder => !named.Contains(folder, StringComparer.OrdinalIgnoreCase)) is { } unknown)
        {
            throw new FileFormatException(path, $"no line has the class '{unknown}', which {SettingName.Of("Classes")} names",
                $"It has {string.Join(", ", named.Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal))}.");
        }

        ClassList classes = merge?.Classes
            ?? (known is not null && named.All(name => known.TryParse(name, out _)) ? known : ClassList.Named(named))
            ?? throw new FileFormatException(path, $"every clip is '{named[0]}'", "There have to be two classes or more.");
        return new LabelTable(path, classes, rows
            .Select(row => (row.Key, Class: merge is null ? row.Value.Class : merge.ClassOf(row.Value.Class)))
            .Where(row => row.Class is not null)
            .ToDictionary(row => row.Key, row => classes.TryParse(row.Class!, out int label) ? label : 0, StringComparer.Ordinal));
    }
}
