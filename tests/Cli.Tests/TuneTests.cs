using System.Text.Json;
using System.Text.RegularExpressions;
using CudaTrainer.Formats;

namespace CudaTrainer.Cli.Tests;

/// <summary>tune by the built program, on tiny features.</summary>
public sealed class TuneTests : IDisposable
{
    private static readonly string[] Quick = ["tune", "--features-dir", "features", "--folds", "3", "--val-share", "0.3", "--threads", "1",
        "--space", "learning-rate=1e-4..1e-1 log; dropout=0..0.5; batch-size=8..16; model=frame-mlp,linear"];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void A_search_finds_options_leaves_its_tables_and_goes_on_where_it_was()
    {
        FeatureFolder.Write(_folder.File("features"));
        string[] search = [.. Quick, "--trials", "6", "--epochs", "9", "--model", "frame-mlp"];
        CommandOutcome outcome = Run(search);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("balanced accuracy on clips not seen: ");
        outcome.Output.ShouldContain("searching gains ");

        using var result = JsonDocument.Parse(File.ReadAllText(_folder.File("tune/tune.json")));
        JsonElement[] trials = [.. result.RootElement.GetProperty("trials").EnumerateArray()];
        trials.Select(trial => trial.GetProperty("number").GetInt32()).Order().ShouldBe([0, 1, 2, 3, 4, 5]);
        trials.Sum(trial => trial.GetProperty("folds").GetInt32()).ShouldBe(3);
        trials.Single(trial => trial.GetProperty("number").GetInt32() == 0).GetProperty("settings").EnumerateObject().ShouldBeEmpty();
        foreach (JsonElement settings in trials.Select(trial => trial.GetProperty("settings")).Where(all => all.EnumerateObject().Any()))
        {
            double.Parse(settings.GetProperty("learning-rate").GetString()!).ShouldBeInRange(1e-4, 1e-1);
            int.Parse(settings.GetProperty("batch-size").GetString()!).ShouldBeInRange(8, 16);
        }

        // Six begin with 3 epochs in each of 3 folds, two go on with 9; a model that is solved takes no epochs and is trained once.
        string[] log = File.ReadAllLines(_folder.File("tune/runs.jsonl"));
        log.Length.ShouldBeInRange(9, (3 * (6 + 2)) + 3);
        File.ReadAllLines(_folder.File("tune/tune.csv")).Length.ShouldBe(1 + 6);
        File.ReadAllText(_folder.File("tune/tune.html")).ShouldContain("What searching is worth");
        byte[] json = File.ReadAllBytes(_folder.File("tune/tune.json"));

        // As after a stop: half of the log is gone, and nothing else is trained again.
        File.WriteAllLines(_folder.File("tune/runs.jsonl"), log[..(log.Length / 2)]);
        Run(search).ExitCode.ShouldBe(0);
        File.ReadAllBytes(_folder.File("tune/tune.json")).ShouldBe(json);
        Keys(File.ReadAllLines(_folder.File("tune/runs.jsonl"))).ShouldBe(Keys(log), ignoreOrder: true);
        Keys(log).ShouldBeUnique();

        CommandOutcome train = Run(["train", "--features-dir", "features", "--config", "tune/best.json", "--epochs", "2", "--no-report"]);
        train.ExitCode.ShouldBe(0, train.Error);
    }

    /// <summary>Of labels that mean nothing the best of many looks good where it was chosen, and must not where it is judged.</summary>
    [Fact]
    public void Noise_stays_noise()
    {
        WriteNoise(_folder.File("features"), clips: 80);
        CommandOutcome outcome = Run([.. Quick[..^1], "learning-rate=1e-4..1e-1 log; model=frame-mlp,attention-mil,simple-lstm",
            "--trials", "20", "--epochs", "3", "--search", "random", "--json"]);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var result = JsonDocument.Parse(outcome.Output);
        double average = result.RootElement.GetProperty("trials").EnumerateArray()
            .Average(trial => trial.GetProperty("validation_auc").GetDouble());
        result.RootElement.GetProperty("validation_auc").GetDouble().ShouldBeGreaterThan(average + 0.05);
        result.RootElement.GetProperty("metrics").GetProperty("balanced_accuracy").GetProperty("value").GetDouble()
            .ShouldBeInRange(0.35, 0.65);
    }

    [Theory]
    [InlineData("learning-rat=1..2", "learning-rat is no option of training")]
    [InlineData("epochs=1..5", "epochs is what trainings are given of; --epochs sets the most")]
    [InlineData("cache-dir=a,b", "cache-dir cannot be searched")]
    [InlineData("frames=4,8", "frames cannot be searched")]
    [InlineData("dropout=0.5..0.1", "\"0.5..0.1\" of dropout is no range; expected numbers, the smaller first")]
    [InlineData("learning-rate=0..1 log", "is no range; expected positive numbers")]
    [InlineData("dropout", "\"dropout\" is not NAME=FROM..TO")]
    [InlineData(" ; ", "nothing to search")]
    [InlineData("dropout=0,0.1; dropout=0.2,0.3", "dropout is given twice")]
    [InlineData("dropout=0.1..1.5", "dropout 1.5: 1.5 is out of range")]
    [InlineData("model=frame-mlp,resnet", "model resnet: ")]
    [InlineData("batch-size=8,many", "batch-size many: \"many\" is not a whole number")]
    public void A_space_that_is_none_is_refused_before_anything_is_trained(string space, string expected)
    {
        CommandOutcome outcome = Run(["tune", "--features-dir", "features", "--space", space]);

        outcome.ExitCode.ShouldBe(2);
        outcome.ErrorLines[0].ShouldStartWith("error: --space: ");
        outcome.Error.ShouldContain(expected);
        Directory.Exists(_folder.File("tune")).ShouldBeFalse();
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);

    private static string[] Keys(IEnumerable<string> log) =>
        [.. log.Select(line => Regex.Match(line, "\"key\":\"([0-9a-f]+)\"").Groups[1].Value)];

    private static void WriteNoise(string folder, int clips)
    {
        Directory.CreateDirectory(folder);
        Random random = new(3);
        foreach (string split in (string[])["train", "val"])
        {
            using var features = NpyWriter.Create(
                Path.Combine(folder, $"{split}_features.npy"), ElementType.F32, clips / 2, FeatureFolder.Frames, FeatureFolder.Dimension);
            using var labels = NpyWriter.Create(Path.Combine(folder, $"{split}_labels.npy"), ElementType.I64, clips / 2);
            for (int i = 0; i < clips / 2; i++)
            {
                features.Append<float>([.. Enumerable.Range(0, FeatureFolder.Frames * FeatureFolder.Dimension)
                    .Select(_ => random.NextSingle())]);
                labels.Append<long>([i % 2]);
            }

            features.Complete();
            labels.Complete();
        }
    }
}
