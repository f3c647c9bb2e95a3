using System.Text.Json;
using CudaTrainer.Cli.Tests.Serve;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace CudaTrainer.Cli.Tests;

/// <summary>Drawn clips of three classes through every command that reads or writes classes, by the built program.</summary>
public sealed class AnyClassesTests : IDisposable
{
    private const string Classes =
        "standing=fistfight,kicking,push,grapple;ground=beating,pounding;peace=walk,talk,handshake,hug,dance,greeting";

    private static readonly string[] Names = ["standing", "ground", "peace"];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Three_classes_go_through_every_command()
    {
        Succeed("demo", "--clips-only", "--activities", "--clips", "48", "--output", "demo");
        string[] data = ["--dataset-path", "demo/dataset", "--classes", Classes];
        Directory.GetDirectories(_folder.File("demo/dataset")).Length.ShouldBe(12);

        JsonElement scan = Json("data", "scan", "demo/dataset", "--classes", Classes, "--json");
        scan.GetProperty("files").EnumerateArray().Select(file => file.GetProperty("class").GetString()).Distinct().Order()
            .ShouldBe(Names.Order());
        JsonElement extracted = Json(["extract", .. data, "--stream", "motion", "--json"]);
        extracted.GetProperty("splits")[0].GetProperty("classes").EnumerateObject().Select(entry => entry.Name).ShouldBe(Names);
        extracted.GetProperty("splits")[0].TryGetProperty("violent", out _).ShouldBeFalse();
        File.ReadAllText(_folder.File("feature_cache/motion/train_rows.json"))
            .ShouldContain("\"classes\": [\"standing\", \"ground\", \"peace\"]");
        File.ReadLines(_folder.File("feature_cache/motion/train_videos.csv")).Skip(1).Select(line => line.Split(',')[1]).Distinct().Order()
            .ShouldBe(Names.Order());

        JsonElement trained = Json(["train", .. data, "--checkpoint-dir", "run", "--json"]);
        JsonElement test = trained.GetProperty("test");
        test.GetProperty("classes").EnumerateArray().Select(name => name.GetString()).ShouldBe(Names);
        test.GetProperty("confusion_matrix").GetArrayLength().ShouldBe(3);
        test.GetProperty("per_class")[2].GetProperty("name").GetString().ShouldBe("peace");
        test.GetProperty("macro_f1").GetDouble().ShouldBeInRange(0, 1);
        test.GetProperty("top_2_accuracy").GetDouble().ShouldBeInRange(0.5, 1);
        test.GetProperty("threshold").ValueKind.ShouldBe(JsonValueKind.Null);
        File.ReadLines(_folder.File("run/predictions_test.csv")).First()
            .ShouldBe("path,label,probability_standing,probability_ground,probability_peace,loss");
        File.ReadAllText(_folder.File("run/report.html")).ShouldContain("standing called ground");
        Succeed(["train", .. data, "--stream", "motion", "--model", "frame-mlp", "--epochs", "2", "--tensorboard-histograms", "1",
            "--checkpoint-dir", "network"]).ShouldContain("peace clips");

        // Classes, split and seed are those of the run, whoever asks.
        JsonElement evaluated = Json("evaluate", "--checkpoint", "run", "--dataset-path", "demo/dataset", "--json");
        evaluated.GetProperty("test").GetProperty("accuracy").GetDouble().ShouldBe(test.GetProperty("accuracy").GetDouble(), 1e-12);
        JsonElement interval = evaluated.GetProperty("test").GetProperty("per_class")[0].GetProperty("intervals").GetProperty("recall");
        interval.GetProperty("low").GetDouble().ShouldBeLessThanOrEqualTo(interval.GetProperty("high").GetDouble());
        Succeed("evaluate", "--checkpoint", "network/best_model.h5", "--features-dir", "feature_cache/motion", "--output", ".")
            .ShouldContain("macro F1");

        JsonElement predicted = Json("predict", "demo/unseen", "--checkpoint", "run", "--json")[0];
        Dictionary<string, double> probabilities = predicted.GetProperty("probabilities").Deserialize<Dictionary<string, double>>()!;
        probabilities.Keys.ShouldBe(Names);
        probabilities.Values.Sum().ShouldBe(1, 1e-5);
        predicted.GetProperty("label").GetString().ShouldBe(probabilities.MaxBy(entry => entry.Value).Key);
        predicted.TryGetProperty("violent", out _).ShouldBeFalse();
        Succeed("predict", "demo/unseen", "--checkpoint", "run", "--csv")
            .ShouldStartWith("path,probability_standing,probability_ground,probability_peace,label,status,error");
        Succeed("predict", "demo/unseen", "--checkpoint", "run").ShouldContain("p(standing)");
        JsonElement windows = Json("predict", "demo/unseen", "--checkpoint", "run", "--window", "0.5", "--json")[0];
        Names.ShouldContain(windows.GetProperty("events")[0].GetProperty("label").GetString());
        windows.GetProperty("windows")[0].GetProperty("probabilities").EnumerateObject().Count().ShouldBe(3);
        Succeed("predict", "demo/unseen", "--checkpoint", "run", "--window", "0.5", "--csv")
            .ShouldStartWith("path,start,end,label,peak,peak_time,status,error");

        Succeed("ensemble", "run", "network", "--features-dir", "feature_cache/motion", "--strategy", "vote").ShouldContain("peace");
        Succeed("predict", "demo/unseen", "--checkpoint", "ensemble.json").ShouldContain("p(peace)");
        Succeed("export", "--model", "network", "--onnx", "network.onnx").ShouldContain("[batch, 3]");
        Succeed("inspect", "run/best_model.safetensors").ShouldContain("classes standing, ground, peace");
        Succeed("report", "run", "network", "--output", "both.html");
        File.ReadAllText(_folder.File("both.html")).ShouldContain("macro F1");
        JsonElement cv = Json(["cv", .. data, "--folds", "2", "--seeds", "1", "--output", "study", "--json"]);
        cv.GetProperty("metrics").GetProperty("recalls").EnumerateObject().Select(entry => entry.Name).ShouldBe(Names);

        using var server = ServerProcess.StartIn(_folder.Path, _folder.Path, [], "run", "--window", "0.5");
        JsonElement answer = server.WaitFor(server.Upload(Directory.GetFiles(_folder.File("demo/unseen"))[0]), "done", "failed")
            .GetProperty("result");
        Names.ShouldContain(answer.GetProperty("label").GetString());
        answer.GetProperty("probabilities").EnumerateObject().Select(entry => entry.Name).ShouldBe(Names);
        answer.TryGetProperty("violent", out _).ShouldBeFalse();
        answer.GetProperty("windows")[0].GetProperty("label").GetString().ShouldNotBeNull();
    }

    [Fact]
    public async Task A_browser_shows_the_class_of_every_moment()
    {
        foreach (string name in new[] { "walk/a", "walk/b", "walk/c", "fight/d", "fight/e", "fight/f", "hug/g", "hug/h", "hug/i" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1], frames: 30);
        }

        await using Browser browser = await Browser.Start();
        Succeed("train", "--dataset-path", "clips", "--model", "linear", "--stream", "motion", "--checkpoint-dir", "run");
        using var server = ServerProcess.StartIn(_folder.Path, _folder.Path, [], "run", "--window", "0.5");
        string id = server.Upload(_folder.File("clips/walk/a.mp4"));
        JsonElement result = server.WaitFor(id, "done").GetProperty("result");

        IPage page = await browser.Open($"{server.Url}?id={id}");

        await Expect(page.Locator("#label")).ToHaveTextAsync(result.GetProperty("label").GetString()!);
        await Expect(page.Locator("#chart-title")).ToHaveTextAsync("The likeliest class over time");
        await Expect(page.Locator("#summary")).ToContainTextAsync("hug ");
        await Expect(page.Locator("#chart .threshold")).ToHaveCountAsync(0);
        await Expect(page.Locator("#events li")).ToHaveCountAsync(result.GetProperty("events").GetArrayLength());
        await Expect(page.Locator("#windows tr").First).ToContainTextAsync(
            result.GetProperty("windows")[0].GetProperty("label").GetString()!);
        await Expect(page.Locator("#facts")).ToContainTextAsync("classes fight, hug, walk");
        browser.Complaints.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("predict clip.mp4 --checkpoint run --threshold robbery=0.4", "--threshold names 'robbery', and the model in ")]
    [InlineData("predict clip.mp4 --checkpoint run --window 1 --release 0.4", "--release is where a class with a threshold ends")]
    [InlineData("evaluate --checkpoint run --nonviolent-videos clip.mp4", "--nonviolent-videos counts false alarms of violence")]
    [InlineData("evaluate --checkpoint run --features-dir features --nonviolent-videos clip.mp4", "tells a, b, c apart")]
    [InlineData("evaluate --checkpoint run --features-dir pair", "'run/best_model.safetensors' tells a, b, c apart")]
    [InlineData("train --features-dir features --model linear --initial-weights run/best_model.safetensors --checkpoint-dir new",
        "can begin with another model of two classes only")]
    public void What_does_not_fit_the_classes_is_refused(string command, string why)
    {
        StripedClip.Write(_folder.File("clip.mp4"), 3, frames: 20);
        FeatureFolder.Write(_folder.File("pair"));
        FeatureFolder.Write(_folder.File("features"), classes: 3);
        File.WriteAllText(_folder.File("features/classes.json"), "[\"a\", \"b\", \"c\"]");
        Succeed("train", "--features-dir", "features", "--model", "linear", "--checkpoint-dir", "run");

        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], command.Split(' '));

        outcome.ExitCode.ShouldBe(1, outcome.Error);
        outcome.Error.ShouldContain(why);
        outcome.Error.ShouldContain("hint: ");
    }

    [Theory]
    [InlineData("--threshold fight", "--threshold: \"fight\" is not a number, or CLASS=P,CLASS=P with each class once")]
    [InlineData("--threshold fight=2", "--threshold: 2 is out of range; expected 0 to 1")]
    [InlineData("--window 1 --threshold fight=0.2,hug=0.4 --release 0.3", "--release: is above --threshold")]
    public void Thresholds_that_make_no_sense_are_a_wrong_command_line(string options, string why)
    {
        CommandOutcome outcome = CommandRunner.RunInside(["predict", "clip.mp4", "--checkpoint", "run", .. options.Split(' ')]);

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain(why);
    }

    [Fact]
    public void A_list_of_classes_that_makes_no_sense_is_a_wrong_command_line()
    {
        CommandOutcome outcome = CommandRunner.RunInside("train", "--dataset-path", "nowhere", "--classes", "a=x;b=x");

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.ShouldContain("--classes: 'a=x;b=x' does not say which folders are which class: the folder 'x' is named twice.");
    }

    public void Dispose() => _folder.Dispose();

    private JsonElement Json(params string[] arguments) => JsonDocument.Parse(Succeed(arguments)).RootElement;

    private string Succeed(params string[] arguments)
    {
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], arguments);
        outcome.ExitCode.ShouldBe(0, $"{string.Join(' ', arguments)}: {outcome.Error}");
        return outcome.Output;
    }
}
