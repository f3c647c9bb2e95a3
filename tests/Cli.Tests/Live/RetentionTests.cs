using CudaTrainer.Live.Events;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>Which events are deleted, and that nothing else ever is.</summary>
public sealed class RetentionTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 7, 20, 12, 0, 0, TimeSpan.Zero);

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Old_events_go_with_all_their_files()
    {
        string young = Put("gate", Now.AddDays(-6), 100);
        Put("gate", Now.AddDays(-8), 100, parts: 3);
        Put("door", Now.AddDays(-30), 100);
        using (EventFolder folder = Open(new() { KeepDays = 7 }))
        {
            folder.DeleteOld(Now, _ => false);
        }

        Left().ShouldBe([young]);
        Directory.Exists(_folder.File("events/gate/2026-07-12")).ShouldBeFalse("an empty day goes, too");
    }

    [Fact]
    public void The_oldest_go_where_there_are_too_many_bytes()
    {
        string[] ids = [.. Enumerable.Range(0, 6).Select(i => Put(i % 2 == 0 ? "gate" : "door", Now.AddHours(i - 10), 400_000))];
        using EventFolder folder = Open(new() { KeepMb = 1.7 });

        folder.DeleteOld(Now, id => id == ids[0]);

        // The first is still being written.
        Left().ShouldBe([ids[0], ids[3], ids[4], ids[5]], ignoreOrder: true);
    }

    [Fact]
    public void Without_limits_everything_stays()
    {
        string id = Put("gate", Now.AddDays(-4000), 100);
        using EventFolder folder = Open(new());
        folder.DeleteOld(Now, _ => false);
        Left().ShouldBe([id]);
    }

    /// <summary>Files of people, of other cameras' names, and behind links.</summary>
    [Fact]
    public void Nothing_else_is_ever_deleted()
    {
        DateTimeOffset longAgo = Now.AddDays(-100);
        string id = EventName.Id(longAgo, "gate"), day = $"{longAgo:yyyy-MM-dd}", elsewhere = _folder.File("elsewhere");
        Put("gate", longAgo, 10);
        string[] kept =
        [
            $"gate/{day}/holiday.mp4",
            $"gate/{day}/{id}.txt",
            $"gate/{day}/{id}.mp4.bak",
            $"gate/{day}/{id}.copy.mp4",
            $"gate/{day}/{id}",
            $"gate/{day}/x{id}.mp4",
            $"gate/{day}/sub/{id}.mp4",
            $"gate/{id}.mp4",
            $"gate/notes/{id}.mp4",
            $"gate/2026-01-01/{id}.mp4",
            $"door/{day}/{id}.mp4",
            $"{id}.mp4",
            $"gate/{day}/{id.Replace("2026", "9999")}.mp4",
            $"gate/{day}/.{id}.mp4.swp",
            $"gate/{day}/.notes.1-2.tmp",
        ];
        foreach (string file in kept)
        {
            Write(Path.Combine(Output, file), 10);
        }

        // The same events behind links: a camera, a day, a file.
        Write(Path.Combine(elsewhere, day, $"{EventName.Id(longAgo, "linked")}.mp4"), 10);
        Directory.CreateSymbolicLink(Path.Combine(Output, "linked"), elsewhere);
        string otherDay = _folder.File("otherday"), before = $"{longAgo.AddDays(-1):yyyy-MM-dd}",
            beforeId = EventName.Id(longAgo.AddDays(-1), "gate");
        Write(Path.Combine(otherDay, $"{beforeId}.mp4"), 10);
        Directory.CreateSymbolicLink(Path.Combine(Output, "gate", before), otherDay);
        Directory.CreateDirectory(Path.Combine(Output, "door", day));
        string doorId = EventName.Id(longAgo, "door"), target = Path.Combine(elsewhere, "target.mp4");
        Write(target, 10);
        File.CreateSymbolicLink(Path.Combine(Output, "door", day, $"{doorId}.mp4"), target);

        using (EventFolder folder = Open(new() { KeepDays = 1, KeepMb = 1e-6 }))
        {
            folder.DeleteUnfinished();
            folder.DeleteOld(Now, _ => false);
        }

        File.Exists(Path.Combine(Output, $"gate/{day}/{id}.mp4")).ShouldBeFalse();
        File.Exists(Path.Combine(Output, $"gate/{day}/{id}.json")).ShouldBeFalse();
        kept.Where(file => !File.Exists(Path.Combine(Output, file))).ShouldBeEmpty();
        File.Exists(target).ShouldBeTrue();
        new FileInfo(Path.Combine(Output, "door", day, $"{doorId}.mp4")).LinkTarget.ShouldBe(target);
        File.Exists(Path.Combine(otherDay, $"{beforeId}.mp4")).ShouldBeTrue();
        Directory.GetFiles(elsewhere, "*.mp4", SearchOption.AllDirectories).Length.ShouldBe(2);
    }

    [Fact]
    public void What_a_killed_process_left_goes()
    {
        string id = Put("gate", Now, 10), day = $"gate/{Now:yyyy-MM-dd}";
        Write(Path.Combine(Output, day, $".{id}.mp4.123-4.tmp"), 10);
        Write(Path.Combine(Output, day, $".{id}.2.mp4.123-4.partial"), 10);
        using EventFolder folder = Open(new());

        folder.DeleteUnfinished();

        Directory.GetFiles(Path.Combine(Output, day), ".*").ShouldBeEmpty();
        Left().ShouldBe([id]);
    }

    public void Dispose() => _folder.Dispose();

    private string Output => _folder.File("events");

    private static void Write(string path, int bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, new byte[bytes]);
    }

    private EventFolder Open(EventOptions options) => new(options with { Events = Output });

    private string Put(string camera, DateTimeOffset start, int bytes, int parts = 1)
    {
        string id = EventName.Id(start, camera), folder = Path.Combine(Output, EventName.Folder(id, camera));
        for (int part = 1; part <= parts; part++)
        {
            Write(Path.Combine(folder, EventName.Clip(id, part, "mp4")), bytes);
        }

        Write(Path.Combine(folder, $"{id}.png"), 1);
        Write(Path.Combine(folder, $"{id}.json"), 1);
        return id;
    }

    /// <summary>Events of which all is there, oldest first; none is there in part.</summary>
    private string[] Left()
    {
        KeyValuePair<string, int>[] files = [.. Directory.GetFiles(Output, "*", SearchOption.AllDirectories)
            .Select(file => EventName.IdOf(Path.GetFileName(file))).OfType<string>().CountBy(id => id)];
        files.ShouldAllBe(file => file.Value == 3);
        return [.. files.Select(file => file.Key).Order(StringComparer.Ordinal)];
    }
}
