using CudaTrainer.Data.Cache;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Drift;

public sealed class ClipPicturesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Path => _folder.File(ClipPictures.FileName);

    [Fact]
    public void What_is_added_is_read_by_the_next()
    {
        ClipPictures.Open(_folder.Path).Find("a").ShouldBeNull();
        ClipPictures writer = ClipPictures.OpenToWrite(_folder.Path);
        writer.Add("a", Info(1.0 / 3));
        writer.Add("b", Info(2));
        writer.Add("without motion", Info(3) with { Pictures = null });

        writer.Find("a").ShouldBe(Picture(1.0 / 3));
        ClipPictures reader = ClipPictures.Open(_folder.Path);
        reader.Find("a").ShouldBe(Picture(1.0 / 3));
        reader.Find("b").ShouldBe(Picture(2));
        reader.Find("without motion").ShouldBeNull();

        // Extracted again.
        ClipPictures.OpenToWrite(_folder.Path).Add("a", Info(4));
        ClipPictures.Open(_folder.Path).Find("a").ShouldBe(Picture(4));
    }

    [Fact]
    public void The_line_of_a_killed_process_is_dropped_and_the_next_begins_a_line()
    {
        ClipPictures.OpenToWrite(_folder.Path).Add("a", Info(1));
        File.AppendAllText(Path, "torn 1 2 3 4 25 240 2");

        ClipPictures.Open(_folder.Path).Find("torn").ShouldBeNull();
        ClipPictures.OpenToWrite(_folder.Path).Add("b", Info(2));

        ClipPictures reader = ClipPictures.Open(_folder.Path);
        (reader.Find("a"), reader.Find("b"), reader.Find("torn")).ShouldBe((Picture(1), Picture(2), null));
        File.ReadAllLines(Path).Length.ShouldBe(3);
    }

    [Fact]
    public void A_file_of_another_version_is_begun_anew_and_lines_that_are_none_are_passed_over()
    {
        File.WriteAllText(Path, "cudatrainer pictures 9\na 1 2 3 4 5 6 7\n");
        ClipPictures.Open(_folder.Path).Find("a").ShouldBeNull();
        ClipPictures.OpenToWrite(_folder.Path).Add("b", Info(1));
        File.AppendAllText(Path, "\nc 1 2\nd 1 2 3 NaN 5 6 7\ne x 2 3 4 5 6 7\nf 1 2 3 4 5 6 7\n");

        ClipPictures reader = ClipPictures.Open(_folder.Path);
        reader.Find("b").ShouldBe(Picture(1));
        new[] { "a", "c", "d", "e" }.Select(reader.Find).ShouldAllBe(picture => picture == null);
        reader.Find("f").ShouldNotBeNull();
    }

    [Fact]
    public void Where_nothing_can_be_written_nothing_fails()
    {
        Directory.CreateDirectory(Path);
        ClipPictures writer = ClipPictures.OpenToWrite(_folder.Path);
        writer.Add("a", Info(1));
        writer.Find("a").ShouldBe(Picture(1));
        ClipPictures.Open(_folder.File("nowhere")).Find("a").ShouldBeNull();
    }

    public void Dispose() => _folder.Dispose();

    private static PictureStatistics Statistics(double value) => new(100 + value, 50 + value, 0.5 + (value / 10), value);

    private static ClipPicture Picture(double value) => new(Statistics(value), 25, 240, 2.5);

    private static VideoInfo Info(double value) =>
        new(50, 320, 240, 25, TimeSpan.FromSeconds(2.5), "h264", "mp4", 0, 1, Pictures: Statistics(value));
}
