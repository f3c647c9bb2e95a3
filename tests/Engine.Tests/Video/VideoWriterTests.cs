using CudaTrainer.Data.Video;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Engine.Tests.Video;

public sealed class VideoWriterTests : IDisposable
{
    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Theory]
    [InlineData("a.mp4", VideoCodec.Mpeg4)]
    [InlineData("a.avi", VideoCodec.Mjpeg)]
    [InlineData("a.mkv", VideoCodec.Ffv1)]
    [InlineData("a.wmv", VideoCodec.Wmv2)]
    public void The_same_frames_give_the_same_file(string name, VideoCodec codec)
    {
        byte[] first = File.ReadAllBytes(_clips.Textured("1" + name, 10, codec));
        byte[] second = File.ReadAllBytes(_clips.Textured("2" + name, 10, codec));
        second.ShouldEqual(first);
    }

    [Fact]
    public void The_file_appears_when_it_is_complete()
    {
        string path = _clips.PathOf("late.avi");
        using (var writer = new VideoWriter(path, Small(VideoCodec.Mpeg4)))
        {
            writer.AddFrame(new byte[writer.FrameBytes]);
            File.Exists(path).ShouldBeFalse();
            writer.Close();
            File.Exists(path).ShouldBeTrue();
            Should.Throw<ObjectDisposedException>(() => writer.AddFrame(new byte[writer.FrameBytes]));
        }

        Directory.GetFiles(_clips.Folder).ShouldBe([path]);
    }

    [Fact]
    public void A_writer_that_is_not_closed_leaves_nothing()
    {
        string path = _clips.Bytes("old.avi", "old"u8);
        using (var writer = new VideoWriter(path, Small(VideoCodec.Mpeg4)))
        {
            writer.AddFrame(new byte[writer.FrameBytes]);
        }

        Directory.GetFiles(_clips.Folder).ShouldBe([path]);
        File.ReadAllText(path).ShouldBe("old");
    }

    [Fact]
    public void What_cannot_be_written_is_refused_with_the_reason()
    {
        Fault("x.unknown", Small(VideoCodec.Mpeg4)).Message.ShouldContain("no container for .unknown");
        Fault("x.webm", Small(VideoCodec.Mpeg4)).Fault.ShouldBe(VideoFault.WriteFailed);
        Fault("x.mpg", Small(VideoCodec.Mpeg2) with { FrameRate = new(7) }).Message.ShouldContain("mpeg2video does not accept 16x16");
        Fault("x.avi", Small(VideoCodec.Mpeg4) with { Quality = 0 }).Fault.ShouldBe(VideoFault.InvalidArgument);
        Fault("x.avi", Small(VideoCodec.Mpeg4) with { RotationDegrees = 45 }).Fault.ShouldBe(VideoFault.InvalidArgument);
        Fault("x.avi", Small(VideoCodec.Mpeg4) with { Width = 0 }).Fault.ShouldBe(VideoFault.InvalidArgument);
        Fault("missing folder/x.avi", Small(VideoCodec.Mpeg4)).Fault.ShouldBe(VideoFault.NotFound);
        Directory.GetFileSystemEntries(_clips.Folder).ShouldBeEmpty();
    }

    [Fact]
    public void A_full_disk_is_an_error_not_a_short_file()
    {
        // /dev/full takes every open and refuses every byte.
        string path = _clips.PathOf("full.avi");
        using var writer = new VideoWriter(path, Small(VideoCodec.Mjpeg) with { Width = 256, Height = 256 });
        string temporary = Directory.GetFiles(_clips.Folder).ShouldHaveSingleItem();
        using SafeFileHandle full = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write);
        RedirectOpenFile(temporary, full.DangerousGetHandle());
        VideoException exception = Should.Throw<VideoException>(() =>
        {
            byte[] noise = new byte[writer.FrameBytes];
            new Random(1).NextBytes(noise);
            for (int i = 0; i < 10; i++)
            {
                writer.AddFrame(noise);
            }

            writer.Close();
        });
        exception.Fault.ShouldBe(VideoFault.WriteFailed);
        exception.Message.ShouldContain("No space left on device");
    }

    [Fact]
    public void A_frame_of_the_wrong_size_is_refused()
    {
        using var writer = new VideoWriter(_clips.PathOf("x.avi"), Small(VideoCodec.Mpeg4));
        Should.Throw<ArgumentException>(() => writer.AddFrame(new byte[10])).Message.ShouldContain("[16, 16, 3] needs 768");
    }

    private static VideoWriterOptions Small(VideoCodec codec) => new() { Width = 16, Height = 16, Codec = codec };

    private VideoException Fault(string name, VideoWriterOptions options) =>
        Should.Throw<VideoException>(() => new VideoWriter(_clips.PathOf(name), options).Dispose());

    /// <summary>Makes this process's descriptor of <paramref name="path"/> one of another file.</summary>
    private static void RedirectOpenFile(string path, nint other)
    {
        string link = Directory.GetFiles("/proc/self/fd").Single(entry => new FileInfo(entry).LinkTarget == path);
        DuplicateTo((int)other, int.Parse(Path.GetFileName(link))).ShouldBeGreaterThan(0);
    }

    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "dup2")]
    private static extern int DuplicateTo(int from, int to);
}
