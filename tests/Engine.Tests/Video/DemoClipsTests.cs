using CudaTrainer.Data.Video;
using CudaTrainer.Synthetic;

namespace CudaTrainer.Engine.Tests.Video;

public sealed class DemoClipsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("demo-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Every_file_is_what_the_list_says()
    {
        var calls = new List<DemoProgress>();
        DemoClipSet set = DemoClips.Render(Options(9), calls.Add);

        set.Labelled.Count.ShouldBe(9);
        set.Labelled.Count(clip => clip.IsViolent).ShouldBe(7);
        set.Unseen.Count.ShouldBe(2);
        set.Unseen.Count(clip => clip.IsViolent).ShouldBe(1);
        calls.ShouldBe(Enumerable.Range(1, 11).Select(done => new DemoProgress(done, 11)));

        byte[] rgb = new byte[20 * 224 * 224 * 3];
        foreach (DemoClip clip in set.Labelled.Concat(set.Unseen))
        {
            VideoReader.Read(clip.Path, 20, rgb).DecodedFrames.ShouldBe(clip.Frames, clip.Path);
        }

        set.Labelled.Count(clip => clip.Frames == 1).ShouldBe(1);
        set.Broken.Select(clip => clip.Fault).ShouldBe(
            [VideoFault.Empty, VideoFault.Truncated, VideoFault.NotAVideo, VideoFault.NoVideoStream], ignoreOrder: true);
        foreach (BrokenClip clip in set.Broken)
        {
            VideoReader.TryRead(clip.Path, 20, rgb).Fault.ShouldBe(clip.Fault, clip.Path);
        }

        HashSet<string> files = Directory.GetFiles(set.DatasetDirectory, "*", SearchOption.AllDirectories).ToHashSet();
        files.Remove(Path.Combine(set.DatasetDirectory, "sources.csv")).ShouldBeTrue();
        files.ShouldBe(set.Labelled.Select(clip => clip.Path).Concat(set.Broken.Select(clip => clip.Path)), ignoreOrder: true);
    }

    [Fact]
    public void Sources_list_every_labelled_file_once_with_its_class_and_place()
    {
        DemoClipSet set = DemoClips.Render(Options(6) with { UnseenCount = 2, ClipsPerSource = 2 });
        string[] lines = File.ReadAllLines(Path.Combine(set.DatasetDirectory, "sources.csv"));
        lines[0].ShouldBe("path,class,source");
        var rows = lines.Skip(1).Select(line => line.Split(',')).ToDictionary(row => row[0], row => (Class: row[1], Source: row[2]));
        rows.Count.ShouldBe(6 + set.Broken.Count);
        foreach (DemoClip clip in set.Labelled)
        {
            (string Class, string Source) row = rows[Path.GetRelativePath(set.DatasetDirectory, clip.Path)];
            row.ShouldBe((clip.IsViolent ? "violent" : "nonviolent", clip.Source));
        }

        set.Labelled.Select(clip => clip.Source).Distinct().Count().ShouldBe(3);
        set.Labelled.Select(clip => clip.Source).Intersect(set.Unseen.Select(clip => clip.Source)).ShouldBeEmpty();
    }

    [Fact]
    public void A_seed_fixes_every_pixel_whatever_the_number_of_workers()
    {
        DemoClipSet first = DemoClips.Render(Options(3, "a") with { UnseenCount = 0, Workers = 1 });
        DemoClipSet second = DemoClips.Render(Options(3, "b") with { UnseenCount = 0, Workers = 3 });
        DemoClipSet other = DemoClips.Render(Options(2, "c") with { UnseenCount = 0, Seed = 8 });
        byte[][] Contents(DemoClipSet set) => [.. set.Labelled.Select(clip => File.ReadAllBytes(clip.Path))];
        foreach ((byte[] expected, byte[] actual) in Contents(first).Zip(Contents(second)))
        {
            actual.ShouldEqual(expected);
        }

        Contents(other)[0].SequenceEqual(Contents(first)[0]).ShouldBeFalse();
    }

    [Fact]
    public void Nothing_but_the_activity_depends_on_the_class()
    {
        // The same scene, camera, size and random stream: one plan with a fight, one with a hug. Without people they are equal.
        var video = new VideoWriterOptions { Width = 160, Height = 120 };
        var random = Draws.Of(1, 1);
        var fight = new ClipPlan(0, new Scene(7, 1), Activity.Choose(true, 0, 2, ref random), 3, video, 5);
        ClipPlan hug = fight with { Activity = Activity.Choose(false, 3, 2, ref random) };
        var pairs = ClipRenderer.Pictures(fight).Select(picture => (byte[])picture.Pixels.Clone())
            .Zip(ClipRenderer.Pictures(hug).Select(picture => (byte[])picture.Pixels.Clone())).ToList();
        pairs.Count.ShouldBe(3);
        foreach ((byte[] violent, byte[] peaceful) in pairs)
        {
            for (int row = 0; row < 120; row++)
            {
                // Beside them.
                violent.AsSpan(row * 160 * 3, 8 * 3).SequenceEqual(peaceful.AsSpan(row * 160 * 3, 8 * 3)).ShouldBeTrue();
            }

            violent.Zip(peaceful).Count(pair => pair.First != pair.Second).ShouldBeInRange(1000, violent.Length / 2);
        }
    }

    [Fact]
    public void Existing_files_are_never_overwritten()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "dataset"));
        File.WriteAllText(Path.Combine(_folder, "dataset", "mine.txt"), "precious");
        Should.Throw<IOException>(() => DemoClips.Render(Options(2))).Message.ShouldContain("is not empty");
        Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).Length.ShouldBe(1);
    }

    private DemoClipOptions Options(int count, string folder = "") => new()
    {
        Directory = Path.Combine(_folder, folder),
        Count = count,
        UnseenCount = 2,
        Seed = 7,
        Workers = 2,
    };
}
