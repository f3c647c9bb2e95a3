using System.Net.Sockets;
using System.Runtime.InteropServices;
using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

public sealed partial class VideoFaultTests : IDisposable
{
    private static readonly VideoReadOptions Small = new() { Width = 8, Height = 8 };

    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Fact]
    public void Missing_file()
    {
        Fail(_clips.PathOf("absent.mp4")).Fault.ShouldBe(VideoFault.NotFound);
        string file = _clips.Bytes("file", "x"u8);
        Fail(Path.Combine(file, "below-a-file.mp4")).Fault.ShouldBe(VideoFault.NotFound);
        string dangling = _clips.PathOf("dangling.mp4");
        File.CreateSymbolicLink(dangling, _clips.PathOf("absent.mp4"));
        Fail(dangling).Fault.ShouldBe(VideoFault.NotFound);
    }

    [Fact]
    public void Folder_pipe_socket_and_device_are_refused_without_being_opened()
    {
        Fail(_clips.Folder).Fault.ShouldBe(VideoFault.NotARegularFile);
        Fail("/dev/zero").Reason.ShouldContain("a device");

        // Opening a FIFO without a writer would block until the test run is killed.
        string fifo = _clips.PathOf("pipe.mp4");
        MakeFifo(fifo, 0x1A4).ShouldBe(0);
        VideoReadResult pipe = Fail(fifo);
        pipe.Fault.ShouldBe(VideoFault.NotARegularFile);
        pipe.Reason.ShouldContain("FIFO");

        string socketPath = _clips.PathOf("s.mp4");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(socketPath));
        Fail(socketPath).Reason.ShouldContain("a socket");
    }

    /// <summary>The superuser may read everything, so the attempt runs with another user's file-system identity.</summary>
    [Fact]
    public void File_without_permission()
    {
        string path = _clips.Coloured("secret.mkv", 2);
        ChangeMode(path, 0x80).ShouldBe(0);
        var result = default(VideoReadResult);
        var reader = new Thread(() =>
        {
            // Of this thread only, and inherited by the decoder thread it starts: Linux keeps credentials per thread.
            const int nobody = 65534;
            _ = SetFileSystemUser(nobody);
            result = DecodeThread.ReadOnNewThread(VideoLibrary.Native!, path, 1, new byte[8 * 8 * 3], Small);
        });
        reader.Start();
        reader.Join();
        result.Fault.ShouldBe(VideoFault.Unreadable);
        result.Reason.ShouldContain("Permission denied");
    }

    [Fact]
    public void Empty_file() => Fail(_clips.Bytes("empty.mp4", [])).Fault.ShouldBe(VideoFault.Empty);

    [Theory]
    [InlineData("text.mp4")]
    [InlineData("text.avi")]
    [InlineData("text.mpg")]
    [InlineData("text")]
    public void Text_is_no_video_whatever_its_extension(string name)
    {
        Fail(_clips.Bytes(name, "The quick brown fox jumps over the lazy dog.\n"u8)).Fault.ShouldBe(VideoFault.NotAVideo);
        string lines = string.Concat(Enumerable.Range(0, 5000).Select(i => $"{i}\tline of a log\n"));
        Fail(_clips.Bytes(name, System.Text.Encoding.UTF8.GetBytes(lines))).Fault.ShouldBe(VideoFault.NotAVideo);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(300_000)]
    public void Noise_and_zeros_are_no_video(int bytes)
    {
        Fail(_clips.Bytes("zeros.mp4", new byte[bytes])).Fault.ShouldBe(VideoFault.NotAVideo);
        for (int seed = 0; seed < 10; seed++)
        {
            byte[] noise = new byte[bytes];
            new Random(seed).NextBytes(noise);
            Fail(_clips.Bytes("noise.avi", noise)).Fault.ShouldBe(VideoFault.NotAVideo, $"seed {seed}");
        }
    }

    [Fact]
    public void Still_image_is_no_video()
    {
        // One frame of Motion JPEG is a JPEG file.
        byte[] avi = File.ReadAllBytes(_clips.Textured("one.avi", 1, VideoCodec.Mjpeg));
        int start = avi.AsSpan().IndexOf(new byte[] { 0xFF, 0xD8, 0xFF });
        int end = avi.AsSpan().LastIndexOf(new byte[] { 0xFF, 0xD9 }) + 2;
        VideoReadResult result = Fail(_clips.Bytes("photo.mp4", avi.AsSpan(start, end - start)));
        result.Fault.ShouldBe(VideoFault.NotAVideo);
        result.Reason.ShouldContain("still image");
    }

    [Fact]
    public void Playlist_opens_no_other_file()
    {
        string target = _clips.Coloured("real.mkv", 5);
        string playlist = $"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n";
        Fail(_clips.Bytes("list.mp4", System.Text.Encoding.UTF8.GetBytes(playlist))).Fault.ShouldBe(VideoFault.NotAVideo);
        string concat = $"ffconcat version 1.0\nfile '{target}'\n";
        Fail(_clips.Bytes("concat.mp4", System.Text.Encoding.UTF8.GetBytes(concat))).Fault.ShouldBe(VideoFault.NotAVideo);
    }

    [Theory]
    [InlineData("sound.wav")]
    [InlineData("sound.mp4")]
    public void Sound_only(string name)
    {
        VideoReadResult result = Fail(_clips.Bytes(name, Clips.Wav()));
        result.Fault.ShouldBe(VideoFault.NoVideoStream);
        result.Reason.ShouldContain("wav");
    }

    [Fact]
    public void Video_stream_without_frames()
    {
        string path = _clips.Textured("none.avi", 0);
        VideoReadResult result = Fail(path);
        result.Fault.ShouldBe(VideoFault.ZeroFrames);
        result.Info.DecodedFrames.ShouldBe(0);
    }

    [Theory]
    [InlineData("a.mp4", VideoCodec.Mpeg4, false)]
    [InlineData("front.mp4", VideoCodec.Mpeg4, true)]
    [InlineData("a.mov", VideoCodec.Mjpeg, true)]
    [InlineData("a.avi", VideoCodec.Mpeg4, false)]
    [InlineData("b.avi", VideoCodec.Mjpeg, false)]
    [InlineData("a.mkv", VideoCodec.Mpeg4, false)]
    [InlineData("b.mkv", VideoCodec.Ffv1, false)]
    [InlineData("a.wmv", VideoCodec.Wmv2, false)]
    public void Truncated_file(string name, VideoCodec codec, bool fastStart)
    {
        string whole = _clips.Textured(name, 60, codec, fastStart: fastStart);
        VideoReader.TryRead(whole, 5, new byte[5 * 8 * 8 * 3], Small).Fault.ShouldBe(VideoFault.None);
        foreach (double fraction in new[] { 0.1, 0.3, 0.5, 0.75, 0.9, 0.97 })
        {
            Fail(_clips.Cut(whole, fraction)).Fault.ShouldBe(VideoFault.Truncated, $"{name} cut to {fraction:P0}");
        }
    }

    [Fact]
    public void Truncated_file_gives_what_it_has_when_damage_is_tolerated()
    {
        string whole = _clips.Textured("front.mp4", 60, fastStart: true);
        VideoReadResult result = VideoReader.TryRead(
            _clips.Cut(whole, 0.6), 5, new byte[5 * 8 * 8 * 3], Small with { TolerateDamage = true });
        result.Fault.ShouldBe(VideoFault.None);
        result.Info.DecodedFrames.ShouldBeInRange(10, 59);
        result.Info.DecodeErrors.ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData("damaged.avi", VideoCodec.Mpeg4)]
    [InlineData("damaged.mp4", VideoCodec.Mpeg4)]
    [InlineData("damaged.mkv", VideoCodec.Ffv1)]
    public void Damaged_packets_fail_unless_tolerated(string name, VideoCodec codec)
    {
        byte[] bytes = File.ReadAllBytes(_clips.Textured(name, 60, codec, fastStart: true));
        new Random(5).NextBytes(bytes.AsSpan(bytes.Length / 2, bytes.Length / 20));
        string path = _clips.Bytes(name, bytes);

        VideoReadResult result = Fail(path);
        result.Fault.ShouldBe(VideoFault.DecodeError);
        result.Info.DecodeErrors.ShouldBeGreaterThan(0);
        result.Reason.ShouldContain("after frame");

        VideoReadResult tolerant = VideoReader.TryRead(path, 5, new byte[5 * 8 * 8 * 3], Small with { TolerateDamage = true });
        tolerant.Fault.ShouldBe(VideoFault.None);
        tolerant.Info.DecodeErrors.ShouldBe(result.Info.DecodeErrors);
        tolerant.Info.DecodedFrames.ShouldBeInRange(30, 60);
    }

    /// <summary>Whatever is done to a file, the reader answers with a fault or with frames.</summary>
    [Theory]
    [InlineData("a.mp4", VideoCodec.Mpeg4)]
    [InlineData("a.avi", VideoCodec.Mjpeg)]
    [InlineData("a.mkv", VideoCodec.Ffv1)]
    [InlineData("a.wmv", VideoCodec.Wmv2)]
    [InlineData("a.flv", VideoCodec.Flv1)]
    [InlineData("a.mpg", VideoCodec.Mpeg2)]
    public void Random_damage_anywhere_never_crashes(string name, VideoCodec codec)
    {
        byte[] whole = File.ReadAllBytes(_clips.Textured(name, 12, codec, 64, 48));
        var random = new Random(99);
        byte[] rgb = new byte[3 * 8 * 8 * 3];
        int failed = 0;
        for (int round = 0; round < 60; round++)
        {
            byte[] bytes = (byte[])whole.Clone();
            int header = round % 2 == 0 ? Math.Min(bytes.Length, 400) : bytes.Length;
            for (int hit = random.Next(1, 12); hit > 0; hit--)
            {
                bytes[random.Next(header)] = (byte)random.Next(256);
            }

            string path = _clips.Bytes("hit-" + name, bytes.AsSpan(0, round % 3 == 0 ? random.Next(1, bytes.Length) : bytes.Length));
            VideoReadResult result = VideoReader.TryRead(path, 3, rgb, Small with { TolerateDamage = round % 5 == 0 });
            Enum.IsDefined(result.Fault).ShouldBeTrue();
            (result.Reason.Length > 0).ShouldBe(!result.Succeeded);
            failed += result.Succeeded ? 0 : 1;
        }

        failed.ShouldBeGreaterThan(0);
    }

    [Fact]
    public void Time_limit_ends_a_long_read()
    {
        // Tens of milliseconds of work at the very least, against a limit of one.
        string path = _clips.Coloured("long.avi", 200, 320, 240, VideoCodec.Mpeg4);
        VideoReadResult result = VideoReader.TryRead(
            path, 20, new byte[20 * 8 * 8 * 3], Small with { TimeLimit = TimeSpan.FromMilliseconds(1) });
        result.Fault.ShouldBe(VideoFault.TimedOut);
        result.Reason.ShouldContain("0.001 s");
        result.Info.DecodedFrames.ShouldBeLessThan(200);
        VideoReader.TryRead(path, 20, new byte[20 * 8 * 8 * 3], Small with { TimeLimit = TimeSpan.Zero })
            .Info.DecodedFrames.ShouldBe(200);
    }

    [Fact]
    public void Cancellation_ends_a_read()
    {
        string path = _clips.Coloured("long.avi", 200, 320, 240, VideoCodec.Mpeg4);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Should.Throw<OperationCanceledException>(() =>
            VideoReader.TryRead(path, 1, new byte[8 * 8 * 3], Small, cancelled.Token));

        using var later = new CancellationTokenSource(TimeSpan.FromMilliseconds(5));
        Should.Throw<OperationCanceledException>(() =>
        {
            for (; ; )
            {
                VideoReader.TryRead(path, 1, new byte[8 * 8 * 3], Small, later.Token);
            }
        });
    }

    [Fact]
    public void The_exception_names_file_reason_and_remedy()
    {
        string path = _clips.Cut(_clips.Textured("x.avi", 30), 0.5);
        VideoException exception = Should.Throw<VideoException>(() => VideoReader.Read(path, 1, new byte[8 * 8 * 3], Small));
        exception.Fault.ShouldBe(VideoFault.Truncated);
        exception.Path.ShouldBe(path);
        exception.Message.ShouldBe($"'{path}': truncated: {exception.Reason}. Copy or download it again.");
        exception.Reason.ShouldMatch(@"^the container declares \d+ bytes, the file has \d+$");
    }

    private static VideoReadResult Fail(string path)
    {
        VideoReadResult result = VideoReader.TryRead(path, 5, new byte[5 * 8 * 8 * 3], Small);
        result.Succeeded.ShouldBeFalse(path);
        result.Reason.ShouldNotBeEmpty();
        return result;
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MakeFifo(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "chmod", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int ChangeMode(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "setfsuid")]
    private static partial int SetFileSystemUser(uint user);
}
