using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Dataset;

public sealed class VideoPathsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("video-paths-").FullName;

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
    [InlineData("odd[1]*.mp4", "odd[1]*.mp4")]
    public void A_path_stands_for_these_videos(string path, string expected)
    {
        VideoPaths.Expand(Path.Combine(_folder, path)).ShouldBe(expected.Split(' ').Select(name => Path.Combine(_folder, name)));
    }

    [Theory]
    [InlineData("*.txt")]
    [InlineData("nowhere/*.mp4")]
    public void A_pattern_without_videos_is_an_error(string pattern)
    {
        Should.Throw<RunException>(() => VideoPaths.Expand(Path.Combine(_folder, pattern))).Message.ShouldContain(pattern);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
