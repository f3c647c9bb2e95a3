using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Tests.Formats;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>Time is what the presentation stamps say, whatever rate a container claims.</summary>
public sealed class TimeStampTests : IDisposable
{
    private readonly Clips _clips = new();

    [Theory]
    [InlineData("mp4", VideoCodec.Mpeg4, 1e-4)]
    [InlineData("mov", VideoCodec.Mpeg4, 1e-4)]
    [InlineData("mkv", VideoCodec.Mpeg4, 1e-3)]
    [InlineData("webm", VideoCodec.Vp8, 1e-3)]
    public void Frames_are_shown_when_their_stamps_say(string container, VideoCodec codec, double rounding)
    {
        Assert.SkipUnless(VideoWriter.CanEncode(codec), $"this FFmpeg cannot encode {codec}");

        // As a camera in the dark: 30 frames a second, then 5, with jitter.
        double[] times =
        [
            .. Enumerable.Range(0, 30).Select(i => i / 30.0),
            .. Enumerable.Range(0, 10).Select(i => 1 + (i / 5.0) + (i % 3 * 0.011)),
        ];
        string path = Write($"clip.{container}", codec, times);

        (double[] seconds, VideoInfo info) = Read(path);

        seconds.ShouldBe(times, rounding);
        info.Duration.TotalSeconds.ShouldBeInRange(times[^1] + 0.02, times[^1] + 0.3);
        info.FrameRate.ShouldBe(times.Length / info.Duration.TotalSeconds, 1e-3);
    }

    [Fact]
    public void A_container_of_one_rate_shows_each_frame_at_its_place()
    {
        // AVI at 25 frames a second: of two frames at one place the first stays, places without a frame are empty.
        double[] times = [0, 0.04, 0.05, 0.12, 0.16];
        string path = Write("clip.avi", VideoCodec.Mpeg4, times);

        (double[] seconds, VideoInfo info) = Read(path);

        seconds.ShouldBe([0, 0.04, 0.12, 0.16], 1e-6);
        info.Duration.TotalSeconds.ShouldBe(0.2, 1e-6);
    }

    [Fact]
    public void Joined_broadcasts_are_sound_and_their_time_goes_on()
    {
        byte[] one = File.ReadAllBytes(Broadcast("one.ts", 30));
        string path = _clips.Bytes("joined.ts", [.. one, .. one]);

        (double[] seconds, VideoInfo info) = Read(path);

        info.DecodeErrors.ShouldBe(0);
        seconds.ShouldBe([.. Enumerable.Range(0, 60).Select(i => i / 25.0)], 1e-4);
        info.Duration.TotalSeconds.ShouldBe(2.4, 1e-3);
    }

    [Fact]
    public void A_lost_packet_of_a_broadcast_is_damage()
    {
        byte[] whole = File.ReadAllBytes(Broadcast("whole.ts", 60));
        int packets = whole.Length / 188, lost = 0, seen = 0;
        for (int packet = packets / 3; packet < packets * 2 / 3; packet += 7)
        {
            if ((((whole[(packet * 188) + 1] & 31) << 8) | whole[(packet * 188) + 2]) != 256)
            {
                continue;
            }

            lost++;
            string path = _clips.Bytes("lost.ts", [.. whole[..(packet * 188)], .. whole[((packet + 1) * 188)..]]);
            seen += One(path).Fault == VideoFault.DecodeError ? 1 : 0;
        }

        lost.ShouldBeGreaterThan(3);
        seen.ShouldBe(lost);
    }

    [Theory]
    [InlineData(VideoCodec.Mpeg4)]
    [InlineData(VideoCodec.Mpeg2)]
    public void Frames_before_the_first_keyframe_do_not_count(VideoCodec codec)
    {
        byte[] whole = File.ReadAllBytes(Broadcast("whole.ts", 60, codec));

        // From the middle of a group of pictures on, with the tables in front.
        string path = _clips.Bytes("headless.ts", [.. whole[..(3 * 188)], .. whole[(whole.Length / 188 * 3 / 10 * 188)..]]);
        using var stream = new VideoFrameReader(path, new VideoFrameOptions { Width = 1, Height = 1 }, CancellationToken.None);
        List<int> shades = [];
        while (stream.Next() is { } frame)
        {
            shades.Add(frame.Rgb[0]);
            stream.Return(frame);
        }

        // Frame k is of the shade 4 k; what a decoder makes up is grey.
        int first = 60 - shades.Count;
        first.ShouldBeInRange(1, 40);
        shades.Select((shade, i) => Math.Abs(shade - (4 * (first + i)))).Max().ShouldBeLessThan(4, string.Join(' ', shades));
    }

    [Theory]
    [InlineData("hevc_headless.ts", VideoFault.None, 30)]
    [InlineData("hevc_lost.mkv", VideoFault.DecodeError, 44)]
    public void Pictures_that_the_decoder_makes_up_are_left_out_or_named(string name, VideoFault fault, int frames)
    {
        VideoReadResult result = One(GoldenFiles.Path(name));

        result.Fault.ShouldBe(fault, result.Reason);
        result.Info.DecodedFrames.ShouldBe(frames);
    }

    [Fact]
    public void Pixels_that_are_not_square_are_shown_as_wide_as_they_are()
    {
        VideoReadResult result = One(GoldenFiles.Path("anamorphic.mp4"));

        (result.Info.Width, result.Info.Height).ShouldBe((192, 48));
    }

    public void Dispose() => _clips.Dispose();

    private static VideoReadResult One(string path) =>
        VideoReader.TryRead(path, 1, new byte[3], new VideoReadOptions { Width = 1, Height = 1 });

    private string Broadcast(string name, int frames, VideoCodec codec = VideoCodec.Mpeg2) => _clips.Write(name, frames,
        new VideoWriterOptions { Width = 96, Height = 64, Codec = codec, Quality = 100 }, (frame, rgb) => rgb.Fill((byte)(4 * frame)));

    private string Write(string name, VideoCodec codec, double[] times) => _clips.Write(name, times.Length,
        new VideoWriterOptions { Width = 64, Height = 48, Codec = codec, HasTimes = true }, (frame, rgb) => rgb.Fill((byte)frame), i => times[i]);

    private static (double[] Seconds, VideoInfo Info) Read(string path)
    {
        using var stream = new VideoFrameReader(path, new VideoFrameOptions { Width = 2, Height = 2 }, CancellationToken.None);
        List<double> seconds = [];
        while (stream.Next() is { } frame)
        {
            seconds.Add(frame.Seconds);
            stream.Return(frame);
        }

        stream.Result.Fault.ShouldBe(VideoFault.None, stream.Result.Reason);
        return ([.. seconds], stream.Result.Info);
    }
}
