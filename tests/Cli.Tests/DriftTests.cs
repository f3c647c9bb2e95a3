using System.Text;
using System.Text.Json;
using CudaTrainer.Data.Video;
using CudaTrainer.Synthetic;

namespace CudaTrainer.Cli.Tests;

/// <summary>
/// A model of drawn clips, and recordings of a camera at places that it has not seen: as they are, darker, blurred, and with few frames a
/// second.
/// </summary>
public sealed class DriftOnce : IDisposable
{
    private const int Recordings = 12;

    internal TemporaryFolder Folder { get; } = new();

    public DriftOnce()
    {
        DemoClips.Render(new DemoClipOptions
        {
            Directory = Folder.File("drawn"),
            Count = 60,
            ClipsPerSource = 3,
            UnseenCount = Recordings,
            IncludeBroken = false,
        });
        CommandOutcome trained = CommandRunner.RunIn(Folder.Path, [], "cv", "--dataset-path", "drawn/dataset", "--stream", "motion",
            "--model", "linear", "--folds", "3", "--seeds", "1", "--model-output", "model.safetensors");
        trained.ExitCode.ShouldBe(0, trained.Error);
        foreach (string path in Directory.EnumerateFiles(Folder.File("drawn/unseen")).Where(IsVideo).Order())
        {
            Copy(path, "darker", 1, static (frame, _, _) =>
            {
                for (int i = 0; i < frame.Length; i++)
                {
                    frame[i] /= 12;
                }
            });
            Copy(path, "blurred", 1, Blur);
            Copy(path, "slow", 8, static (_, _, _) => { });
        }
    }

    public void Dispose() => Folder.Dispose();

    private static bool IsVideo(string path) => !path.EndsWith(".csv", StringComparison.Ordinal);

    /// <summary>The mean of squares a tenth of the height wide.</summary>
    private static void Blur(byte[] frame, int width, int height)
    {
        int reach = height / 20;
        byte[] from = [.. frame];
        long[,] sums = new long[height + 1, width + 1];
        for (int channel = 0; channel < 3; channel++)
        {
            for (int y = 0; y < height; y++)
            {
                for (int x = 0; x < width; x++)
                {
                    sums[y + 1, x + 1] = from[(((y * width) + x) * 3) + channel] + sums[y, x + 1] + sums[y + 1, x] - sums[y, x];
                }
            }

            for (int y = 0; y < height; y++)
            {
                int top = Math.Max(0, y - reach), bottom = Math.Min(height, y + reach + 1);
                for (int x = 0; x < width; x++)
                {
                    int left = Math.Max(0, x - reach), right = Math.Min(width, x + reach + 1);
                    frame[(((y * width) + x) * 3) + channel] = (byte)((sums[bottom, right] - sums[top, right] - sums[bottom, left]
                        + sums[top, left]) / ((bottom - top) * (right - left)));
                }
            }
        }
    }

    /// <param name="every">Frames that are kept, at as many times fewer a second.</param>
    private void Copy(string path, string version, int every, Action<byte[], int, int> change)
    {
        string copy = Path.ChangeExtension(Folder.File($"{version}/{Path.GetFileName(path)}"), ".mkv");
        Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
        using VideoFrameReader reader = new(path, new VideoFrameOptions(), CancellationToken.None);
        VideoWriter? writer = null;
        while (reader.Next() is { } frame)
        {
            (int width, int height) = reader.Size;
            writer ??= new VideoWriter(copy, new VideoWriterOptions
            {
                Width = width,
                Height = height,
                Codec = VideoCodec.Ffv1,
                FrameRate = new(reader.Rate.Numerator, reader.Rate.Denominator * every),
            });
            if (frame.Index % every == 0)
            {
                change(frame.Rgb, width, height);
                writer.AddFrame(frame.Rgb);
            }

            reader.Return(frame);
        }

        writer!.Close();
        writer.Dispose();
    }
}

/// <summary>drift by the built program.</summary>
public sealed class DriftTests(DriftOnce once) : IClassFixture<DriftOnce>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Recordings_that_are_as_in_training_give_no_alarm_and_altered_ones_say_what_moved()
    {
        CommandOutcome outcome = Run("drift", "drawn/unseen", "darker", "blurred", "slow", "--checkpoint", "model.safetensors", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        JsonElement[] reports = [.. JsonDocument.Parse(outcome.Output).RootElement.EnumerateArray()];
        reports.Select(report => report.GetProperty("path").GetString()).ShouldBe(["drawn/unseen", "darker", "blurred", "slow"]);
        Alarms(reports[0]).ShouldBeEmpty(outcome.Output);
        Alarms(reports[1]).ShouldContain("luminance");
        Alarms(reports[2]).ShouldContain("sharpness");
        Alarms(reports[3]).ShouldContain("frame_rate");
        Alarms(reports[2]).ShouldNotContain("luminance");
        Alarms(reports[3]).ShouldNotContain("luminance");

        JsonElement dark = Row(reports[1], "luminance"), usual = Row(reports[0], "luminance");
        (dark.GetProperty("verdict").GetString(), usual.GetProperty("verdict").GetString()).ShouldBe(("lower", "as in training"));
        dark.GetProperty("here").GetDouble().ShouldBe(usual.GetProperty("here").GetDouble() / 12, 3);
        usual.GetProperty("here").GetDouble().ShouldBeInRange(usual.GetProperty("low").GetDouble(), usual.GetProperty("high").GetDouble());
        Row(reports[0], "class_rate").GetProperty("title").GetString().ShouldBe("share called violent");
        JsonElement alarm = reports[1].GetProperty("alarms").EnumerateArray()
            .First(alarm => alarm.GetProperty("alarm").GetProperty("quantity").GetString() == "luminance");
        alarm.GetProperty("alarm").GetProperty("sentence").GetString()!
            .ShouldStartWith("The picture is much darker than in the clips that the model learned from: mean luminance");
        alarm.GetProperty("file").GetString()!.ShouldEndWith(
            Path.GetFileName(Directory.EnumerateFiles(once.Folder.File("darker")).Order(StringComparer.Ordinal).First()));
        (alarm.GetProperty("seconds").GetDouble(), alarm.GetProperty("windows").GetInt32(), alarm.GetProperty("ended").GetBoolean())
            .ShouldBe((0, 12, false));
        reports[0].GetProperty("videos").GetInt32().ShouldBe(12);
    }

    [Fact]
    public void A_table_is_for_people_and_strict_makes_an_alarm_a_failure()
    {
        CommandOutcome outcome = Run("drift", "darker", "--checkpoint", "model.safetensors");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Output.ShouldContain("mean luminance (of 255)");
        outcome.Output.ShouldContain("Alarm: The picture is much darker");
        Run("drift", "darker", "--checkpoint", "model.safetensors", "--strict").ExitCode.ShouldBe(1);
        Run("drift", "drawn/unseen", "--checkpoint", "model.safetensors", "--strict").ExitCode.ShouldBe(0);
    }

    [Fact]
    public void Few_windows_are_called_few()
    {
        string one = Directory.EnumerateFiles(once.Folder.File("darker")).Order().First();
        CommandOutcome outcome = Run("drift", one, "--checkpoint", "model.safetensors", "--json");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        JsonElement report = JsonDocument.Parse(outcome.Output).RootElement[0];
        Alarms(report).ShouldBeEmpty();
        Row(report, "luminance").GetProperty("verdict").GetString().ShouldBe("too few windows");
    }

    [Fact]
    public void What_cannot_be_read_is_listed_and_nothing_at_all_is_a_failure()
    {
        File.WriteAllText(_folder.File("text.mp4"), "no video");
        CommandOutcome outcome = Run("drift", _folder.File("text.mp4"), "--checkpoint", "model.safetensors");
        outcome.ExitCode.ShouldBe(1);
        outcome.Output.ShouldContain("text.mp4");
        Run("drift", "nowhere", "--checkpoint", "model.safetensors").ExitCode.ShouldBe(1);
        CommandOutcome nothing = Run("drift");
        nothing.ExitCode.ShouldBe(2);
        nothing.Error.ShouldContain("name at least one video");
        Run("drift", "darker", "--spacing", "0").ExitCode.ShouldBe(2);
    }

    [Fact]
    public void A_model_of_an_earlier_version_says_so()
    {
        string text = Encoding.Latin1.GetString(File.ReadAllBytes(once.Folder.File("model.safetensors")));
        text.ShouldContain("\\\"drift\\\"");
        File.WriteAllText(_folder.File("old.safetensors"), text.Replace("\\\"drift\\\"", "\\\"dr1ft\\\"", StringComparison.Ordinal),
            Encoding.Latin1);
        CommandOutcome outcome = Run("drift", "darker", "--checkpoint", _folder.File("old.safetensors"));
        outcome.ExitCode.ShouldBe(1);
        outcome.Error.ShouldContain("does not say what the clips were like that it learned from");
        outcome.Error.ShouldContain("Train it anew");
        Run("predict", "darker", "--checkpoint", _folder.File("old.safetensors")).ExitCode.ShouldBe(0);

        // One whose quantiles are none is damaged.
        File.WriteAllText(_folder.File("damaged.safetensors"), text.Replace("\\\"quantiles\\\"", "\\\"quanti1es\\\"",
            StringComparison.Ordinal), Encoding.Latin1);
        CommandOutcome damaged = Run("drift", "darker", "--checkpoint", _folder.File("damaged.safetensors"));
        damaged.ExitCode.ShouldBe(1);
        damaged.Error.ShouldContain("damaged.safetensors");
    }

    /// <summary>A cache of an earlier version has no pictures.txt; nothing is extracted for it.</summary>
    [Fact]
    public void A_model_of_an_old_cache_knows_less_and_says_so()
    {
        _folder.CopyFrom(once.Folder);
        File.Delete(_folder.File("feature_cache/motion/pictures.txt"));
        CommandOutcome trained = CommandRunner.RunIn(_folder.Path, [], "train", "--dataset-path", "drawn/dataset", "--stream", "motion",
            "--model", "linear", "--no-report", "--no-tensorboard", "--checkpoint-dir", "run", "--split", "0.7,0.3,0");
        trained.ExitCode.ShouldBe(0, trained.Error);
        (trained.Output + trained.Error).ShouldContain("0 to extract");
        CommandOutcome outcome = CommandRunner.RunIn(_folder.Path, [], "drift", "slow", "--checkpoint", "run", "--json");
        outcome.ExitCode.ShouldBe(0, outcome.Error);
        outcome.Error.ShouldContain("does not say what its training clips look like, only motion");
        JsonElement report = JsonDocument.Parse(outcome.Output).RootElement[0];
        report.GetProperty("quantities").EnumerateArray().Select(row => row.GetProperty("quantity").GetString())
            .ShouldNotContain("luminance");

        // With all clips extracted anew it says all.
        Directory.Delete(_folder.File("feature_cache"), recursive: true);
        CommandRunner.RunIn(_folder.Path, [], "train", "--dataset-path", "drawn/dataset", "--stream", "motion", "--model", "linear",
            "--no-report", "--no-tensorboard", "--checkpoint-dir", "run", "--overwrite", "--split", "0.7,0.3,0").ExitCode.ShouldBe(0);
        Alarms(JsonDocument.Parse(CommandRunner.RunIn(_folder.Path, [], "drift", "slow", "--checkpoint", "run", "--json").Output)
            .RootElement[0]).ShouldContain("frame_rate");

        // What is cleared leaves nothing behind.
        CommandRunner.RunIn(_folder.Path, [], "cache", "clear", "--cache-dir", "feature_cache").ExitCode.ShouldBe(0);
        Directory.Exists(_folder.File("feature_cache/motion")).ShouldBeFalse();
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Alarms(JsonElement report) => [.. report.GetProperty("alarms").EnumerateArray()
        .Select(alarm => alarm.GetProperty("alarm").GetProperty("quantity").GetString()!)];

    private static JsonElement Row(JsonElement report, string quantity) => report.GetProperty("quantities").EnumerateArray()
        .Single(row => row.GetProperty("quantity").GetString() == quantity);

    private CommandOutcome Run(params string[] arguments) => CommandRunner.RunIn(once.Folder.Path, [], arguments);
}
