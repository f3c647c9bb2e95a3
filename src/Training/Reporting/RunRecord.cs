using System.Globalization;
using System.Text.Json;
using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Options;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>One epoch as training_history.csv has it: the numbers by column.</summary>
internal sealed record HistoryRow(IReadOnlyDictionary<string, double> Values)
{
    /// <summary>NaN where the file has no such column.</summary>
    public double this[string column] => Values.GetValueOrDefault(column, double.NaN);

    public int Epoch => (int)this["epoch"];
}

/// <summary>A run as its folder tells it, finished or not.</summary>
internal sealed record RunRecord
{
    /// <summary>The folder as it was given.</summary>
    public required string Folder { get; init; }

    public required TrainingOptions Options { get; init; }

    /// <summary>Null while the run is not finished.</summary>
    public TrainingResult? Result { get; init; }

    public IReadOnlyList<HistoryRow> History { get; init; } = [];

    /// <summary>
    /// By split, in the order val, test; empty for runs of versions that did not write them, and of other classes than the known pair while
    /// there are no results.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<ClipPrediction>>> Predictions { get; init; } = [];

    /// <summary>What the run tells apart; the known pair while it has no results.</summary>
    public ClassList Classes => Result?.Val?.ClassList ?? ClassList.Violence;

    /// <summary>The folder's files without the page itself, by name.</summary>
    public IReadOnlyList<(string Name, long Bytes)> Files { get; init; } = [];

    /// <summary>The folder's last part.</summary>
    public string Name => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder))) is { Length: > 0 } name
        ? name
        : Folder;

    /// <exception cref="RunException">There is no run in the folder.</exception>
    /// <exception cref="FileFormatException">One of its files is damaged.</exception>
    public static RunRecord Load(string folder)
    {
        RunRecord course = LoadCourse(folder);
        return course with
        {
            Predictions = [.. new[] { "val", "test" }
                .Select(split => (split, file: Path.Combine(folder, PredictionFile.NameOf(split))))
                .Where(found => File.Exists(found.file))
                .Select(found => KeyValuePair.Create(found.split, Predicted(found.file, course.Result?.Val?.ClassList)))
                .Where(found => found.Value.Count > 0)],
            Files = [.. Directory.EnumerateFiles(folder).Where(file => Path.GetFileName(file) != RunFolder.ReportName)
                .Order(StringComparer.Ordinal).Select(file => (Path.GetFileName(file), new FileInfo(file).Length))],
        };
    }

    /// <summary>Options, history and results alone: what is quickly read again and again while a run goes on.</summary>
    /// <inheritdoc cref="Load"/>
    public static RunRecord LoadCourse(string folder)
    {
        string config = Path.Combine(folder, RunFolder.ConfigName);
        if (!File.Exists(config))
        {
            throw new RunException($"'{folder}' holds no training run: there is no {RunFolder.ConfigName}.",
                $"Name a folder that 'cudatrainer train' wrote ({SettingName.Of(nameof(TrainingOptions.CheckpointDir))}).");
        }

        string results = Path.Combine(folder, RunFolder.ResultsName), history = Path.Combine(folder, RunFolder.HistoryName);
        TrainingResult? result = File.Exists(results) ? Json(results, RunJson.Default.TrainingResult) : null;
        if (result is { Val: { } val, Test: { } test } && !val.ClassList.Equals(test.ClassList))
        {
            throw new FileFormatException(results, $"val is of the classes {val.ClassList}, test of {test.ClassList}");
        }

        return new RunRecord
        {
            Folder = folder,
            Options = Json(config, RunJson.Default.TrainingOptions),
            Result = result,
            History = File.Exists(history) ? ReadHistory(history) : [],
        };
    }

    public ClassificationMetrics? MetricsOf(string split) => split == "test" ? Result?.Test : Result?.Val;

    /// <param name="classes">Of the results; null where there are none, and the file alone says it.</param>
    private static IReadOnlyList<ClipPrediction> Predicted(string file, ClassList? classes)
    {
        IReadOnlyList<ClipPrediction> clips = PredictionFile.Read(file, out ClassList found);
        return classes is null ? found.IsViolence ? clips : []
            : classes.Equals(found) ? clips
            : throw new FileFormatException(file, $"it is of the classes {found}, and the results are of {classes}",
                "Train again, or remove the file.");
    }

    private static T Json<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return StrictJson.Deserialize(File.ReadAllText(path), type)
                ?? throw new FileFormatException(path, "expected a JSON object, found null");
        }
        catch (JsonException exception)
        {
            throw new FileFormatException(path, $"expected what 'cudatrainer train' writes: {exception.Message}");
        }
    }

    private static List<HistoryRow> ReadHistory(string path)
    {
        IReadOnlyList<CsvRecord> records = CsvFile.Read(path);
        if (records.Count == 0)
        {
            return [];
        }

        IReadOnlyList<string> columns = records[0].Fields;
        return columns.Distinct(StringComparer.Ordinal).Count() < columns.Count
            ? throw new FileFormatException(path, "a column occurs twice", "Train again, or remove the file.")
            : [.. records.Skip(1).Select(record => new HistoryRow(columns
                .Zip(record.Fields)
                .ToDictionary(pair => pair.First,
                    pair => double.TryParse(pair.Second, CultureInfo.InvariantCulture, out double value)
                    ? value
                    : double.NaN, StringComparer.Ordinal)))];
    }
}
