using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

public sealed class VideoReaderTests : IDisposable
{
    private static readonly VideoReadOptions Small = new() { Width = 8, Height = 8 };

    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Theory]
    [InlineData(40, 20)]
    [InlineData(53, 20)]
    [InlineData(7, 20)]
    [InlineData(20, 20)]
    [InlineData(1, 20)]
    [InlineData(1, 1)]
    [InlineData(2, 5)]
    [InlineData(90, 3)]
    public void Delivers_exactly_the_sampled_frames(int total, int count)
    {
        string path = _clips.Coloured("clip.mkv", total);
        byte[] rgb = Read(path, count, Small, out VideoInfo info);

        info.DecodedFrames.ShouldBe(total);
        for (int i = 0; i < count; i++)
        {
            (byte r, byte g, byte b) = Clips.ColourOf((int)FrameSampler.FrameIndex(total, count, i));
            Span<byte> frame = rgb.AsSpan(i * 8 * 8 * 3, 8 * 8 * 3);
            for (int p = 0; p < frame.Length; p += 3)
            {
                (frame[p], frame[p + 1], frame[p + 2]).ShouldBe((r, g, b), $"sample {i}");
            }
        }
    }

    [Fact]
    public void Says_what_the_file_is()
    {
        string path = _clips.Write(
            "clip.avi",
            30,
            new VideoWriterOptions { Width = 98, Height = 66, Codec = VideoCodec.Mpeg4, FrameRate = new(15) },
            (frame, rgb) => Clips.Texture(frame, 98, rgb));
        Read(path, 4, Small, out VideoInfo info);

        info.ShouldBe(new VideoInfo(30, 98, 66, 15, TimeSpan.FromSeconds(2), "mpeg4", "avi", 0, 1, 0, info.ResizeTime));
        info.ResizeTime.ShouldBeGreaterThan(TimeSpan.Zero);
    }

    [Theory]
    [InlineData(VideoCodec.Mpeg4, "mp4")]
    [InlineData(VideoCodec.Mpeg4, "avi")]
    [InlineData(VideoCodec.Mpeg4, "mov")]
    [InlineData(VideoCodec.Mpeg4, "mkv")]
    [InlineData(VideoCodec.Mpeg4, "m4v")]
    [InlineData(VideoCodec.Mjpeg, "avi")]
    [InlineData(VideoCodec.Wmv2, "wmv")]
    [InlineData(VideoCodec.Flv1, "flv")]
    [InlineData(VideoCodec.Mpeg2, "mpg")]
    [InlineData(VideoCodec.Ffv1, "mkv")]
    public void Reads_what_FFmpeg_can_always_write(VideoCodec codec, string extension)
    {
        VideoWriter.CanEncode(codec).ShouldBeTrue();
        RoundTrip(codec, extension);
    }

    /// <summary>These need libraries that not every FFmpeg has; Debian's has them.</summary>
    [Theory]
    [InlineData(VideoCodec.H264, "mp4")]
    [InlineData(VideoCodec.H264, "mkv")]
    [InlineData(VideoCodec.Vp8, "webm")]
    [InlineData(VideoCodec.Vp9, "webm")]
    public void Reads_what_FFmpeg_needs_other_libraries_to_write(VideoCodec codec, string extension)
    {
        Assert.SkipUnless(VideoWriter.CanEncode(codec), $"this FFmpeg cannot write {codec}");
        RoundTrip(codec, extension);
    }

    [Theory]
    [InlineData(33, 25)]
    [InlineData(1, 1)]
    [InlineData(7, 64)]
    [InlineData(227, 3)]
    public void Reads_odd_sizes(int width, int height)
    {
        string path = _clips.Coloured("odd.mkv", 5, width, height);
        byte[] rgb = Read(path, 5, Small, out VideoInfo info);
        (info.Width, info.Height).ShouldBe((width, height));
        (rgb[^3], rgb[^2], rgb[^1]).ShouldBe(Clips.ColourOf(4));
    }

    /// <summary>The clip has a red, a green, a blue and a white quarter; turned, they must lie where a player shows them.</summary>
    [Theory]
    [InlineData(0, "RG/BW", 48, 32)]
    [InlineData(90, "BR/WG", 32, 48)]
    [InlineData(180, "WB/GR", 48, 32)]
    [InlineData(270, "GW/RB", 32, 48)]
    public void Honours_rotation_metadata(int degrees, string expected, int width, int height)
    {
        string path = _clips.Write(
            "turned.mov",
            3,
            new VideoWriterOptions { Width = 48, Height = 32, Codec = VideoCodec.Mpeg4, RotationDegrees = degrees, Quality = 100 },
            (_, rgb) => Quarters(48, 32, rgb));
        var options = new VideoReadOptions { Width = 40, Height = 40 };
        byte[] rgb = Read(path, 1, options, out VideoInfo info);

        char At(int x, int y) => NameOf(rgb.AsSpan(((y * 40) + x) * 3, 3));
        $"{At(10, 10)}{At(30, 10)}/{At(10, 30)}{At(30, 30)}".ShouldBe(expected);
        (info.Width, info.Height).ShouldBe((width, height));
    }

    [Theory]
    [InlineData(VideoCodec.Mpeg4, "avi")]
    [InlineData(VideoCodec.Mjpeg, "avi")]
    public void Honours_colour_range(VideoCodec codec, string extension)
    {
        // Limited range stores black and white as 16 and 235, full range (Motion JPEG) as 0 and 255; both are 0 and 255 here.
        string path = _clips.Write(
            "range." + extension,
            2,
            new VideoWriterOptions { Width = 32, Height = 32, Codec = codec, Quality = 100 },
            (frame, rgb) => rgb.Fill(frame == 0 ? (byte)0 : (byte)255));
        byte[] rgb = Read(path, 2, Small, out _);
        rgb.AsSpan(0, 8 * 8 * 3).ToArray().Max().ShouldBeLessThanOrEqualTo((byte)3);
        rgb.AsSpan(8 * 8 * 3).ToArray().Min().ShouldBeGreaterThanOrEqualTo((byte)252);
    }

    [Fact]
    public void The_content_decides_not_the_extension()
    {
        string path = _clips.Textured("really.mp4", 12);
        string renamed = _clips.PathOf("claims to be.avi");
        File.Move(path, renamed);
        Read(renamed, 4, Small, out VideoInfo info);
        info.Container.ShouldContain("mp4");
        info.DecodedFrames.ShouldBe(12);
    }

    [Theory]
    [InlineData("Straße – 戦い 🎬 \"x\" %d.mkv")]
    [InlineData("file:http:\\x?y#z.mkv")]
    [InlineData("-i clip*.mkv")]
    public void Any_file_name_will_do(string name)
    {
        string path = _clips.Coloured(name, 3);
        Read(path, 3, Small, out VideoInfo info);
        info.DecodedFrames.ShouldBe(3);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(14)]
    [InlineData(1_000_000)]
    public void A_lying_frame_count_changes_nothing(int claimed)
    {
        string path = _clips.Textured("honest.avi", 15);
        byte[] honest = Read(path, 6, Small, out _);
        byte[] bytes = File.ReadAllBytes(path);
        PatchAviFrameCount(bytes, claimed).ShouldBe(15);
        string liar = _clips.Bytes("liar.avi", bytes);

        // With a budget for a few frames only, the claim decides what is kept, and being wrong must cost a second pass.
        foreach (long keep in new[] { 64L << 20, 200_000L, 0L })
        {
            Read(liar, 6, Small with { KeepBytes = keep }, out VideoInfo info).ShouldEqual(honest);
            info.DecodedFrames.ShouldBe(15);
        }
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(200_000L, 1)]
    [InlineData(64L << 20, 1)]
    public void A_second_pass_gives_the_same_bits(long keepBytes, int passes)
    {
        string path = _clips.Textured("long.mp4", 50);
        byte[] expected = Read(path, 5, Small, out _);
        Read(path, 5, Small with { KeepBytes = keepBytes }, out VideoInfo info).ShouldEqual(expected);
        info.Passes.ShouldBe(passes);
    }

    [Fact]
    public void Eight_readers_at_once_get_the_same_bits_as_one()
    {
        string[] paths = new[]
        {
            _clips.Textured("a.mp4", 40), _clips.Textured("b.avi", 25, VideoCodec.Mjpeg), _clips.Coloured("c.mkv", 30),
            _clips.Textured("d.wmv", 18, VideoCodec.Wmv2), _clips.Bytes("e.mp4", "no video"u8),
        };
        var expected = paths.Select(ReadOrNothing).ToList();
        expected.Count(rgb => rgb is null).ShouldBe(1);
        System.Threading.Tasks.Parallel.For(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
            ReadOrNothing(paths[i % paths.Length]).ShouldBe(expected[i % paths.Length]));

        static byte[]? ReadOrNothing(string path)
        {
            byte[] rgb = new byte[20 * 8 * 8 * 3];
            return VideoReader.TryRead(path, 20, rgb, Small).Succeeded ? rgb : null;
        }
    }

    [Fact]
    public void A_read_allocates_little_and_nothing_per_frame()
    {
        string few = _clips.Coloured("few.mkv", 2);
        string many = _clips.Coloured("many.mkv", 300);
        byte[] rgb = new byte[20 * 8 * 8 * 3];
        Allocated(few).ShouldBeLessThan(1024);
        Allocated(many).ShouldBeLessThan(1024);

        // Other tests may hold all decoding threads at the time, so that a read makes one more.
        long Allocated(string path) => Enumerable.Range(0, 5).Min(_ =>
        {
            VideoReader.TryRead(path, 20, rgb, Small);
            long before = GC.GetAllocatedBytesForCurrentThread();
            VideoReader.TryRead(path, 20, rgb, Small);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        });
    }

    [Fact]
    public void Arguments_are_checked_before_anything_is_opened()
    {
        byte[] rgb = new byte[100];
        Should.Throw<ArgumentException>(() => VideoReader.Read("x.mp4", 2, rgb)).Message
            .ShouldContain("100 bytes; [2, 224, 224, 3] needs 301056");
        Should.Throw<ArgumentOutOfRangeException>(() => VideoReader.Read("x.mp4", 0, rgb));
        Should.Throw<ArgumentException>(() => VideoReader.Read("", 1, rgb));
        Should.Throw<ArgumentException>(() => VideoReader.Read("a\0b", 1, rgb));
        Should.Throw<ArgumentOutOfRangeException>(() =>
            VideoReader.Read("x.mp4", 1, rgb, new VideoReadOptions { TimeLimit = TimeSpan.FromSeconds(-1) }));
    }

    private static byte[] Read(string path, int count, VideoReadOptions options, out VideoInfo info)
    {
        byte[] rgb = new byte[count * options.Width * options.Height * 3];
        info = VideoReader.Read(path, count, rgb, options);
        return rgb;
    }

    private void RoundTrip(VideoCodec codec, string extension)
    {
        const int width = 64, height = 48, frames = 10;
        string path = _clips.Write(
            $"{codec}.{extension}",
            frames,
            new VideoWriterOptions { Width = width, Height = height, Codec = codec, Quality = 95 },
            (frame, rgb) => SoftGradient(frame, width, height, rgb));
        var options = new VideoReadOptions { Width = width, Height = height };
        byte[] actual = Read(path, frames, options, out VideoInfo info);
        info.DecodedFrames.ShouldBe(frames);
        info.Codec.ShouldBe(codec.Name());

        byte[] expected = new byte[width * height * 3];
        for (int frame = 0; frame < frames; frame++)
        {
            SoftGradient(frame, width, height, expected);
            double error = expected.Zip(actual.Skip(frame * expected.Length), (a, b) => Math.Abs(a - b)).Average();
            error.ShouldBeLessThan(6, $"{codec} in {extension}, frame {frame}");
        }
    }

    private static void SoftGradient(int frame, int width, int height, Span<byte> rgb)
    {
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                Span<byte> pixel = rgb.Slice(((y * width) + x) * 3, 3);
                pixel[0] = (byte)(60 + (2 * x));
                pixel[1] = (byte)(40 + (4 * y));
                pixel[2] = (byte)(30 + (20 * frame));
            }
        }
    }

    private static void Quarters(int width, int height, Span<byte> rgb)
    {
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                (bool left, bool top) = (x < width / 2, y < height / 2);
                Span<byte> pixel = rgb.Slice(((y * width) + x) * 3, 3);
                pixel[0] = top == left ? (byte)255 : (byte)0;
                pixel[1] = left ? (byte)0 : (byte)255;
                pixel[2] = top ? (byte)0 : (byte)255;
            }
        }
    }

    private static char NameOf(ReadOnlySpan<byte> pixel) => (pixel[0] > 128, pixel[1] > 128, pixel[2] > 128) switch
    {
        (true, false, false) => 'R',
        (false, true, false) => 'G',
        (false, false, true) => 'B',
        (true, true, true) => 'W',
        _ => '?',
    };

    /// <summary>Overwrites the frame counts in an AVI's main and stream headers; returns what the main header said.</summary>
    private static int PatchAviFrameCount(Span<byte> avi, int count)
    {
        const int avihFrames = 8 + 16, strhLength = 8 + 32;
        int main = avi.IndexOf("avih"u8) + avihFrames;
        int stream = avi.IndexOf("strh"u8) + strhLength;
        int before = BitConverter.ToInt32(avi[main..]);
        BitConverter.TryWriteBytes(avi[main..], count);
        BitConverter.TryWriteBytes(avi[stream..], count);
        return before;
    }
}
