using System.Text.Json;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests;

/// <summary>A folder with one file of each kind, through the built program.</summary>
public sealed class DataScanTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Every_file_gets_its_verdict_and_stays_where_it_is()
    {
        Directory.CreateDirectory(_folder.File("clips/train/Fight"));
        Directory.CreateDirectory(_folder.File("clips/train/nonviolent"));
        Draw("clips/train/Fight/good.mp4", 12, 1);
        Draw("clips/train/Fight/short.avi", 3, 2);
        Draw("clips/train/nonviolent/calm.mp4", 12, 3);
        Draw("clips/outside.mp4", 12, 4);
        File.Copy(_folder.File("clips/train/Fight/good.mp4"), _folder.File("clips/train/nonviolent/twin.mp4"));
        Draw("long.mp4", 40, 7);
        byte[] content = File.ReadAllBytes(_folder.File("long.mp4"));
        File.WriteAllBytes(_folder.File("clips/train/Fight/truncated.mp4"), content[..(content.Length * 3 / 5)]);
        File.WriteAllBytes(_folder.File("clips/train/Fight/empty.mp4"), []);
        File.WriteAllText(_folder.File("clips/train/Fight/text, no video.mp4"), "404 Not Found\n");
        File.WriteAllText(_folder.File("clips/train/Fight/notes.txt"), "not looked at");
        TemporaryFolder.MakeFifo(_folder.File("clips/train/Fight/fifo.mp4"));
        string[] before = Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories);

        CommandOutcome outcome = Scan("--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        JsonElement files = json.RootElement.GetProperty("files");
        IEnumerable<(string?, string?, string?, int)> found = files.EnumerateArray().Select(file => (
            file.GetProperty("path").GetString(), file.GetProperty("class").GetString(), file.GetProperty("verdict").GetString(),
                file.GetProperty("frames").GetInt32()));
        found.ShouldBe(
        [
            ("outside.mp4", null, "ok", 12),
            ("train/Fight/empty.mp4", "violent", "empty file", 0),
            ("train/Fight/fifo.mp4", "violent", "not a regular file", 0),
            ("train/Fight/good.mp4", "violent", "ok", 12),
            ("train/Fight/short.avi", "violent", "short", 3),
            ("train/Fight/text, no video.mp4", "violent", "not a video", 0),
            ("train/Fight/truncated.mp4", "violent", "truncated", 0),
            ("train/nonviolent/calm.mp4", "nonviolent", "ok", 12),
            ("train/nonviolent/twin.mp4", "nonviolent", "duplicate", 12),
        ]);
        files[8].GetProperty("duplicate_of").GetString().ShouldBe("train/Fight/good.mp4");
        files[3].GetProperty("seconds").GetDouble().ShouldBe(0.48, 1e-9);

        string[] rows = Scan("--csv").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        rows.Length.ShouldBe(10);
        rows[6].ShouldStartWith("\"train/Fight/text, no video.mp4\",violent,not a video,");

        string[] text = Scan().Output.Split('\n');
        text.ShouldContain(line => Columns(line).SequenceEqual(new[] { "ok", "1", "1", "1", "3" }));
        text.ShouldContain(line => Columns(line).SequenceEqual(new[] { "all", "6", "2", "1", "9" }));
        text.ShouldContain(line => line.StartsWith("duplicate ") && line.EndsWith(
            "train/nonviolent/twin.mp4: of train/Fight/good.mp4, which is violent"));
        Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).ShouldBe(before, ignoreOrder: true);
    }

    [Fact]
    public void Fights_of_another_resolution_are_named_by_scan_and_doctor()
    {
        Directory.CreateDirectory(_folder.File("clips/violent"));
        Directory.CreateDirectory(_folder.File("clips/nonviolent"));
        for (int i = 0; i < 20; i++)
        {
            Draw($"clips/violent/{i}.mp4", 6, 1 + i, 96, 64);
            Draw($"clips/nonviolent/{i}.mp4", 6, 1 + i, 64, 48);
        }

        string[] kinds = ["give_away_picture", "sources_unknown"];
        using var json = JsonDocument.Parse(Scan("--json").Output);
        Kinds(json.RootElement).ShouldBe(kinds, "by strength; what the size of the picture does to the size of the file may come between");
        JsonElement strongest = json.RootElement.GetProperty("give_aways")[0];
        strongest.GetProperty("metadatum").GetString().ShouldBe("height");
        strongest.GetProperty("balanced_accuracy").GetDouble().ShouldBe(1);
        strongest.GetProperty("found").GetBoolean().ShouldBeTrue();

        string text = Scan().Output;
        string findings = text[text.IndexOf("What would limit a model:")..];
        findings.ShouldContain("WARN  The height of the picture alone tells the classes apart in 100 % of clips held out (violent: 64 " +
            "rows in 20 of 20; nonviolent: 48 rows in 20 of 20)");
        CommandRunner.RunIn(_folder.Path, [], "doctor", "clips").Output.ShouldEndWith(findings);
        using var doctor = JsonDocument.Parse(CommandRunner.RunIn(_folder.Path, [], "doctor", "clips", "--json").Output);
        Kinds(doctor.RootElement.GetProperty("dataset")).ShouldBe(kinds);

        IEnumerable<string?> Kinds(JsonElement of) => of.GetProperty("findings").EnumerateArray()
            .Select(finding => finding.GetProperty("kind").GetString()).Where(kind => kind != "give_away_data");
    }

    [Fact]
    public void A_table_labels_clips_of_three_classes_and_one_of_another_resolution_is_named()
    {
        Directory.CreateDirectory(_folder.File("clips/all"));
        string table = "path,class\n";
        for (int i = 0; i < 36; i++)
        {
            (string name, int width, int height) = (i % 3) switch { 0 => ("hug", 96, 64), 1 => ("walk", 64, 48), _ => ("fight", 64, 48) };
            Draw($"clips/all/{i:00}.mp4", 6, 1 + i, width, height);
            table += $"all/{i:00}.mp4,{name}\n";
        }

        Draw("clips/all/99.mp4", 6, 60);
        _folder.File("clips/labels.csv", table);

        CommandOutcome outcome = Scan("--labels", "clips/labels.csv", "--json");

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        using var json = JsonDocument.Parse(outcome.Output);
        json.RootElement.GetProperty("files").EnumerateArray().Select(file => file.GetProperty("class").GetString()).Distinct().Order()
            .ShouldBe([null, "fight", "hug", "walk"]);
        JsonElement strongest = json.RootElement.GetProperty("give_aways")[0];
        (strongest.GetProperty("metadatum").GetString(), strongest.GetProperty("class").GetString()).ShouldBe(("height", "hug"));
        json.RootElement.GetProperty("findings").EnumerateArray().Select(finding => finding.GetProperty("kind").GetString())
            .ShouldContain("give_away_picture");
        string text = Scan("--labels", "clips/labels.csv").Output;
        text.ShouldContain("tells hug from the other classes in 100 % of clips held out");
        Scan("--labels", "clips/labels.csv").Error.ShouldContain("no label: a training leaves it out");

        CommandOutcome pair = Scan("--labels", "clips/labels.csv", "--classes", "close=hug,fight;apart=walk", "--csv");
        pair.Output.Split('\n')[1..4].Select(row => row.Split(',')[1]).ShouldBe(["close", "apart", "close"]);
        Scan("--labels", "nowhere.csv").ErrorLines[0].ShouldContain("The table of labels 'nowhere.csv' does not exist. Check --labels.");
    }

    [Fact]
    public void Sources_are_read_and_what_spoils_a_data_set_fails_a_check_of_it()
    {
        Directory.CreateDirectory(_folder.File("clips/violent"));
        Directory.CreateDirectory(_folder.File("clips/nonviolent"));
        Draw("clips/violent/a.mp4", 6, 1);
        Draw("clips/nonviolent/b.mp4", 6, 2);
        _folder.File("clips/sources.csv", "path,class,source\nviolent/a.mp4,violent,hall\nnonviolent/b.mp4,nonviolent,hall\n");

        CommandOutcome scan = Scan("--csv");
        scan.ExitCode.ShouldBe(0, scan.Error);
        scan.Output.Split('\n')[2].ShouldEndWith(",hall");
        Scan().Output.ShouldContain("FAIL  All 2 clips come from one source (hall)");
        CommandRunner.RunIn(_folder.Path, [], "doctor", "clips").ExitCode.ShouldBe(1);
        Scan("--groups", "nowhere.csv").ErrorLines[0].ShouldContain("'nowhere.csv' does not exist. Check --groups.");
    }

    [Fact]
    public void A_folder_that_is_not_there_is_an_error()
    {
        CommandOutcome outcome = CommandRunner.RunInside("data", "scan", _folder.File("nowhere"));

        outcome.ExitCode.ShouldBe(1);
        outcome.ErrorLines[0].ShouldContain("does not exist");
        CommandRunner.RunInside("data", "scan").ErrorLines[0].ShouldBe("error: DIR: name a folder of videos");
        CommandRunner.RunInside("data", "scan", "x", "--frames", "0")
            .ErrorLines[0].ShouldBe("error: --frames: 0 is out of range; expected 1 to 4096");
    }

    public void Dispose() => _folder.Dispose();

    private static string[] Columns(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private CommandOutcome Scan(params string[] options) =>
        CommandRunner.RunIn(_folder.Path, [], ["data", "scan", "clips", "--frames", "6", .. options]);

    private void Draw(string name, int frames, int stripe, int width = 96, int height = 64)
    {
        using VideoWriter writer = new(
            _folder.File(name), new VideoWriterOptions { Width = width, Height = height, Codec = VideoCodec.Mpeg4 });
        byte[] rgb = new byte[writer.FrameBytes];
        for (int frame = 0; frame < frames; frame++)
        {
            for (int i = 0; i < rgb.Length; i++)
            {
                rgb[i] = (byte)(((i / 3 % width) + (3 * frame)) * stripe);
            }

            writer.AddFrame(rgb);
        }

        writer.Close();
    }
}
