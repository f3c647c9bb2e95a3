using CudaTrainer.Data.Dataset;
using CudaTrainer.Data.Video;
using CudaTrainer.Training.Extraction;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Video;

/// <summary>Clips handed over from decoding threads.</summary>
public sealed class ClipDecoderTests : IDisposable
{
    private const int Frames = 4;

    private readonly Clips _clips = new();

    [Theory]
    [InlineData(1, 0)]
    [InlineData(3, 0)]
    [InlineData(3, 2)]
    public void Every_clip_comes_out_once_with_its_own_frames(int workers, int ahead)
    {
        Clip[] clips =
        [
            .. Enumerable.Range(1, 12).Select(frames => ClipOf(_clips.Coloured($"{frames}.mkv", frames))),
            ClipOf(_clips.PathOf("missing.mkv")),
            ClipOf(_clips.Bytes("text.mp4", "no video"u8)),
        ];
        using ClipDecoder decoder = Decoder(clips, workers, ahead);

        Dictionary<string, VideoFault> faults = [];
        while (decoder.Next() is { } decoded)
        {
            faults.Add(decoded.Clip.Path, decoded.Fault);
            if (decoded.Fault == VideoFault.None)
            {
                byte[] expected = new byte[decoded.Frames.Length];
                VideoReader.Read(decoded.Clip.Path, Frames, expected);
                decoded.Frames.ShouldEqual(expected, decoded.Clip.Path);
            }
            else
            {
                decoded.Reason.ShouldNotBeEmpty();
            }

            decoder.Return(decoded);
        }

        faults.Keys.ShouldBe(clips.Select(clip => clip.Path), ignoreOrder: true);
        faults.Where(pair => pair.Value != VideoFault.None).Select(pair => pair.Value)
            .ShouldBe([VideoFault.NotFound, VideoFault.NotAVideo], ignoreOrder: true);
        decoder.Next().ShouldBeNull();
    }

    [Fact]
    public void What_ends_a_thread_reaches_the_caller()
    {
        using ClipDecoder decoder = Decoder([ClipOf("a path with \0 in it")], workers: 2, ahead: 0);
        for (int i = 0; i < 2; i++)
        {
            Should.Throw<ArgumentException>(() => decoder.Next()).Message.ShouldContain("zero character");
        }
    }

    /// <summary>
    /// Whoever wakes first, the thread that waits for a buffer or the caller that waits for a clip: it is no end of the clips.
    /// </summary>
    [Fact]
    public void Stopping_ends_a_wait_for_a_buffer_and_a_wait_for_a_clip()
    {
        string path = _clips.Coloured("a.mkv", 2);
        for (int round = 0; round < 20; round++)
        {
            using CancellationTokenSource stop = new();
            using ClipDecoder decoder = new([.. Enumerable.Range(0, 5).Select(_ => ClipOf(path))], Frames, workers: 1, ahead: 1,
                TimeSpan.FromSeconds(60), ClipView.All[0], stop.Token);

            // No buffer is given back: the third clip never comes.
            decoder.Next().ShouldNotBeNull();
            decoder.Next().ShouldNotBeNull();
            stop.CancelAfter(TimeSpan.FromMilliseconds(10));
            Should.Throw<OperationCanceledException>(() => decoder.Next());
        }
    }

    public void Dispose() => _clips.Dispose();

    private static Clip ClipOf(string path) => new(path, path, 0, path, "");

    private static ClipDecoder Decoder(IReadOnlyList<Clip> clips, int workers, int ahead) =>
        new(clips, Frames, workers, ahead, TimeSpan.FromSeconds(60), ClipView.All[0], CancellationToken.None);
}
