using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>Every frame of a video in order.</summary>
public sealed class VideoFrameReaderTests : IDisposable
{
    private readonly Clips _clips = new();

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    public void Every_frame_comes_once_as_the_reader_reads_it(int ahead)
    {
        const int frames = 23;
        string path = _clips.Textured("clip.avi", frames);
        byte[] expected = new byte[frames * 20 * 10 * 3];
        VideoReader.Read(path, frames, expected, new VideoReadOptions { Width = 20, Height = 10 });
        using var stream = new VideoFrameReader(path, new VideoFrameOptions { Width = 20, Height = 10, Ahead = ahead },
            CancellationToken.None);

        List<byte> all = [];
        while (stream.Next() is { } frame)
        {
            frame.Index.ShouldBe(all.Count / (20 * 10 * 3));
            all.AddRange(frame.Rgb);
            stream.Return(frame);
        }

        all.ToArray().ShouldEqual(expected, path);
        stream.Rate.ShouldBe(new FrameRate(25));
        stream.Size.ShouldBe((20, 10));
        stream.Result.Fault.ShouldBe(VideoFault.None, stream.Result.Reason);
        stream.Result.Info.DecodedFrames.ShouldBe(frames);
        stream.Next().ShouldBeNull();
    }

    [Fact]
    public void Frames_have_the_size_they_are_displayed_in()
    {
        string path = _clips.Write("turned.mp4", 3,
            new VideoWriterOptions { Width = 64, Height = 32, Codec = VideoCodec.Mpeg4, RotationDegrees = 90 }, (_, rgb) => rgb.Fill(9));
        using var stream = new VideoFrameReader(path, new VideoFrameOptions(), CancellationToken.None);

        stream.Next()!.Rgb.Length.ShouldBe(64 * 32 * 3);
        stream.Size.ShouldBe((32, 64));
    }

    [Fact]
    public void A_stream_that_nobody_reads_to_its_end_ends_with_its_owner()
    {
        string path = _clips.Textured("long.avi", 200);
        using (var stream = new VideoFrameReader(path, new VideoFrameOptions { Ahead = 2 }, CancellationToken.None))
        {
            stream.Next()!.Index.ShouldBe(0);
        }

        // Its file is free again: the thread has gone. (Files of other tests come and go meanwhile; a link that is gone has no target.)
        Directory.GetFiles("/proc/self/fd").Count(link => new FileInfo(link).LinkTarget == path).ShouldBe(0);
    }

    [Fact]
    public void Bad_files_and_cancellation_are_told()
    {
        using (var missing = new VideoFrameReader(_clips.PathOf("missing.mp4"), new VideoFrameOptions(), CancellationToken.None))
        {
            missing.Next().ShouldBeNull();
            missing.Result.Fault.ShouldBe(VideoFault.NotFound);
            missing.Result.Reason.ShouldNotBeEmpty();
        }

        using var cancelled = new VideoFrameReader(_clips.Textured("clip.avi", 50), new VideoFrameOptions { Ahead = 1 },
            new CancellationToken(canceled: true));
        Should.Throw<OperationCanceledException>(() => cancelled.Next());
    }

    public void Dispose() => _clips.Dispose();
}
