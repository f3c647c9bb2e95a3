using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CudaTrainer.Engine;
using CudaTrainer.Formats;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Training.Reporting;

/// <summary>
/// Runs as MLflow keeps them in a folder (its file store, what <c>mlflow ui --backend-store-uri</c> reads): a folder for the experiment, in
/// it one for each run with a file for each option, metric and tag. Artifacts stay where they are, in the run's own folder.
/// </summary>
internal static class MlflowStore
{
    /// <summary>What the experiment is called.</summary>
    public const string Experiment = "cudatrainer";

    private const string MetaName = "meta.yaml";

    /// <summary>Any number that is not another experiment's.</summary>
    private const string ExperimentId = "270614281059117253";

    private const int Running = 1, Finished = 3, Killed = 5;

    /// <summary>Longest value of an option that MLflow takes.</summary>
    private const int LongestParameter = 6000;

    /// <summary>Writes a run anew: a folder is one run, however often it is written.</summary>
    /// <param name="root">The store; made if it is not there.</param>
    /// <returns>The run's folder in the store.</returns>
    /// <exception cref="RunException">The store is a file.</exception>
    public static string Write(string root, RunRecord run)
    {
        if (File.Exists(root))
        {
            throw new RunException($"'{root}' is a file; MLflow's store is a folder.", "Name a folder, such as mlruns.");
        }

        string experiment = Path.Combine(Path.GetFullPath(root), ExperimentId), meta = Path.Combine(experiment, MetaName);
        string folder = Path.GetFullPath(run.Folder), id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..32];
        string to = Path.Combine(experiment, id);
        string config = Path.Combine(folder, RunFolder.ConfigName), results = Path.Combine(folder, RunFolder.ResultsName);
        DateTime begun = File.GetLastWriteTimeUtc(config), ended = run.Files.Select(file => File.GetLastWriteTimeUtc(
            Path.Combine(folder, file.Name))).Max();
        foreach (string part in (string[])["params", "metrics", "tags"])
        {
            string old = Path.Combine(to, part);

            // What people have noted in MLflow are tags, which stay.
            if (part != "tags" && Directory.Exists(old))
            {
                Directory.Delete(old, recursive: true);
            }

            Directory.CreateDirectory(old);
        }

        if (!File.Exists(meta))
        {
            WriteMeta(meta, new Dictionary<string, object?>
            {
                ["artifact_location"] = new Uri(experiment).AbsoluteUri,
                ["creation_time"] = Milliseconds(begun),
                ["experiment_id"] = ExperimentId,
                ["last_update_time"] = Milliseconds(begun),
                ["lifecycle_stage"] = "active",
                ["name"] = Experiment,
            });
        }

        foreach ((string name, string text) in Texts(config))
        {
            File.WriteAllText(Path.Combine(to, "params", name), text.Length <= LongestParameter ? text : text[..LongestParameter]);
        }

        WriteMetrics(Path.Combine(to, "metrics"), run, results, begun, ended);
        foreach ((string tag, string text) in new[]
        {
            ("mlflow.runName", run.Name), ("mlflow.source.name", Experiment), ("mlflow.source.type", "LOCAL"),
            ("mlflow.user", Environment.UserName), ("folder", folder),
        })
        {
            File.WriteAllText(Path.Combine(to, "tags", tag), text);
        }

        // MLflow lists a run when this is there.
        WriteMeta(Path.Combine(to, MetaName), new Dictionary<string, object?>
        {
            ["artifact_uri"] = new Uri(folder).AbsoluteUri,
            ["end_time"] = run.Result is null ? null : Milliseconds(ended),
            ["entry_point_name"] = "",
            ["experiment_id"] = ExperimentId,
            ["lifecycle_stage"] = "active",
            ["run_id"] = id,
            ["run_name"] = run.Name,
            ["run_uuid"] = id,
            ["source_name"] = "",
            ["source_type"] = 4,
            ["source_version"] = "",
            ["start_time"] = Milliseconds(begun),
            ["status"] = run.Result is null ? Running : run.Result.Outcome == Events.RunOutcome.Completed ? Finished : Killed,
            ["tags"] = Array.Empty<string>(),
            ["user_id"] = Environment.UserName,
        });
        return to;
    }

    /// <summary>The columns of the history by epoch, and the results of the best model in its epoch.</summary>
    private static void WriteMetrics(string to, RunRecord run, string results, DateTime begun, DateTime ended)
    {
        double seconds = 0;
        Dictionary<string, StringBuilder> lines = [];
        foreach (HistoryRow row in run.History)
        {
            seconds += double.IsFinite(row["seconds"]) ? row["seconds"] : 0;
            foreach ((string column, double value) in row.Values.Where(pair => pair.Key != "epoch"))
            {
                Add(column, begun.AddSeconds(seconds), value, row.Epoch);
            }
        }

        if (run.Result is { } result)
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(results));
            foreach (string split in (string[])["val", "test"])
            {
                if (document.RootElement.TryGetProperty(split, out JsonElement metrics) && metrics.ValueKind == JsonValueKind.Object)
                {
                    foreach (JsonProperty metric in metrics.EnumerateObject().Where(one => one.Value.ValueKind == JsonValueKind.Number))
                    {
                        Add($"best_{split}_{metric.Name}", ended, metric.Value.GetDouble(), result.BestEpoch);
                    }
                }
            }
        }

        foreach ((string name, StringBuilder text) in lines)
        {
            File.WriteAllText(Path.Combine(to, name), text.ToString());
        }

        void Add(string name, DateTime time, double value, int step)
        {
            if (double.IsFinite(value))
            {
                lines.TryAdd(name, new StringBuilder());
                lines[name].Append(CultureInfo.InvariantCulture, $"{Milliseconds(time)} {value:R} {step}\n");
            }
        }
    }

    /// <summary>Options as texts, those without a value left out.</summary>
    private static IEnumerable<(string Name, string Text)> Texts(string config)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(config));
        return [.. document.RootElement.EnumerateObject().Where(option => option.Value.ValueKind != JsonValueKind.Null)
            .Select(option => (option.Name, option.Value.ValueKind == JsonValueKind.String
                ? option.Value.GetString()!
                : option.Value.GetRawText()))];
    }

    /// <summary>A mapping in YAML, of which JSON's texts, numbers, null and empty lists are a part.</summary>
    private static void WriteMeta(string path, Dictionary<string, object?> values) => AtomicFile.WriteAllText(
        path, string.Concat(values.Select(pair => $"{pair.Key}: {JsonSerializer.Serialize(pair.Value)}\n")));

    private static long Milliseconds(DateTime time) => new DateTimeOffset(time).ToUnixTimeMilliseconds();
}
