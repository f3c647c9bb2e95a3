using System.Text.Json;
using System.Text.Json.Serialization;
using CudaTrainer.Engine;
using CudaTrainer.Formats;

namespace CudaTrainer.Training.Studies;

/// <summary>
/// The trainings of a study that have ended, one a line of runs.jsonl, so that a study that was stopped goes on. A line is of use only to
/// the very same training: its key is a hash of the options, the clips and the folds.
/// </summary>
internal sealed class StudyLog : IDisposable
{
    internal const string FileName = "runs.jsonl";
    internal const string LockName = ".study.lock";

    private readonly Dictionary<string, FoldRun> _runs = new(StringComparer.Ordinal);
    private readonly FolderLock _held;
    private readonly StreamWriter _writer;
    private readonly Lock _lock = new();

    private StudyLog(string path, FolderLock held)
    {
        _held = held;
        if (File.Exists(path))
        {
            Read(path);
            AtomicFile.WriteAllText(path, string.Concat(_runs.Select(run => Line(run.Key, run.Value) + "\n")));
        }

        _writer = new StreamWriter(path, append: true) { NewLine = "\n" };
    }

    /// <summary>Trainings that are known.</summary>
    public int Count => _runs.Count;

    /// <exception cref="RunException">The folder cannot be written to, or another study is writing to it.</exception>
    public static StudyLog Open(string folder)
    {
        FolderLock? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            held = FolderLock.Take(folder, LockName);
            AtomicFile.DeleteStale(folder);
            return new StudyLog(Path.Combine(folder, FileName), held);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            throw new RunException($"'{folder}' cannot be used for a study: {exception.Message}",
                $"Choose another {SettingName.Of(nameof(StudyOptions.Output))}.");
        }
    }

    public FoldRun? Find(string key)
    {
        lock (_lock)
        {
            return _runs.GetValueOrDefault(key);
        }
    }

    public void Add(string key, FoldRun run)
    {
        lock (_lock)
        {
            _runs[key] = run;
            _writer.WriteLine(Line(key, run));
            _writer.Flush();
        }
    }

    public void Dispose()
    {
        _writer.Dispose();
        _held.Dispose();
    }

    private static string Line(string key, FoldRun run) =>
        JsonSerializer.Serialize(new StudyLine(key, run), StudyLineJson.Default.StudyLine);

    /// <summary>A line that a kill has cut off, or that is of another version, counts as not there.</summary>
    private void Read(string path)
    {
        foreach (string line in File.ReadLines(path))
        {
            try
            {
                if (StrictJson.Deserialize(line, StudyLineJson.Default.StudyLine) is { } entry)
                {
                    _runs[entry.Key] = entry.Run;
                }
            }
            catch (JsonException)
            {
            }
        }
    }
}

internal sealed record StudyLine(string Key, FoldRun Run);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(StudyLine))]
internal sealed partial class StudyLineJson : JsonSerializerContext;
