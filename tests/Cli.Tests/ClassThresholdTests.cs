using System.Globalization;
using System.Text.Json;
using CudaTrainer.Cli.Tests.Serve;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests;

/// <summary>Models of three classes on drawn clips, made once for all tests of the class below.</summary>
public sealed class ThreeClassesOnce : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ThreeClassesOnce()
    {
        foreach (string name in new[] { "walk/a", "walk/b", "walk/c", "fight/d", "fight/e", "fight/f", "hug/g", "hug/h", "hug/i" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1], frames: 30);
        }

        StripedClip.Write(_folder.File("long.mp4"), 'b', frames: 50);
        string[] line = ["train", "--dataset-path", "clips", "--stream", "motion", "--model"];
        foreach (string[] arguments in new string[][]
        {
            [.. line, "linear", "--checkpoint-dir", "run"],
            [.. line, "frame-mlp", "--epochs", "1", "--dropout", "0.5", "--checkpoint-dir", "network"],
        })
        {
            CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], arguments);
            outcome.ExitCode.ShouldBe(0, outcome.Error);
        }
    }

    internal TemporaryFolder Folder => _folder;

    public void Dispose() => _folder.Dispose();
}

/// <summary>Thresholds of classes, and what follows from them, by the built program.</summary>
public sealed class ClassThresholdTests : IClassFixture<ThreeClassesOnce>, IDisposable
{
    private static readonly string[] Names = ["fight", "hug", "walk"];

    private readonly TemporaryFolder _folder = new();

    public ClassThresholdTests(ThreeClassesOnce once) => _folder.CopyFrom(once.Folder);

    [Fact]
    public void A_class_is_called_from_its_threshold_on_and_nothing_below_that_of_all()
    {
        string[] line = ["predict", "clips", "--checkpoint", "run"];
        JsonElement[] plain = Json([.. line, "--json"]);
        foreach (JsonElement video in plain)
        {
            Probabilities(video).MaxBy(one => one.Value).Key.ShouldBe(video.GetProperty("label").GetString());
            video.TryGetProperty("thresholds", out _).ShouldBeFalse();
        }

        // Between two clips, so that some of those that are no fight are called so, and some are not.
        double least = plain.Where(video => video.GetProperty("label").GetString() != "fight")
            .Select(video => Probabilities(video)["fight"]).Order().Skip(2).First();
        string threshold = $"fight={Text(least)}";
        JsonElement[] first = Json([.. line, "--threshold", threshold, "--json"]);
        foreach ((JsonElement video, JsonElement before) in first.Zip(plain))
        {
            Dictionary<string, double> p = Probabilities(video);
            p.ShouldBe(Probabilities(before));
            video.GetProperty("label").GetString().ShouldBe(p["fight"] >= least ? "fight" : p["hug"] > p["walk"] ? "hug" : "walk");
            video.GetProperty("thresholds").Deserialize<Dictionary<string, double>>().ShouldBe(new() { ["fight"] = least });
        }

        first.Count(video => Label(video) == "fight").ShouldBeGreaterThan(plain.Count(video => Label(video) == "fight"));
        string[] rows = Succeed([.. line, "--threshold", threshold, "--csv"]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        rows[0].ShouldStartWith("path,probability_fight,probability_hug,probability_walk,label,threshold,status,error");
        rows[1..].Select(row => row.Split(',')[4..6]).ShouldAllBe(row => row[1] == (row[0] == "fight" ? Text(least) : ""));

        line = ["predict", "clips", "--checkpoint", "network"];
        JsonElement[] none = Json([.. line, "--threshold", "1", "--json"]);
        none.ShouldAllBe(video => video.GetProperty("label").ValueKind == JsonValueKind.Null
            && video.GetProperty("status").GetString() == "ok");
        Succeed([.. line, "--threshold", "1"]).ShouldContain("-: no class reaches its threshold");
        Succeed([.. line, "--threshold", "1", "--csv"]).Split('\n')[1].ShouldContain(",,,ok,");
    }

    [Fact]
    public void Evaluate_measures_by_them()
    {
        string[] line = ["evaluate", "--checkpoint", "run", "--dataset-path", "clips", "--output", ".", "--json"];
        JsonElement fight = Object([.. line, "--threshold", "fight=0"]).GetProperty("test");
        fight.GetProperty("confusion_matrix").EnumerateArray().ShouldAllBe(row => row[1].GetInt32() + row[2].GetInt32() == 0);
        fight.GetProperty("thresholds").GetProperty("fight").GetDouble().ShouldBe(0);
        fight.TryGetProperty("called_nothing", out _).ShouldBeFalse();

        line[2] = "network";
        JsonElement none = Object([.. line, "--threshold", "1"]).GetProperty("test");
        none.GetProperty("accuracy").GetDouble().ShouldBe(0);
        none.GetProperty("called_nothing").EnumerateArray().Select(clips => clips.GetInt32()).ShouldBe([1, 1, 1]);
        none.GetProperty("per_class")[0].GetProperty("count").GetInt32().ShouldBe(1);
        Object(line).GetProperty("test").TryGetProperty("thresholds", out _).ShouldBeFalse();
        string table = Succeed([.. line[..^1], "--threshold", "1"]);
        table.ShouldContain("called nothing");
    }

    [Fact]
    public void Windows_have_events_of_classes_and_the_copy_shows_them()
    {
        string[] line = ["predict", "long.mp4", "--checkpoint", "run", "--window", "1", "--stride", "0.5"];
        JsonElement video = Json([.. line, "--threshold", "hug=0", "--release", "0", "--json", "--annotate", "hug.mp4"])[0];
        JsonElement stretch = video.GetProperty("events").EnumerateArray().ShouldHaveSingleItem();
        (stretch.GetProperty("label").GetString(), stretch.GetProperty("start").GetDouble(), stretch.GetProperty("end").GetDouble())
            .ShouldBe(("hug", 0, 2));
        stretch.GetProperty("peak").GetDouble().ShouldBe(video.GetProperty("windows").EnumerateArray().Max(window =>
            Probabilities(window)["hug"]));
        video.GetProperty("release").GetDouble().ShouldBe(0);
        video.GetProperty("windows").EnumerateArray().ShouldAllBe(window => Label(window) == "hug");
        string[] rows = Succeed([.. line, "--threshold", "hug=0", "--release", "0", "--csv"]).Split('\n');
        rows[0].ShouldStartWith("path,start,end,label,peak,peak_time,threshold,release,status,error");
        rows[1].ShouldContain(",hug,");
        rows[1].ShouldContain(",0,0,ok,");

        // The edge is red where a class with a threshold is called, and nowhere without one.
        Succeed([.. line, "--annotate", "plain.mp4"]);
        RedOfEdge("hug.mp4").ShouldBeGreaterThan(RedOfEdge("long.mp4") + 30);
        RedOfEdge("plain.mp4").ShouldBe(RedOfEdge("long.mp4"), 30);

        line[3] = "network";
        JsonElement none = Json([.. line, "--threshold", "1", "--json"])[0];
        none.GetProperty("events").GetArrayLength().ShouldBe(0);
        none.GetProperty("windows").EnumerateArray().ShouldAllBe(window => window.GetProperty("smoothed").GetDouble() > 0);
        none.TryGetProperty("release", out _).ShouldBeFalse();
        Succeed([.. line, "--threshold", "1", "--csv"]).Split('\n')[1].ShouldStartWith("long.mp4,,,,,,,,ok,");
    }

    [Fact]
    public void Answers_with_dropout_have_a_mean_and_a_deviation_of_every_class()
    {
        string[] line = ["predict", "long.mp4", "--checkpoint", "network", "--mc-dropout", "20"];
        JsonElement uncertainty = Json([.. line, "--json"])[0].GetProperty("uncertainty");
        uncertainty.EnumerateObject().Select(key => key.Name).ShouldBe(["passes", "entropy", "mutual_information", "classes"]);
        JsonElement classes = uncertainty.GetProperty("classes");
        classes.EnumerateObject().Select(key => key.Name).ShouldBe(Names);
        classes.EnumerateObject().Sum(one => one.Value.GetProperty("mean").GetDouble()).ShouldBe(1, 1e-5);
        classes.EnumerateObject().ShouldAllBe(one => one.Value.GetProperty("standard_deviation").GetDouble() > 0);
        uncertainty.GetProperty("mutual_information").GetDouble().ShouldBeInRange(0, uncertainty.GetProperty("entropy").GetDouble());
        uncertainty.GetProperty("entropy").GetDouble().ShouldBeInRange(0, Math.Log(3));
        string[] rows = Succeed([.. line, "--csv"]).Split('\n');
        rows[0].ShouldContain(",error,dropout_mean_fight,dropout_standard_deviation_fight,dropout_mean_hug," +
            "dropout_standard_deviation_hug,dropout_mean_walk,dropout_standard_deviation_walk,entropy,mutual_information");
        rows[1].Count(sign => sign == ',').ShouldBe(rows[0].Count(sign => sign == ','));
        Succeed(line).ShouldContain(" ± ");
    }

    [Fact]
    public void The_server_calls_by_them()
    {
        using var server = ServerProcess.StartIn(_folder.Path, _folder.Path, [], "run", "--window", "1", "--threshold", "hug=0");

        JsonElement answer = server.WaitFor(server.Upload(_folder.File("long.mp4")), "done", "failed").GetProperty("result");

        answer.GetProperty("label").GetString().ShouldBe("hug");
        answer.GetProperty("thresholds").GetProperty("hug").GetDouble().ShouldBe(0);
        server.Get("/api/health").Answer.GetProperty("thresholds").GetProperty("hug").GetDouble().ShouldBe(0);
    }

    [Fact]
    public void A_model_of_the_known_pair_takes_one_number()
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "predict", "long.mp4", "--threshold", "violent=0.4");

        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("--threshold violent=0.4 is of single classes, and the model in ");
        outcome.Error.ShouldContain("hint: Give one number");
    }

    public void Dispose() => _folder.Dispose();

    private static Dictionary<string, double> Probabilities(JsonElement answer) =>
        answer.GetProperty("probabilities").Deserialize<Dictionary<string, double>>()!;

    private static string? Label(JsonElement answer) => answer.GetProperty("label").GetString();

    private static string Text(double number) => number.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>How much redder than blue the left edge is halfway down, where there is neither text nor bar, on average.</summary>
    private double RedOfEdge(string name)
    {
        byte[] frames = new byte[50 * 96 * 64 * 3];
        VideoReader.Read(_folder.File(name), 50, frames, new VideoReadOptions { Width = 96, Height = 64 });
        return Enumerable.Range(0, 50).Average(frame => frames[((frame * 64) + 40) * 96 * 3] - frames[(((frame * 64) + 40) * 96 * 3) + 2]);
    }

    private JsonElement[] Json(params string[] arguments) => [.. Object(arguments).EnumerateArray()];

    private JsonElement Object(params string[] arguments) => JsonDocument.Parse(Succeed(arguments)).RootElement;

    private string Succeed(params string[] arguments)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], arguments);
        outcome.ExitCode.ShouldBe(0, $"{string.Join(' ', arguments)}: {outcome.Error}");
        return outcome.Output;
    }
}
