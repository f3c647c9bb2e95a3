namespace CudaTrainer.Cli.Tests;

/// <summary>
/// A dataset as they are found in the wild, through the built program: what can be used is used, the rest is listed with its reason.
/// </summary>
public class BadClipTests
{
    private const string Train = "clips/train/violent";

    [Fact]
    public void Broken_clips_are_left_out_by_name_and_a_damaged_cache_is_found_and_mended()
    {
        using TemporaryFolder folder = new();
        MakeDataset(folder);
        string[] extract = ["extract", "--dataset-path", "clips", "--cache-dir", "cache", "--frames", "2", "--max-corrupt", "0.9",
            "--decode-timeout", "20"];

        CommandOutcome outcome = CommandRunner.RunIn(folder.Path, [], extract);

        outcome.ExitCode.ShouldBe(0, outcome.Error);
        string[] listed = File.ReadAllLines(folder.File("cache/train_videos.csv"));
        (string Name, string Status)[] expected =
        [
            ("good.mp4", "ok"),
            ("one-frame.mp4", "ok"),
            ("matroska.avi", "ok"),
            ("empty.mp4", "empty file"),
            ("truncated.mp4", "truncated"),
            ("sound.mp4", "no video stream"),
            ("text.mp4", "not a video"),
            ("fifo.mp4", "not a regular file"),
        ];
        foreach ((string name, string status) in expected)
        {
            string line = listed.Where(line => line.Contains(name)).ShouldHaveSingleItem();
            line.ShouldContain($",{status}");
            if (status != "ok")
            {
                outcome.Error.ShouldContain(name);
            }
        }

        // One byte of one row: verify finds it, extract makes that row again, and the file is what it was.
        string features = folder.File("cache/train_features.npy");
        byte[] whole = File.ReadAllBytes(features);
        using (FileStream file = File.OpenWrite(features))
        {
            file.Seek(-100, SeekOrigin.End);
            file.WriteByte((byte)(whole[^100] ^ 1));
        }

        CommandOutcome verified = CommandRunner.RunIn(folder.Path, [], "cache", "verify", "--cache-dir", "cache");
        verified.ExitCode.ShouldBe(1, verified.Output + verified.Error);
        (verified.Output + verified.Error).ShouldContain("train_features.npy");
        CommandOutcome mended = CommandRunner.RunIn(folder.Path, [], extract);
        mended.ExitCode.ShouldBe(0, mended.Error);
        File.ReadAllBytes(features).ShouldBe(whole);
        CommandRunner.RunIn(folder.Path, [], "cache", "verify", "--cache-dir", "cache").ExitCode.ShouldBe(0);
    }

    private static void MakeDataset(TemporaryFolder folder)
    {
        foreach (string name in new[] { "train/violent", "train/nonviolent", "val/violent", "val/nonviolent" })
        {
            Directory.CreateDirectory(folder.File($"clips/{name}"));
        }

        StripedClip.Write(folder.File($"{Train}/good.mp4"), stripe: 1, frames: 12);
        StripedClip.Write(folder.File("clips/train/nonviolent/a.mp4"), stripe: 2, frames: 12);
        StripedClip.Write(folder.File("clips/val/violent/b.mp4"), stripe: 3, frames: 12);
        StripedClip.Write(folder.File("clips/val/nonviolent/c.mp4"), stripe: 4, frames: 12);
        StripedClip.Write(folder.File($"{Train}/one-frame.mp4"), stripe: 5, frames: 1);
        StripedClip.Write(folder.File("other.mkv"), stripe: 6, frames: 12);
        File.Move(folder.File("other.mkv"), folder.File($"{Train}/matroska.avi"));
        StripedClip.Write(folder.File("long.mp4"), stripe: 7, frames: 40);
        byte[] content = File.ReadAllBytes(folder.File("long.mp4"));
        File.WriteAllBytes(folder.File($"{Train}/truncated.mp4"), content[..(content.Length * 3 / 5)]);
        File.WriteAllBytes(folder.File($"{Train}/empty.mp4"), []);
        File.WriteAllText(folder.File($"{Train}/text.mp4"), "404 Not Found\n");
        File.WriteAllBytes(folder.File($"{Train}/sound.mp4"), Silence());
        TemporaryFolder.MakeFifo(folder.File($"{Train}/fifo.mp4"));
    }

    /// <summary>A tenth of a second of silence: a WAV file.</summary>
    private static byte[] Silence() =>
    [
        .. "RIFF"u8, .. BitConverter.GetBytes(36 + 800), .. "WAVEfmt "u8, .. BitConverter.GetBytes(16), 1, 0, 1, 0,
        .. BitConverter.GetBytes(8000), .. BitConverter.GetBytes(8000), 1, 0, 8, 0, .. "data"u8, .. BitConverter.GetBytes(800),
        .. Enumerable.Repeat((byte)128, 800),
    ];
}
