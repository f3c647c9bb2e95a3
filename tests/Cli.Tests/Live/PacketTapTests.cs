using CudaTrainer.Data.Video;

namespace CudaTrainer.Cli.Tests.Live;

/// <summary>The ring of packets, and the files made of it.</summary>
public sealed class PacketTapTests : IDisposable
{
    private const double Frame = 1.0 / Staged.Rate;

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<VideoCodec> Codecs => [VideoCodec.Mpeg4, VideoCodec.H264, VideoCodec.Mjpeg];

    [Theory]
    [MemberData(nameof(Codecs))]
    public void A_clip_begins_with_the_keyframe_before_and_has_all_frames_up_to_its_end(VideoCodec codec)
    {
        Assert.SkipUnless(VideoWriter.CanEncode(codec), $"this FFmpeg cannot encode {codec}");
        string camera = _folder.File(codec == VideoCodec.Mjpeg ? "camera.avi" : "camera.mp4");
        Staged.Draw(camera, 40, codec);
        List<(double Seconds, byte[] Rgb)> original = Staged.Decode(camera).Frames;
        using PacketTap tap = new(100, 1 << 30);
        Staged.Play(camera, tap);
        tap.Container.ShouldBe(codec == VideoCodec.Mjpeg ? "mkv" : "mp4");

        // Ends at every kind of picture: with B-frames, some are decoded after what is shown later.
        for (int last = 300; last < 312; last++)
        {
            double from = 27.05, to = (last * Frame) + (Frame / 2);
            using PacketClip clip = tap.Take(from, to)!;
            string file = _folder.File($"{last}.{clip.Container}");
            clip.Save(file);
            (VideoReadResult result, _, _, List<(double Seconds, byte[] Rgb)> frames) = Staged.Decode(file);

            result.Fault.ShouldBe(VideoFault.None, result.Reason);
            clip.Start.ShouldBeLessThanOrEqualTo(from);
            int first = (int)Math.Round(clip.Start / Frame);
            (first + frames.Count).ShouldBeGreaterThan(last);
            (first + frames.Count).ShouldBeLessThan(last + 6);
            for (int i = 0; i < frames.Count; i++)
            {
                frames[i].Seconds.ShouldBe(i * Frame, 0.002);
                frames[i].Rgb.AsSpan().SequenceEqual(original[first + i].Rgb).ShouldBeTrue($"frame {first + i} of {last}");
            }
        }
    }

    [Fact]
    public void A_clip_can_be_played_while_it_arrives()
    {
        PacketTap tap = Staged.Tapped(_folder, 5);
        using PacketClip clip = tap.Take(0, 5)!;
        tap.Dispose();
        string file = _folder.File("clip.mp4");
        clip.Save(file);
        clip.Save(file);

        byte[] bytes = File.ReadAllBytes(file);
        bytes.AsSpan().IndexOf("moov"u8).ShouldBeLessThan(bytes.AsSpan().IndexOf("mdat"u8));
        Staged.Decode(file).Frames.Count.ShouldBe(50);
    }

    [Fact]
    public void Only_the_last_while_is_kept()
    {
        string camera = _folder.File("camera.mp4");
        Staged.Draw(camera, 30);
        using PacketTap tap = new(seconds: 10, 1 << 30);
        Staged.Play(camera, tap);

        using PacketClip clip = tap.Take(0, 100)!;
        clip.Start.ShouldBeInRange(19.5, 21.5);
        clip.End.ShouldBe(29.9, 0.01);
        tap.Take(0, 5).ShouldBeNull();

        using PacketTap small = new(seconds: 100, clip.Bytes / 2);
        Staged.Play(camera, small);
        using PacketClip less = small.Take(0, 100)!;
        less.Bytes.ShouldBeLessThanOrEqualTo(clip.Bytes / 2);
        less.Start.ShouldBeGreaterThan(clip.Start);
    }

    /// <summary>Time begins with the first frame, though nobody knows it when its packet comes.</summary>
    [Fact]
    public void Time_counts_from_the_first_frame_from_the_first_packet_on()
    {
        string camera = _folder.File("camera.mp4");
        Staged.Draw(camera, 3, VideoWriter.CanEncode(VideoCodec.H264) ? VideoCodec.H264 : VideoCodec.Mpeg4);
        using PacketTap tap = new(100, 1 << 30);
        Staged.Play(camera, tap);

        using PacketClip clip = tap.Take(0, 3)!;
        clip.Start.ShouldBe(0, 0.001);
        clip.End.ShouldBe(2.9, 0.001);
    }

    [Fact]
    public void What_cannot_be_saved_is_told()
    {
        using PacketTap empty = new(10, 1 << 20);
        empty.Container.ShouldBeNull();
        empty.Take(0, 1).ShouldBeNull();
        Should.Throw<VideoException>(() => empty.Save(0, 1, _folder.File("x.mp4"))).Fault.ShouldBe(VideoFault.ZeroFrames);

        using PacketTap tap = Staged.Tapped(_folder, 2);
        Should.Throw<VideoException>(() => tap.Save(0, 1, _folder.File("no/such/x.mp4"))).Fault.ShouldBe(VideoFault.NotFound);
        Should.Throw<VideoException>(() => tap.Save(0, 1, "/dev/full")).Fault.ShouldBe(VideoFault.WriteFailed);
        tap.Dispose();
        Should.Throw<ObjectDisposedException>(() => tap.Take(0, 1));
    }

    public void Dispose() => _folder.Dispose();
}
