using System.Globalization;
using System.Text.Json;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests;

/// <summary>
/// A model of motion that was trained on a few drawn clips, and videos without violence: made once, each test works on a copy.
/// </summary>
public sealed class WatchedOnce : IDisposable
{
    internal TemporaryFolder Folder { get; } = new();

    public WatchedOnce()
    {
        foreach (string name in new[] { "train/violent/a", "train/nonviolent/b", "val/violent/c", "val/nonviolent/d" })
        {
            Draw($"clips/{name}.mp4", 12, name[^1] - 'a');
        }

        CommandOutcome trained = CommandRunner.RunIn(Folder.Path, [], "train", "--dataset-path", "clips", "--checkpoint-dir", "run",
            "--frames", "2", "--epochs", "1", "--stream", "motion", "--model", "frame-mlp", "--no-report", "--no-tensorboard");
        trained.ExitCode.ShouldBe(0, trained.Error);
        Draw("calm/long.mp4", 75, 1);
        Draw("calm/deeper/short.mp4", 30, 3);
        File.WriteAllText(Folder.File("calm/text.mp4"), "no video");
    }

    public void Dispose() => Folder.Dispose();

    private void Draw(string name, int frames, int speed)
    {
        string path = Folder.File(name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using VideoWriter writer = new(path,
            new VideoWriterOptions { Width = 96, Height = 64, Codec = VideoCodec.Mpeg4, FrameRate = new(15) });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < frames; frame++)
        {
            // Faster and faster, so that windows differ.
            double shift = speed * frame * (1 + (frame / 50.0));
            for (int i = 0; i < rgb.Length; i++)
            {
                double x = (i / 3 % 96) + shift, y = i / 3 / 96;
                rgb[i] = (byte)(128 + (50 * Math.Sin(0.2 * x)) + (50 * Math.Sin((0.3 * y) + (0.1 * x))));
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
    }
}

/// <summary>evaluate --nonviolent-videos by the built program.</summary>
public sealed class FalseAlarmTests : IClassFixture<WatchedOnce>, IDisposable
{
    private const string Checkpoint = "run/best_model.safetensors";

    private readonly TemporaryFolder _folder = new();

    public FalseAlarmTests(WatchedOnce once) => _folder.CopyFrom(once.Folder);

    [Fact]
    public void Events_in_nonviolent_videos_are_those_of_predict_and_every_one_counts()
    {
        string[] windows = ["--window", "1", "--stride", "0.6", "--smooth", "0.1"];
        double[] all = [.. Predicted([.. windows, "--threshold", "0.5"])
            .SelectMany(video => video.GetProperty("windows").EnumerateArray())
            .Select(window => window.GetProperty("smoothed").GetDouble()).Order()];

        // Between two of the probabilities, so that some windows are above and some are not.
        double middle = (all[(all.Length / 2) - 1] + all[all.Length / 2]) / 2;
        string[] decision = [.. windows, "--threshold", middle.ToString("R", CultureInfo.InvariantCulture)];
        JsonElement[] expected = Predicted(decision);

        CommandOutcome evaluated =
            Run(["evaluate", "--checkpoint", Checkpoint, "--nonviolent-videos", "calm", "--json", .. decision]);

        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        using var json = JsonDocument.Parse(evaluated.Output);
        JsonElement alarms = json.RootElement.EnumerateObject().ShouldHaveSingleItem().Value;
        json.RootElement.TryGetProperty("false_alarms", out _).ShouldBeTrue();
        alarms.GetProperty("videos").GetInt32().ShouldBe(2);
        alarms.GetProperty("unreadable").GetInt32().ShouldBe(1);

        // 75 and 30 frames at 15 a second.
        alarms.GetProperty("hours").GetDouble().ShouldBe(7.0 / 3600, 1e-9);
        int events = expected.Sum(video => video.GetProperty("events").GetArrayLength());
        events.ShouldBeGreaterThan(0);
        alarms.GetProperty("events").GetInt32().ShouldBe(events);
        alarms.GetProperty("per_hour").GetDouble().ShouldBe(events * 3600 / 7.0, 1e-6);
        alarms.GetProperty("per_hour_interval").GetProperty("low").GetDouble().ShouldBeLessThan(events * 3600 / 7.0);
        alarms.GetProperty("windows").GetInt32().ShouldBe(all.Length);
        alarms.GetProperty("windows_above").GetInt32().ShouldBe(all.Length - (all.Length / 2));
        JsonElement[] watched = [.. alarms.GetProperty("watched").EnumerateArray()];
        watched[^1].GetProperty("path").GetString().ShouldBe("calm/text.mp4");
        watched[^1].GetProperty("highest").ValueKind.ShouldBe(JsonValueKind.Null);
        watched[^1].GetProperty("error").GetString().ShouldNotBeNullOrEmpty();
        foreach (JsonElement video in watched[..2])
        {
            JsonElement same = expected.Single(each => each.GetProperty("path").GetString() == video.GetProperty("path").GetString());
            video.GetProperty("events").GetRawText().Where(letter => !char.IsWhiteSpace(letter))
                .ShouldBe(same.GetProperty("events").GetRawText().Where(letter => !char.IsWhiteSpace(letter)));
            video.GetProperty("highest").GetDouble().ShouldBe(same.GetProperty("violent").GetDouble());
        }

        using var file = JsonDocument.Parse(File.ReadAllText(_folder.File("run/false_alarms.json")));
        file.RootElement.GetProperty("per_hour").GetDouble().ShouldBe(alarms.GetProperty("per_hour").GetDouble());
        file.RootElement.GetProperty("watched")[2].GetProperty("highest").GetString().ShouldBe("NaN");
        File.Exists(_folder.File("run/evaluation_results.json")).ShouldBeFalse();
    }

    [Fact]
    public void Clips_and_nonviolent_videos_are_measured_together()
    {
        CommandOutcome evaluated = Run("evaluate", "--checkpoint", "run", "--dataset-path", "clips", "--nonviolent-videos", "calm",
            "--threshold", "0", "--output", "out");

        evaluated.ExitCode.ShouldBe(0, evaluated.Error);
        string[] lines = evaluated.Output.Split('\n');
        lines.ShouldContain(line => line.StartsWith("balanced accuracy"));
        lines.ShouldContain(line => line.StartsWith("seconds of a window, stride") && line.EndsWith(" 2, 1"));
        lines.ShouldContain(line => line.StartsWith("hours watched") && line.EndsWith(" 0.002"));
        lines.ShouldContain(line => line.StartsWith("  at or above the threshold") && line.EndsWith(" 100.0%"));

        // Everything is one event in each video: 2 in 7 s; 0.242209 and 7.224688 are Garwood's limits of 2.
        lines.ShouldContain(line => line.StartsWith("false alarms an hour") && line.EndsWith(" 1028.571 [124.565, 3715.554]"));
        lines.ShouldContain(line => line.TrimStart().StartsWith("1 ") && line.EndsWith("calm/long.mp4"));
        lines.ShouldContain(line => line.Contains("calm/text.mp4: "));
        lines.ShouldContain("written to out/evaluation_results.json");
        lines.ShouldContain("written to out/false_alarms.json");

        // The threshold is that of the clips as well.
        using var metrics = JsonDocument.Parse(File.ReadAllText(_folder.File("out/evaluation_results.json")));
        metrics.RootElement.GetProperty("val").GetProperty("threshold").GetDouble().ShouldBe(0);
    }

    [Fact]
    public void Without_a_video_that_can_be_read_there_is_no_figure()
    {
        Directory.CreateDirectory(_folder.File("empty"));
        CommandOutcome empty = Run("evaluate", "--checkpoint", Checkpoint, "--nonviolent-videos", "empty");
        empty.ExitCode.ShouldBe(1);
        empty.Error.ShouldContain("There are no videos in 'empty'");
        CommandOutcome none = Run("evaluate", "--checkpoint", Checkpoint, "--nonviolent-videos", "nowhere");
        none.ExitCode.ShouldBe(1);
        none.Error.ShouldContain("'nowhere' does not exist");
        File.Exists(_folder.File("run/false_alarms.json")).ShouldBeFalse();

        CommandOutcome text = Run("evaluate", "--checkpoint", Checkpoint, "--nonviolent-videos", "calm/text.mp4");
        text.ExitCode.ShouldBe(1, text.Error);
        text.Output.Split('\n').ShouldContain(line => line.StartsWith("false alarms an hour") && line.EndsWith(" -"));
        text.Output.ShouldContain("calm/text.mp4: ");
    }

    [Fact]
    public void A_video_of_one_frame_carries_its_warning()
    {
        using (VideoWriter writer = new(
            _folder.File("one.mp4"), new VideoWriterOptions { Width = 96, Height = 64, Codec = VideoCodec.Mpeg4 }))
        {
            writer.AddFrame(new byte[writer.FrameBytes]);
            writer.Close();
        }

        foreach (string[] windows in (string[][])[[], ["--window", "1"]])
        {
            Run(["predict", "one.mp4", "--checkpoint", Checkpoint, "--json", .. windows]).Output
                .ShouldContain("\"note\": \"has no two successive frames of one scene: its motion is zeros\"");
        }
    }

    public void Dispose() => _folder.Dispose();

    private JsonElement[] Predicted(string[] options)
    {
        CommandOutcome outcome = Run(["predict", "calm", "--checkpoint", Checkpoint, "--json", .. options]);
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        return [.. JsonDocument.Parse(outcome.Output).RootElement.EnumerateArray()];
    }

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
