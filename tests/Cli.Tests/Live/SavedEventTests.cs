using System.Text.Json;
using CudaTrainer.Data.Video;
using CudaTrainer.Engine;
using CudaTrainer.Live.Cameras;
using CudaTrainer.Live.Events;
using SkiaSharp;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>What is on the disk of events.</summary>
public sealed class SavedEventTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly NewsLog _log = new();

    private string Output => _folder.File("events");

    [Fact]
    public void An_event_leaves_a_clip_a_picture_and_its_json()
    {
        using PacketTap tap = Staged.Tapped(_folder, 40);
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output, Before = 3, After = 2, Cooldown = 0 }, _log);
        CameraSession session = Staged.Session(tap);
        double[] scores = [.. Enumerable.Range(0, 30).Select(i => i is >= 10 and < 15 ? 0.6 + (i / 100.0) : 0.1)];
        foreach (LiveAnswer answer in Staged.Answers(scores))
        {
            events.Add(session, answer);
        }

        EventSaved saved = _log.Wait<EventSaved>();
        EventBegan began = _log.Of<EventBegan>().Single();
        EventEnded ended = _log.Of<EventEnded>().Single();
        _log.Of<ArchiveTrouble>().ShouldBeEmpty();

        string id = ended.Id, day = $"gate/2026-07-13/{id}";
        (ended.Clips.Single(), ended.Snapshot, saved.File).ShouldBe(($"{day}.mp4", $"{day}.png", $"{day}.json"));
        (began.Id, began.Clips.Single(), began.Snapshot).ShouldBe((id, $"{day}.mp4", $"{day}.png"));
        Directory.GetFiles(Output, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Output, file))
            .Order(StringComparer.Ordinal).ShouldBe([".cudatrainer-events", $"{day}.json", $"{day}.mp4", $"{day}.png"]);
        saved.Bytes.ShouldBe(Directory.GetFiles(Path.Combine(Output, "gate/2026-07-13")).Sum(file => new FileInfo(file).Length));

        // The event is 10.5 to 15.5 s; the clip begins with the keyframe at or before 7.5 s and ends at 17.5 s.
        string clip = Path.Combine(Output, $"{day}.mp4");
        (VideoReadResult result, int width, _, List<(double Seconds, byte[] Rgb)> frames) = Staged.Decode(clip);
        result.Fault.ShouldBe(VideoFault.None, result.Reason);
        width.ShouldBe(320);
        int first = (int)Math.Round(17.5 * Staged.Rate) - frames.Count + 1;
        first.ShouldBeInRange((int)(7.5 * Staged.Rate) - 12, (int)(7.5 * Staged.Rate));
        byte[] original = Staged.Decode(_folder.File("camera.mp4")).Frames[first].Rgb;
        frames[0].Rgb.ShouldBe(original);

        using SKBitmap picture = SKBitmap.Decode(Path.Combine(Output, $"{day}.png"));
        (picture.Width, picture.Height).ShouldBe((4 * 320, 240));

        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(Path.Combine(Output, $"{day}.json")));
        json.RootElement.EnumerateObject().Select(property => property.Name).ShouldBe(
            ["end", "reason", "to", "event", "label", "start", "from", "peak", "peak_time", "clips", "snapshot", "id", "camera", "at"],
            ignoreOrder: true);
        json.RootElement.GetProperty("reason").GetString().ShouldBe("over");
        json.RootElement.GetProperty("end").GetDateTimeOffset().ShouldBe(Staged.Began.AddSeconds(15.5));
        JsonElement.DeepEquals(json.RootElement, JsonDocument.Parse(EventJson.Bytes(ended)).RootElement).ShouldBeTrue();
    }

    /// <summary>The tap keeps less than the event lasts; what plays while it goes on is there in the end, without a gap.</summary>
    [Fact]
    public void A_long_event_is_saved_in_parts_while_it_goes_on()
    {
        EventOptions options = new() { Events = Output, Before = 2, After = 2, Cooldown = 0 };
        string camera = _folder.File("camera.mp4");
        Staged.Draw(camera, 110);
        using PacketTap tap = new(LiveEvents.TapSeconds(options), 1 << 30);
        LiveEvents.TapSeconds(options).ShouldBeLessThan(60);
        using LiveEvents events = Staged.Events(options, _log);
        CameraSession session = Staged.Session(tap);
        int next = 0;
        Staged.Play(camera, tap, seconds =>
        {
            for (; next + 2 <= seconds; next++)
            {
                events.Add(session, Staged.Answer(next, next is >= 10 and < 90 ? 0.9 : 0.1));
            }
        });

        _log.Wait<EventSaved>();
        _log.Of<ArchiveTrouble>().ShouldBeEmpty();
        EventEnded ended = _log.Of<EventEnded>().Single();

        // From 8.5 to 92.5 s: 30 s, 30 s and the rest.
        ended.Clips.Select(Path.GetFileName).ShouldBe([$"{ended.Id}.mp4", $"{ended.Id}.2.mp4", $"{ended.Id}.3.mp4"]);
        List<byte[]> original = [.. Staged.Decode(camera).Frames.Select(frame => frame.Rgb)];
        int seen = 85;
        foreach (string clip in ended.Clips)
        {
            List<(double Seconds, byte[] Rgb)> frames = Staged.Decode(Path.Combine(Output, clip)).Frames;
            int first = original.FindIndex(seen - 12, rgb => rgb.AsSpan().SequenceEqual(frames[0].Rgb));
            first.ShouldBeInRange(seen - 12, seen, "each part begins where the last ended, or at the keyframe before");
            seen = first + frames.Count;
        }

        seen.ShouldBe(926, "the frame at 92.5 s is the last");
    }

    [Fact]
    public void An_end_of_the_connection_saves_what_there_is_at_once()
    {
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output }, _log);
        PacketTap tap = Staged.Tapped(_folder, 8);
        CameraSession session = Staged.Session(tap);
        foreach (LiveAnswer answer in Staged.Answers(0.1, 0.1, 0.9, 0.9))
        {
            events.Add(session, answer);
        }

        events.SessionEnded(session);
        tap.Dispose();

        EventSaved saved = _log.Wait<EventSaved>();
        _log.Of<EventEnded>().Single().Reason.ShouldBe(EndReason.Disconnected);
        Staged.Decode(Path.Combine(Output, Path.ChangeExtension(saved.File, "mp4"))).Frames.Count.ShouldBe(80);
        _log.Of<ArchiveTrouble>().ShouldBeEmpty();
    }

    [Fact]
    public void An_answer_of_another_session_ends_the_event_of_the_last()
    {
        using LiveEvents events = Staged.Events(new EventOptions(), _log);
        events.Add(Staged.Session(null), Staged.Answer(0, 0.9));
        events.Add(Staged.Session(null, number: 2), Staged.Answer(0, 0.1));

        _log.Of<EventEnded>().Single().Reason.ShouldBe(EndReason.Disconnected);
    }

    [Fact]
    public void Stopping_ends_and_saves_every_event()
    {
        using PacketTap tap = Staged.Tapped(_folder, 8);
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output }, _log);
        foreach (string camera in (string[])["gate", "door 1", "../evil"])
        {
            events.Add(Staged.Session(tap, camera), Staged.Answer(0, 0.9, camera));
        }

        events.Stop(Staged.Patience);
        events.Add(Staged.Session(tap), Staged.Answer(1, 0.9));

        _log.Of<EventEnded>().Select(ended => ended.Reason).ShouldBe([EndReason.Stopped, EndReason.Stopped, EndReason.Stopped]);
        _log.Of<EventBegan>().Count().ShouldBe(3);
        _log.Of<EventSaved>().Count().ShouldBe(3);
        _log.Of<ArchiveTrouble>().ShouldBeEmpty();
        Directory.GetDirectories(Output).Select(Path.GetFileName).Order(StringComparer.Ordinal).ShouldBe(
            [$"___evil-{EventName.Id(Staged.Began, "../evil")[^8..]}", $"door_1-{EventName.Id(Staged.Began, "door 1")[^8..]}", "gate"]);
    }

    [Fact]
    public void Events_too_short_to_tell_leave_nothing()
    {
        using PacketTap tap = Staged.Tapped(_folder, 20);
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output, MinLength = 4, Cooldown = 0 }, _log);
        foreach (LiveAnswer answer in Staged.Answers(0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1))
        {
            events.Add(Staged.Session(tap), answer);
        }

        events.Stop(Staged.Patience);

        _log.Of<LiveNews>().ShouldBeEmpty();
        Directory.GetDirectories(Output).ShouldBeEmpty();
    }

    [Fact]
    public void An_event_larger_than_all_that_may_be_kept_stays_until_the_next()
    {
        using PacketTap tap = Staged.Tapped(_folder, 20);
        EventOptions options = new() { Events = Output, KeepMb = 0.001, Cooldown = 0, Before = 0, After = 0 };
        using LiveEvents events = Staged.Events(options, _log);
        CameraSession session = Staged.Session(tap);
        LiveAnswer[] answers = Staged.Answers(0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1);
        Array.ForEach(answers[..5], answer => events.Add(session, answer));
        EventSaved first = _log.Wait<EventSaved>();
        Array.ForEach(answers[5..], answer => events.Add(session, answer));
        events.Stop(Staged.Patience);

        EventSaved second = _log.Of<EventSaved>().Last();
        second.Id.ShouldNotBe(first.Id);
        Directory.GetFiles(Output, "*.json", SearchOption.AllDirectories).Select(Path.GetFileNameWithoutExtension).ShouldBe([second.Id]);
        ArchiveTrouble told = _log.Of<ArchiveTrouble>().ShouldHaveSingleItem();
        told.Id.ShouldBe(first.Id);
        told.Reason.ShouldContain(" 0.001 is smaller than one event");
    }

    [Fact]
    public void A_disk_that_is_full_spoils_no_later_event()
    {
        string mount = _folder.File("tiny");
        Directory.CreateDirectory(mount);
        CommandOutcome mounted = ChildProcess.Run("mount", ["-t", "tmpfs", "-o", "size=300k", "tmpfs", mount]);
        Assert.SkipUnless(mounted.ExitCode == 0, "not allowed to mount");
        try
        {
            using PacketTap tap = Staged.Tapped(_folder, 20);
            using LiveEvents events = Staged.Events(new EventOptions { Events = mount, Cooldown = 0, Before = 0, After = 0 }, _log);
            string filler = Path.Combine(mount, "filler");
            File.WriteAllBytes(filler, new byte[250 << 10]);
            CameraSession session = Staged.Session(tap);
            Array.ForEach(Staged.Answers(0.9, 0.9, 0.9, 0.9, 0.1), answer => events.Add(session, answer));

            ArchiveTrouble trouble = _log.Wait<ArchiveTrouble>();
            trouble.Reason.ShouldContain("space left");
            trouble.Reason.ShouldContain(".mp4");
            trouble.Id.ShouldBe(_log.Of<EventEnded>().Single().Id);
            NewsLog.WaitUntil(() => _log.Of<EventSaved>().Any() || _log.Of<ArchiveTrouble>().Count() == 3);
            Directory.GetFiles(mount, "*.mp4", SearchOption.AllDirectories).ShouldBeEmpty("no part of a clip stays");

            File.Delete(filler);
            events.Add(session, Staged.Answer(6, 0.9));
            events.Add(session, Staged.Answer(7, 0.1));
            string later = _log.Of<EventBegan>().Last().Id;
            EventSaved saved = _log.Wait<EventSaved>(saved => saved.Id == later);
            Staged.Decode(Path.Combine(mount, Path.ChangeExtension(saved.File, "mp4"))).Frames.ShouldNotBeEmpty();
        }
        finally
        {
            ChildProcess.Run("umount", ["-l", mount]).ExitCode.ShouldBe(0);
        }
    }

    [Fact]
    public void What_cannot_be_written_spoils_nothing_else()
    {
        using PacketTap tap = Staged.Tapped(_folder, 10);
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output }, _log);
        File.WriteAllText(Path.Combine(Output, "gate"), "a file where the folder of the camera should be");
        events.Add(Staged.Session(tap), Staged.Answer(0, 0.9));
        events.Add(Staged.Session(tap, "door"), Staged.Answer(0, 0.9, "door"));
        events.Stop(Staged.Patience);

        _log.Of<ArchiveTrouble>().Count().ShouldBe(3, "clip, picture and JSON");
        _log.Of<EventSaved>().Single().Camera.ShouldBe("door");
        File.Exists(Path.Combine(Output, "gate")).ShouldBeTrue();
    }

    [Fact]
    public void A_folder_of_another_program_that_runs_is_refused()
    {
        using LiveEvents events = Staged.Events(new EventOptions { Events = Output }, _log);

        Should.Throw<RunException>(() => Staged.Events(new EventOptions { Events = Output }, _log)).Message.ShouldContain("being written");
        Should.Throw<RunException>(() => Staged.Events(new EventOptions { Events = "/proc/events" }, _log))
            .Message.ShouldContain("'/proc/events' cannot be written");
    }

    public void Dispose() => _folder.Dispose();
}
