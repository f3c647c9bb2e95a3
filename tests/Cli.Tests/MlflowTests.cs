using System.Globalization;
using System.Text.Json;
using YamlDotNet.Serialization;

namespace CudaTrainer.Cli.Tests;

/// <summary>Runs in MLflow's file store, read back as MLflow's FileStore reads it.</summary>
public sealed class MlflowTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public MlflowTests() => FeatureFolder.Write(_folder.File("features"));

    [Fact]
    public void What_is_read_back_is_what_the_run_says()
    {
        Train("one").ExitCode.ShouldBe(0);
        Train("two", "--learning-rate", "0.003").ExitCode.ShouldBe(0);
        string[] report = ["report", "one", "two", "--output", "both.html", "--mlflow", "mlruns"];
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], report);
        outcome.ExitCode.ShouldBe(0, outcome.Error);

        string experiment = Directory.EnumerateDirectories(_folder.File("mlruns")).ShouldHaveSingleItem();
        string note = Path.Combine(Directory.GetDirectories(experiment)[0], "tags", "mlflow.note.content");
        File.WriteAllText(note, "what somebody wrote in MLflow");

        // The same runs again are no further runs, and notes stay.
        CommandRunner.RunIn(_folder.Path, [], report).ExitCode.ShouldBe(0);
        File.ReadAllText(note).ShouldBe("what somebody wrote in MLflow");
        Dictionary<string, object?> meta = Meta(experiment);
        meta["name"].ShouldBe("cudatrainer");
        meta["experiment_id"].ShouldBe(Path.GetFileName(experiment));
        meta["lifecycle_stage"].ShouldBe("active");
        string[] runs = Directory.GetDirectories(experiment);
        runs.Length.ShouldBe(2);
        string two = runs.Single(run => Read(run, "tags/mlflow.runName") == "two");
        Dictionary<string, object?> info = Meta(two);
        info["run_id"].ShouldBe(Path.GetFileName(two));
        info["experiment_id"].ShouldBe(meta["experiment_id"]);
        info["status"].ShouldBe("3");
        new Uri((string)info["artifact_uri"]!).LocalPath.ShouldBe(_folder.File("two"));
        long.Parse((string)info["end_time"]!, CultureInfo.InvariantCulture)
            .ShouldBeGreaterThanOrEqualTo(long.Parse((string)info["start_time"]!, CultureInfo.InvariantCulture));

        Read(two, "params/learning_rate").ShouldBe("0.003");
        Read(two, "params/model").ShouldBe("frame-mlp");
        using var results = JsonDocument.Parse(File.ReadAllText(_folder.File("two/training_results.json")));
        JsonElement result = results.RootElement;
        Metric(two, "best_test_accuracy").ShouldBe(
            [(result.GetProperty("best_epoch").GetInt32(), result.GetProperty("test").GetProperty("accuracy").GetDouble())]);
        string[] history = File.ReadAllLines(_folder.File("two/training_history.csv"));
        int column = Array.IndexOf(history[0].Split(','), "val_loss");
        Metric(two, "val_loss").ShouldBe(
            [.. history.Skip(1).Select((row, epoch) => (epoch + 1, double.Parse(row.Split(',')[column], CultureInfo.InvariantCulture)))]);
    }

    [Fact]
    public void A_file_is_no_store()
    {
        Train("one").ExitCode.ShouldBe(0);
        _folder.File("mlruns", "a file");
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "report", "one", "--mlflow", "mlruns");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("'mlruns' is a file; MLflow's store is a folder.");
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Train(string run, params string[] options) => CommandRunner.RunIn(_folder.Path, [],
        ["train", "--features-dir", "features", "--checkpoint-dir", run, "--model", "frame-mlp", "--epochs", "2", "--no-report",
            .. options]);

    private static string Read(string run, string name) => File.ReadAllText(Path.Combine(run, name));

    /// <summary>Lines of time, value and step.</summary>
    private static (int Step, double Value)[] Metric(string run, string name) =>
        [.. File.ReadAllLines(Path.Combine(run, "metrics", name)).Select(line => line.Split(' '))
            .Select(parts => (int.Parse(parts[2], CultureInfo.InvariantCulture), double.Parse(parts[1], CultureInfo.InvariantCulture)))];

    private static Dictionary<string, object?> Meta(string folder) =>
        new DeserializerBuilder().Build().Deserialize<Dictionary<string, object?>>(Read(folder, "meta.yaml"));
}
