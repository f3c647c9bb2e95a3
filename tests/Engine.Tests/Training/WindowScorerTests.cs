using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Devices;
using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Engine.Tests.Video;
using CudaTrainer.Training.Inference;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Windows over clips whose frame k is filled with the grey value k, so that a frame's feature tells which frame it was.</summary>
public sealed class WindowScorerTests : IDisposable
{
    private const int Samples = 3;

    private readonly Clips _clips = new();
    private readonly CpuDevice _device = new(1);
    private readonly List<long> _throughBackbone = [];
    private readonly List<int[]> _windows = [];

    [Theory]
    [InlineData(10, 0.4, 0.2)]
    [InlineData(11, 0.4, 0.2)]
    [InlineData(41, 0.48, 0.48)]
    [InlineData(40, 0.2, 0.04)]
    [InlineData(3, 1, 0.5)]
    [InlineData(1, 0.04, 0.04)]
    [InlineData(24, 1, 1)]
    public void Each_window_is_sampled_like_a_clip_of_its_length(int frames, double length, double stride)
    {
        ScoredVideo video = Score(Grey("clip.mkv", frames), length, stride);

        video.Fault.ShouldBe(VideoFault.None, video.Reason);
        _windows.ShouldBe(Expected(frames, (int)Math.Round(length * 25), (int)Math.Round(stride * 25))
            .Select(window => Sampled(window.Start, window.Length)));
        video.Windows[0].Start.ShouldBe(0);
        video.Windows[^1].End.ShouldBe(frames / 25.0, 1e-9);
    }

    [Fact]
    public void No_frame_goes_through_the_backbone_twice()
    {
        Score(Grey("clip.mkv", 60), 0.4, 0.04);

        _windows.Count.ShouldBe(51);
        _throughBackbone.ShouldBeUnique();
    }

    [Fact]
    public void What_decodes_of_a_damaged_file_is_scored_and_the_fault_is_told()
    {
        string whole = _clips.Textured("whole.mkv", 100, VideoCodec.Mpeg4);

        ScoredVideo video = Score(_clips.Cut(whole, 0.6), 0.4, 0.4);

        video.Fault.ShouldBe(VideoFault.Truncated);
        video.Reason.ShouldNotBeEmpty();
        video.Windows.Count.ShouldBeInRange(2, 9);
    }

    [Fact]
    public void A_window_of_more_frames_than_are_held_is_refused()
    {
        ScoredVideo video = Score(Grey("clip.mkv", 30), 1, 1, mostFrames: 20);

        video.Fault.ShouldBe(VideoFault.InvalidArgument);
        video.Reason.ShouldContain("more than 20 frames");
        video.Reason.ShouldContain("at most 0.8 s");
        video.Windows.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("mp4")]
    [InlineData("mkv")]
    public void Windows_follow_the_time_stamps(string container)
    {
        // Two seconds of 25 frames a second, then three of 5.
        double[] times = [.. Enumerable.Range(0, 50).Select(i => i / 25.0), .. Enumerable.Range(0, 15).Select(i => 2 + (i / 5.0))];
        string path = Timed($"variable.{container}", times);

        ScoredVideo video = Score(path, 1, 0.5);

        video.Windows.Select(window => window.Start).ShouldBe([.. Enumerable.Range(0, 9).Select(i => i / 2.0)], 1e-9);
        video.Windows.Select(window => window.End).ShouldBe([.. Enumerable.Range(0, 9).Select(i => 1 + (i / 2.0))], 5e-3);
        for (int i = 0; i < video.Windows.Count; i++)
        {
            video.Samples[i].Frames.ShouldAllBe(frame => times[frame] >= (i / 2.0) - 1e-3 && times[frame] < 1 + (i / 2.0) - 1e-3);
        }
    }

    [Fact]
    public void A_gap_of_the_recording_has_no_windows()
    {
        double[] times = [.. Enumerable.Range(0, 25).Select(i => i / 25.0), .. Enumerable.Range(0, 25).Select(i => 1000 + (i / 25.0))];

        ScoredVideo video = Score(Timed("gap.mkv", times), 1, 1);

        video.Windows.Select(window => (window.Start, window.End)).ShouldBe([(0, 1), (1000, 1001)]);
        _windows.ShouldBe([Sampled(0, 25), Sampled(25, 25)]);
    }

    public void Dispose()
    {
        _clips.Dispose();
        _device.Dispose();
    }

    private static IEnumerable<(int Start, int Length)> Expected(int frames, int length, int stride)
    {
        int end = 0;
        for (int start = 0; start + length <= frames; start += stride)
        {
            yield return (start, length);
            end = start + length;
        }

        if (end < frames)
        {
            yield return (Math.Max(0, frames - length), Math.Min(length, frames));
        }
    }

    private static int[] Sampled(int start, int length) =>
        [.. Enumerable.Range(0, Samples).Select(i => start + (int)FrameSampler.FrameIndex(length, Samples, i))];

    private string Grey(string name, int frames) =>
        _clips.Write(name, frames, new VideoWriterOptions { Width = 32, Height = 24, Codec = VideoCodec.Ffv1 },
            (frame, rgb) => rgb.Fill((byte)(4 * frame)));

    private string Timed(string name, double[] times) => _clips.Write(name, times.Length,
        new VideoWriterOptions { Width = 32, Height = 24, Codec = VideoCodec.Mpeg4, HasTimes = true, Quality = 100 },
        (frame, rgb) => rgb.Fill((byte)(4 * (frame % 60))), frame => times[frame]);

    private ScoredVideo Score(string path, double length, double stride, int mostFrames = 4096) =>
        new WindowScorer(_device, Backbone, Answer, Samples, TimeSpan.FromSeconds(60)) { MostFrames = mostFrames }
            .Run(path, new WindowPlan(length, stride), _ => { }, CancellationToken.None);

    /// <summary>The first feature of a frame is its number.</summary>
    private void Backbone(Tensor rgb, Tensor features)
    {
        byte[] pixels = rgb.Read<byte>();
        float[] numbers = new float[features.Count];
        for (int i = 0; i < rgb.Shape[0]; i++)
        {
            long frame = (long)Math.Round(pixels[i * 224 * 224 * 3] / 4.0);
            numbers[i * Vgg19.Features] = frame;
            _throughBackbone.Add(frame);
        }

        features.Write((ReadOnlySpan<float>)numbers);
    }

    private ClipAnswer Answer(ReadOnlySpan<float> clip, ReadOnlySpan<float> motion)
    {
        int[] frames = new int[Samples];
        for (int i = 0; i < Samples; i++)
        {
            frames[i] = (int)clip[i * Vgg19.Features];
        }

        _windows.Add(frames);
        return new ClipAnswer(0.5, null, Distance: null);
    }
}
