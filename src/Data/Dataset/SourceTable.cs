using CudaTrainer.Formats;

namespace CudaTrainer.Data.Dataset;

/// <summary>Which source each clip was cut from, as a CSV file with the columns path, class and source says.</summary>
internal sealed class SourceTable
{
    /// <summary>The file that is used without being asked for.</summary>
    public const string DefaultName = "sources.csv";

    private const string Hint = "The first line names the columns: path,class,source.";
    private readonly Dictionary<string, string> _sources;

    private SourceTable(string path, Dictionary<string, string> sources, IReadOnlyList<string> warnings)
    {
        Path = path;
        _sources = sources;
        Warnings = warnings;
    }

    public string Path { get; }

    public IReadOnlyList<string> Warnings { get; }

    /// <summary>The source of a clip; null when the table does not give one.</summary>
    public string? this[string relativePath] => _sources.GetValueOrDefault(relativePath);

    /// <summary>Reads a table and compares it with the clips found.</summary>
    /// <param name="path">The CSV file.</param>
    /// <param name="root">The dataset's folder, to which the paths in the table are relative; if not found there, the table's own
    /// folder.</param>
    /// <param name="labels">Label of every clip by relative path.</param>
    /// <param name="classes">What the labels are of; the known pair if null.</param>
    /// <param name="merge">Which classes of the table are put together; null for none.</param>
    /// <exception cref="FileFormatException">Unusable, or in contradiction with itself or with the folders.</exception>
    public static SourceTable Read(string path, string root, IReadOnlyDictionary<string, int> labels, ClassList? classes = null,
        ClassMerge? merge = null)
    {
        path = System.IO.Path.GetFullPath(path);
        IReadOnlyList<CsvRecord> records = CsvFile.Read(path);
        if (records.Count == 0)
        {
            throw new FileFormatException(path, "the file is empty", Hint);
        }

        return new Reader(path, root, labels, classes ?? ClassList.Violence, merge, records[0]).Read(records.Skip(1));
    }

    private sealed class Reader
    {
        private readonly string _path;
        private readonly string _root;
        private readonly IReadOnlyDictionary<string, int> _labels;
        private readonly ClassList _classes;
        private readonly ClassMerge? _merge;
        private readonly int _pathColumn;
        private readonly int _classColumn;
        private readonly int _sourceColumn;
        private readonly int _columns;

        private readonly Dictionary<string, (string Source, int Line)> _rows = new(StringComparer.Ordinal);
        private readonly List<string> _notFound = [];
        private readonly List<string> _repeated = [];
        private readonly List<string> _withoutSource = [];
        private readonly List<string> _unknownClass = [];
        private readonly List<string> _contradictions = [];

        public Reader(string path, string root, IReadOnlyDictionary<string, int> labels, ClassList classes, ClassMerge? merge,
            CsvRecord header)
        {
            (_path, _root, _labels, _classes, _merge) = (path, root, labels, classes, merge);
            _columns = header.Fields.Count;
            _pathColumn = ClipTable.Column(path, header, "path", Hint);
            _sourceColumn = ClipTable.Column(path, header, "source", Hint);
            _classColumn = ClipTable.Column(path, header, "class", Hint, required: false);
        }

        public SourceTable Read(IEnumerable<CsvRecord> records)
        {
            int count = 0;
            foreach (CsvRecord record in records)
            {
                count++;
                Add(record);
            }

            if (_contradictions.Count > 0)
            {
                throw new FileFormatException(
                    _path, $"{ClipTable.Lines(_contradictions)}", "The folder decides the class: correct the table, or move the clips.");
            }

            if (_rows.Count == 0 && count > 0 && _labels.Count > 0)
            {
                throw new FileFormatException(
                    _path,
                    $"none of its {count} rows names a clip of the dataset ({ClipTable.Lines(_notFound)})",
                    $"Paths are relative to '{_root}', such as '{_labels.Keys.Order(StringComparer.Ordinal).First()}'.");
            }

            return new SourceTable(
                _path,
                _rows.Where(row => row.Value.Source.Length > 0)
                    .ToDictionary(row => row.Key, row => row.Value.Source, StringComparer.Ordinal),
                [.. Warnings()]);
        }

        private IEnumerable<string> Warnings()
        {
            var without = _labels.Keys.Where(clip => !_rows.ContainsKey(clip)).Order(StringComparer.Ordinal).Select(clip => $"'{clip}'")
                .ToList();
            IEnumerable<(List<string> Lines, string Message)> findings =
            [
                (_notFound, "name no clip of the dataset"),
                (_repeated, "repeat an earlier row"),
                (_withoutSource, "give no source, so the clip counts as its own source"),
                (_unknownClass, "give an unknown class; the folder decides"),
                (without, "have no row, so each counts as its own source"),
            ];
            if (_classColumn < 0)
            {
                yield return $"'{_path}' has no column 'class', so it was not compared with the folders.";
            }

            foreach ((List<string> lines, string message) in findings.Where(finding => finding.Lines.Count > 0))
            {
                string what = ReferenceEquals(lines, without) ? "clips" : "rows";
                yield return $"'{_path}': {lines.Count} {what} {message}: {ClipTable.Lines(lines)}.";
            }
        }

        private void Add(CsvRecord record)
        {
            if (record.Fields.Count != _columns)
            {
                throw new FileFormatException(_path, $"line {record.Line} has {record.Fields.Count} fields, expected {_columns}", Hint);
            }

            string written = record.Fields[_pathColumn];
            if (ClipTable.Resolve(written, _root, _path, _labels.ContainsKey) is not { } clip)
            {
                _notFound.Add($"line {record.Line} '{written}'");
                return;
            }

            string source = record.Fields[_sourceColumn];
            if (_rows.TryGetValue(clip, out (string Source, int Line) earlier))
            {
                if (earlier.Source != source)
                {
                    throw new FileFormatException(
                        _path,
                        $"'{clip}' has the source '{earlier.Source}' on line {earlier.Line} and '{source}' on line {record.Line}",
                        "Keep one of the two rows.");
                }

                _repeated.Add($"line {record.Line} '{clip}'");
                return;
            }

            _rows.Add(clip, (source, record.Line));
            if (source.Length == 0)
            {
                _withoutSource.Add($"line {record.Line} '{clip}'");
            }

            CompareClass(record, clip);
        }

        private void CompareClass(CsvRecord record, string clip)
        {
            if (_classColumn < 0)
            {
                return;
            }

            string written = record.Fields[_classColumn];
            if (!_classes.TryParse(_merge?.ClassOf(written) ?? written, out int label))
            {
                _unknownClass.Add($"line {record.Line} '{written}'");
            }
            else if (label != _labels[clip])
            {
                _contradictions.Add($"line {record.Line} says '{clip}' is {written}, its folder says {_classes[_labels[clip]]}");
            }
        }

    }
}
