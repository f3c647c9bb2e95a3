using System.Globalization;
using System.Text.Json;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests;

/// <summary>Prediction by the built program, with a model that was trained on a few drawn clips.</summary>
public sealed class PredictTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PredictTests()
    {
        foreach (string name in new[] { "train/violent/a", "train/nonviolent/b", "val/violent/c", "val/nonviolent/d" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_folder.File($"clips/{name}"))!);
            StripedClip.Write(_folder.File($"clips/{name}.mp4"), name[^1], 6);
        }

        StripedClip.Write(_folder.File("long.mp4"), 7, 50);
        StripedClip.Write(_folder.File("long2.mp4"), 3, 20);
        CommandOutcome trained = Run("train", "--dataset-path", "clips", "--cache-dir", "cache", "--checkpoint-dir", "run", "--frames", "2",
            "--epochs", "1", "--stream", "motion");
        trained.ExitCode.ShouldBe(0, trained.Error);
    }

    [Fact]
    public void Long_videos_get_windows_events_and_an_annotated_copy()
    {
        // 50 frames at 25 a second: windows of 25 from 0, 12 and 24 (half a second is 12 frames), and one that ends with the video.
        string[] line = ["predict", "long.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "1", "--stride", "0.48",
            "--smooth", "0.1"];
        CommandOutcome all = Run([.. line, "--threshold", "0", "--json", "--annotate", "marked.mp4"]);

        all.ExitCode.ShouldBe(0, all.Error);
        using var json = JsonDocument.Parse(all.Output);
        JsonElement prediction = json.RootElement.EnumerateArray().ShouldHaveSingleItem();
        JsonElement[] windows = prediction.GetProperty("windows").EnumerateArray().ToArray();
        windows.Select(window => window.GetProperty("start").GetDouble()).ShouldBe([0, 0.48, 0.96, 1]);
        windows.ShouldAllBe(window => window.GetProperty("smoothed").GetDouble() >= 0 && window.GetProperty("violent").GetDouble() <= 1);
        double highest = windows.Max(window => window.GetProperty("smoothed").GetDouble());
        prediction.GetProperty("violent").GetDouble().ShouldBe(highest);
        JsonElement happening = prediction.GetProperty("events").EnumerateArray().ShouldHaveSingleItem();
        happening.GetProperty("start").GetDouble().ShouldBe(0);
        happening.GetProperty("end").GetDouble().ShouldBe(2);
        happening.GetProperty("peak").GetDouble().ShouldBe(highest);

        byte[] frames = new byte[50 * 96 * 64 * 3];
        VideoInfo info = VideoReader.Read(_folder.File("marked.mp4"), 50, frames, new VideoReadOptions { Width = 96, Height = 64 });
        (info.DecodedFrames, info.Width, info.Height, info.FrameRate).ShouldBe((50, 96, 64, 25));
        for (int frame = 0; frame < 50; frame++)
        {
            // The left edge is red throughout the event, halfway down where there is neither number nor bar.
            int pixel = ((frame * 64) + 40) * 96 * 3;
            frames[pixel].ShouldBeGreaterThan((byte)150);
            frames[pixel + 2].ShouldBeLessThan((byte)110);
        }

        string threshold = (highest + 1e-6).ToString("R", CultureInfo.InvariantCulture);
        CommandOutcome none = Run([.. line, "--threshold", threshold, "--csv"]);
        none.ExitCode.ShouldBe(0, none.Error);
        none.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .ShouldBe(["path,start,end,peak,peak_time,threshold,release,status,error", $"long.mp4,,,,,{threshold},{threshold},ok,"]);

        CommandOutcome text =
            Run("predict", "long*.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "0.4", "--threshold", "0");
        text.ExitCode.ShouldBe(0, text.Error);
        text.Output.Split('\n').Count(row => row.Contains("0:00:00.0") && row.EndsWith(".mp4")).ShouldBe(2);
        text.Output.ShouldContain("0:00:02.0");
        text.Output.ShouldContain("0:00:00.8");

        CommandOutcome two =
            Run("predict", "long.mp4", "long2.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "1", "--annotate",
            "two.mp4");
        two.ExitCode.ShouldBe(1);
        two.Error.ShouldContain("--annotate writes one video");
        File.Exists(_folder.File("two.mp4")).ShouldBeFalse();

        // One window over the whole video is the answer without windows.
        CommandOutcome whole = Run("predict", "long.mp4", "--checkpoint", "run/best_model.safetensors", "--csv");
        CommandOutcome window2 = Run("predict", "long.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "2", "--json");
        whole.Output.Split('\n')[0].ShouldBe("path,violent,label,threshold,status,error");
        using var single = JsonDocument.Parse(window2.Output);
        single.RootElement[0].GetProperty("violent").GetDouble().ToString("R", CultureInfo.InvariantCulture)
            .ShouldBe(whole.Output.Split('\n')[1].Split(',')[1]);

        File.WriteAllText(_folder.File("text.mp4"), "no video");
        Run("predict", "text.mp4", "long2.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "1").ExitCode.ShouldBe(0);
        Run("predict", "text.mp4", "long2.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "1", "--strict")
            .ExitCode.ShouldBe(1);
        Run("predict", "text.mp4", "--checkpoint", "run/best_model.safetensors", "--window", "1").ExitCode.ShouldBe(1);
        Run("predict", "none*.mp4", "--checkpoint", "run/best_model.safetensors").Error.ShouldContain("No video matches 'none*.mp4'");
    }

    public void Dispose() => _folder.Dispose();

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(_folder.Path, [], arguments);
}
