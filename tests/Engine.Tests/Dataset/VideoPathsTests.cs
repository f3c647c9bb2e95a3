using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Events;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class VideoPathsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("video-paths-").FullName;
    private readonly RecordingObserver _observer = new();

    public VideoPathsTests()
    {
        foreach (string name in new[] { "b1.mp4", "a1.mp4", "note.txt", "x/a2.mkv", "x/y/a3.mp4", ".hidden/a4.mp4", "odd[1]*.mp4" })
        {
            string path = Path.Combine(_folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, []);
        }
    }

    [Theory]
    [InlineData("a1.mp4", "a1.mp4")]
    [InlineData("missing.mp4", "missing.mp4")]
    [InlineData("?1.mp4", "a1.mp4 b1.mp4")]
    [InlineData("*.mp4", "a1.mp4 b1.mp4 odd[1]*.mp4")]
    [InlineData("**/a*", "a1.mp4 x/a2.mkv x/y/a3.mp4")]
    [InlineData("x/*", "x/a2.mkv x/y/a3.mp4")]
    [InlineData("x", "x/a2.mkv x/y/a3.mp4")]
    [InlineData("*/y/*.mp4", "x/y/a3.mp4")]
    [InlineData("x/../*1.mp4", "x/../a1.mp4 x/../b1.mp4")]
    [InlineData(".hidden/*", ".hidden/a4.mp4")]
    [InlineData("odd[1]*.mp4", "odd[1]*.mp4")]
    public void A_path_stands_for_these_videos(string path, string expected) => Find(path).ShouldBe(expected.Split(' '));

    [Fact]
    public void A_folder_is_searched_without_what_is_hidden_and_says_what_it_passes_over()
    {
        Find("").ShouldBe(["a1.mp4", "b1.mp4", "odd[1]*.mp4", "x/a2.mkv", "x/y/a3.mp4"]);
        _observer.Messages.ShouldBe(
        [
            (Severity.Info, $"ignored: {_folder}/.hidden/ (hidden)"),
            (Severity.Info, $"ignored: {_folder}/note.txt (not a video (.txt))"),
        ]);
    }

    [Theory]
    [InlineData("x", "x/a2.mkv x/y/a3.mp4")]
    [InlineData("x/**/*.mp4", "x/y/a3.mp4")]
    [InlineData("**/y/a*", "x/y/a3.mp4")]
    public void Links_that_lead_in_circles_end(string path, string expected)
    {
        Directory.CreateSymbolicLink(Path.Combine(_folder, "x/up"), ".");
        Directory.CreateSymbolicLink(Path.Combine(_folder, "x/y/up"), "..");
        Directory.CreateSymbolicLink(Path.Combine(_folder, "x/y/self"), "self");

        Find(path).ShouldBe(expected.Split(' '), customMessage: string.Join("\n", _observer.Messages));
    }

    [Fact]
    public void A_name_that_is_not_UTF8_is_named_as_such_and_leaves_the_rest()
    {
        // Two of them that come out alike when they are decoded.
        ChildProcess.Run("bash", ["-c", @"cd ""$0"" && touch $'x/\xff.mp4' $'x/\xfe.mp4'", _folder]).ExitCode.ShouldBe(0);

        FoundVideos found = VideoPaths.Find([Path.Combine(_folder, "x")], _observer, default);

        found.Videos.Count.ShouldBe(2);
        found.Unreadable.ShouldHaveSingleItem().Reason.ShouldBe("its name is not UTF-8: rename it");
        _observer.Messages.ShouldHaveSingleItem().Severity.ShouldBe(Severity.Warning);
    }

    [Fact]
    public void A_path_without_videos_leaves_the_rest()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "empty"));
        FoundVideos found = VideoPaths.Find(
            [Path.Combine(_folder, "x"), Path.Combine(_folder, "empty"), Path.Combine(_folder, "none*")], _observer, default);

        found.Videos.Count.ShouldBe(2);
        _observer.Messages.ShouldBe(
        [
            (Severity.Warning, $"There are no videos in '{_folder}/empty'."),
            (Severity.Warning, $"No video matches '{_folder}/none*'."),
        ]);
    }

    [Theory]
    [InlineData("*.txt")]
    [InlineData("nowhere/*.mp4")]
    [InlineData("x/**/b*")]
    public void A_pattern_without_videos_is_an_error(string pattern)
    {
        Should.Throw<RunException>(() => Find(pattern)).Message.ShouldContain(pattern);
    }

    [Fact]
    public void A_search_can_be_stopped()
    {
        using CancellationTokenSource stop = new();
        stop.Cancel();

        Should.Throw<OperationCanceledException>(() => VideoPaths.Find([_folder], _observer, stop.Token));
    }

    // .NET cannot delete what it cannot name.
    public void Dispose() => ChildProcess.Run("rm", ["-rf", _folder]).ExitCode.ShouldBe(0);

    private IEnumerable<string> Find(string path) => VideoPaths.Find([Path.Combine(_folder, path)], _observer, default).Videos
        .Select(video => video[(_folder.Length + 1)..]);
}
