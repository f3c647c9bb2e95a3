using CudaTrainer.Data.Video;
using CudaTrainer.Engine.Tests.Video;

namespace CudaTrainer.Engine.Tests.Drift;

public sealed class PictureStatisticsTests : IDisposable
{
    private const int Rows = 64, Columns = 80;

    private readonly Clips _clips = new();

    [Fact]
    public void Each_number_tells_what_it_is_called_and_nothing_else()
    {
        Func<int, int, double> scene = (x, y) => 128 + (60 * Math.Sign(Math.Sin(x * 0.4) * Math.Cos(y * 0.3)));
        PictureStatistics plain = Of(scene), dark = Of((x, y) => 0.3 * scene(x, y)), blurred = Of(Blurred(scene, 3)),
            noisy = Of(scene, noise: 20);

        plain.Luminance.ShouldBe(128, 10);
        plain.Contrast.ShouldBe(60, 3);
        plain.Noise.ShouldBe(0);
        dark.Luminance.ShouldBe(0.3 * plain.Luminance, 1);
        dark.Contrast.ShouldBe(0.3 * plain.Contrast, 1);
        dark.Sharpness.ShouldBe(plain.Sharpness, 0.01);
        blurred.Luminance.ShouldBe(plain.Luminance, 3);
        plain.Sharpness.ShouldBeGreaterThan(0.68);
        blurred.Sharpness.ShouldBeLessThan(0.6);
        noisy.Noise.ShouldBeGreaterThan(5);
        noisy.Luminance.ShouldBe(plain.Luminance, 2);
    }

    [Fact]
    public void A_black_picture_has_nothing()
    {
        Of((_, _) => 0).ShouldBe(new PictureStatistics(0, 0, 0, 0));
        PictureStatistics.Mean([]).ShouldBe(default);
        PictureStatistics.Mean([new(1, 2, 3, 4), new(3, 4, 5, 6)]).ShouldBe(new PictureStatistics(2, 3, 4, 5));
    }

    /// <summary>A reading and a walk see the same pictures.</summary>
    [Fact]
    public void A_video_has_them_where_motion_was_measured()
    {
        string path = _clips.Textured("clip.mkv", 30, VideoCodec.Ffv1);
        VideoReadResult read = VideoReader.TryRead(path, 4, [], new float[4 * MotionFeatures.PerStep]);
        PictureStatistics pictures = read.Info.Pictures.ShouldNotBeNull();
        pictures.Luminance.ShouldBeInRange(20, 235);
        pictures.Contrast.ShouldBeGreaterThan(1);

        List<PictureStatistics> walked = [];
        using VideoFrameReader stream = new(path, new VideoFrameOptions { Width = 8, Height = 8, Motion = true }, CancellationToken.None);
        while (stream.Next() is { } frame)
        {
            walked.AddRange(frame.Motion is { } pair ? [pair.Picture] : []);
            stream.Return(frame);
        }

        walked.Count.ShouldBe(read.Info.MotionPairs);
        PictureStatistics.Mean([.. walked]).ShouldBe(pictures);
        VideoReader.Read(path, 1, new byte[3], new VideoReadOptions { Width = 1, Height = 1 }).Pictures.ShouldBeNull();
    }

    public void Dispose() => _clips.Dispose();

    private static PictureStatistics Of(Func<int, int, double> grey, double noise = 0)
    {
        Random random = new(3);
        return PictureStatistics.Of(Draw(), Draw(), Columns);

        byte[] Draw() => [.. Enumerable.Range(0, Rows * Columns).Select(i =>
            (byte)Math.Clamp(Math.Round(grey(i % Columns, i / Columns) + (noise * ((2 * random.NextDouble()) - 1))), 0, 255))];
    }

    private static Func<int, int, double> Blurred(Func<int, int, double> grey, int reach) => (x, y) =>
    {
        int[] offsets = [.. Enumerable.Range(-reach, (2 * reach) + 1)];
        return offsets.Average(dx => offsets.Average(dy => grey(x + dx, y + dy)));
    };
}
