using CudaTrainer.Data.Video;

namespace CudaTrainer.Engine.Tests.Video;

public sealed class MotionTests : IDisposable
{
    private const int Width = 160;
    private const int Height = 112; // the picture is as high as that which motion is looked for in: nothing is scaled
    private const int Rate = 15;
    private const int MedianSpeed = 1; // place in a pair's features
    private const int MeanDifference = 103;

    private readonly Clips _clips = new();

    public void Dispose() => _clips.Dispose();

    [Fact]
    public void A_still_clip_has_no_motion()
    {
        float[] steps = Motion(Moving("still.mkv", 12, 0, 0), 5, out VideoInfo info);
        info.MotionPairs.ShouldBe(11);
        steps.ShouldAllBe(value => value == 0);
    }

    /// <summary>log(1 + 20 · speed), speed in picture heights a second.</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 1)]
    [InlineData(-4, 3)]
    [InlineData(8, 0)]
    public void The_speed_of_a_texture_is_found(double across, double down)
    {
        float[] steps = Motion(Moving("moving.mkv", 12, across, down), 1, out _);
        double speed = (Math.Exp(steps[MedianSpeed]) - 1) / 20, expected = Math.Sqrt((across * across) + (down * down)) * Rate / Height;
        speed.ShouldBe(expected, 0.08 * expected);
    }

    [Fact]
    public void Frame_rate_and_size_do_not_change_the_speed()
    {
        double expected = Speed(Moving("a.mkv", 12, 2, 0));
        Speed(Moving("b.mkv", 24, 1, 0, rate: 30)).ShouldBe(expected, 0.05 * expected);
        Speed(Moving("c.mkv", 12, 4, 0, scale: 2)).ShouldBe(expected, 0.08 * expected);

        double Speed(string path) => (Math.Exp(Motion(path, 1, out _)[MedianSpeed]) - 1) / 20;
    }

    [Fact]
    public void Twice_the_speed_gives_larger_numbers()
    {
        float[] slow = Motion(Moving("slow.mkv", 12, 1, 0), 1, out _), fast = Motion(Moving("fast.mkv", 12, 2, 0), 1, out _);
        for (int i = 0; i < 5; i++)
        {
            fast[i].ShouldBeGreaterThan(slow[i]);
        }

        fast[MeanDifference].ShouldBeGreaterThan(slow[MeanDifference]);
    }

    /// <summary>Light that changes is no movement, but grey levels differ by what it changed.</summary>
    [Fact]
    public void A_change_of_brightness_shows_in_the_differences()
    {
        string path = Write("bright.mkv", 8, Rate, 1, (frame, x, y) => Texture(x, y) + (5 * (frame % 2)));
        float[] steps = Motion(path, 1, out _);
        ((Math.Exp(steps[MeanDifference]) - 1) / 20).ShouldBe(5, 0.2);
        ((Math.Exp(steps[MedianSpeed]) - 1) / 20).ShouldBeLessThan(0.3);
    }

    /// <summary>Mean of |difference| of the halved grey pictures, worked out here.</summary>
    [Fact]
    public void The_mean_difference_is_that_of_plain_loops()
    {
        string path = Moving("plain.mkv", 2, 3, 1);
        byte[] rgb = new byte[2 * Width * Height * 3];
        VideoReader.Read(path, 2, rgb, new VideoReadOptions { Width = Width, Height = Height });
        double sum = 0;
        for (int y = 0; y < Height; y += 2)
        {
            for (int x = 0; x < Width; x += 2)
            {
                sum += Math.Abs(Halved(0, x, y) - Halved(1, x, y));
            }
        }

        double mean = (Math.Exp(Motion(path, 1, out _)[MeanDifference]) - 1) / 20;
        mean.ShouldBe(sum / (Width * Height / 4), 0.15);

        double Halved(int frame, int x, int y)
        {
            double total = 0;
            for (int i = 0; i < 4; i++)
            {
                total += rgb[((((frame * Height) + y + (i / 2)) * Width) + x + (i % 2)) * 3];
            }

            return total / 4;
        }
    }

    [Fact]
    public void Pictures_and_motion_come_from_one_decoding_and_do_not_depend_on_each_other()
    {
        string path = Moving("both.mkv", 30, 2, 1);
        var options = new VideoReadOptions { Width = 24, Height = 16 };
        byte[] alone = new byte[6 * 24 * 16 * 3], together = new byte[alone.Length];
        float[] motion = new float[6 * MotionFeatures.PerStep];
        VideoReader.Read(path, 6, alone, options);
        VideoReadResult result = VideoReader.TryRead(path, 6, together, motion, options);

        result.Info.Passes.ShouldBe(1);
        result.Info.DecodedFrames.ShouldBe(30);
        together.ShouldBe(alone);
        motion.ShouldBe(Motion(path, 6, out _));
        motion.ShouldContain(value => value != 0);
    }

    [Fact]
    public void Many_readings_at_once_give_the_same_bits()
    {
        string path = Moving("same.mkv", 20, 3, 2);
        float[] expected = Motion(path, 4, out _);
        System.Threading.Tasks.Parallel.For(0, 12, new ParallelOptions { MaxDegreeOfParallelism = 4 },
            _ => Motion(path, 4, out VideoInfo _).ShouldBe(expected));
    }

    /// <summary>Threads and their memory serve one reading after the other.</summary>
    [Fact]
    public void A_reading_remembers_nothing_of_the_one_before()
    {
        string path = Moving("first.mkv", 20, 3, 2), other = Moving("other.mkv", 9, -5, 1, scale: 2);
        float[] expected = Motion(path, 4, out VideoInfo info);
        Motion(other, 4, out _).ShouldNotBe(expected);
        VideoReader.Read(other, 1, new byte[3], new VideoReadOptions { Width = 1, Height = 1 }).MotionPairs.ShouldBe(0);
        Motion(path, 4, out VideoInfo again).ShouldBe(expected);
        again.MotionPairs.ShouldBe(info.MotionPairs);
    }

    [Fact]
    public void A_single_frame_has_no_motion()
    {
        Motion(Moving("one.mkv", 1, 0, 0), 4, out VideoInfo info).ShouldAllBe(value => value == 0);
        info.MotionPairs.ShouldBe(0);
    }

    /// <summary>Two scenes: the pair between them counts for nothing.</summary>
    [Fact]
    public void A_cut_is_left_out()
    {
        string path = Write("cut.mkv", 12, Rate, 1, (frame, x, y) => frame < 6 ? Texture(x, y) : ((x / 9) + (y / 7)) % 2 * 255);
        float[] steps = Motion(path, 1, out VideoInfo info);
        info.MotionPairs.ShouldBe(10);
        steps.ShouldAllBe(value => value == 0);
    }

    [Fact]
    public void A_walk_hands_out_the_pairs_that_a_reading_sums_up()
    {
        string path = Moving("walk.mkv", 40, 2, 1, rate: 30);
        using VideoFrameReader stream = new(path, new VideoFrameOptions { Width = 8, Height = 8, Motion = true }, CancellationToken.None);
        List<MotionPair> pairs = [];
        while (stream.Next() is { } frame)
        {
            pairs.AddRange(frame.Motion is { } pair ? [pair] : []);
            stream.Return(frame);
        }

        pairs.Count.ShouldBe(19);
        float[] steps = new float[7 * MotionFeatures.PerStep];
        MotionFeatures.Steps([.. pairs.Select(pair => pair.Start)], [.. pairs.Select(pair => pair.End)],
            [.. pairs.SelectMany(pair => pair.Features)], 0, pairs[^1].End, steps);
        steps.ShouldBe(Motion(path, 7, out _));
    }

    [Fact]
    public void Steps_are_weighted_means()
    {
        Random random = new(3);
        const int Count = 9, Intervals = 5;
        double[] starts = [.. Enumerable.Range(0, Count).Select(i => i * 0.1)], ends = [.. starts.Select(start => start + 0.1)];
        float[] features = [.. Enumerable.Range(0, Count * MotionFeatures.PerPair).Select(_ => random.NextSingle())],
            steps = new float[Intervals * MotionFeatures.PerStep];
        MotionFeatures.Steps(starts, ends, features, 0, 0.9, steps);
        for (int step = 0; step < Intervals; step++)
        {
            double from = 0.9 * step / Intervals, to = 0.9 * (step + 1) / Intervals;
            double[] weights = [.. Enumerable.Range(0, Count).Select(i => Math.Max(0, Math.Min(ends[i], to) - Math.Max(starts[i], from)))];
            for (int d = 0; d < MotionFeatures.PerPair; d++)
            {
                double mean = Enumerable.Range(0, Count).Sum(i => weights[i] * features[(i * MotionFeatures.PerPair) + d]) / weights.Sum();
                steps[(step * MotionFeatures.PerStep) + d].ShouldBe((float)mean, 1e-5f);
            }
        }
    }

    [Fact]
    public void Intervals_without_a_pair_repeat_the_nearest()
    {
        float[] features = [.. Enumerable.Repeat(1f, MotionFeatures.PerPair), .. Enumerable.Repeat(2f, MotionFeatures.PerPair)];
        float[] steps = new float[10 * MotionFeatures.PerStep];
        MotionFeatures.Steps([2, 7], [3, 8], features, 0, 10, steps);
        Enumerable.Range(0, 10).Select(step => steps[step * MotionFeatures.PerStep]).ShouldBe([1f, 1, 1, 1, 1, 2, 2, 2, 2, 2]);

        MotionFeatures.Steps([], [], [], 0, 10, steps);
        steps.ShouldAllBe(value => value == 0);
    }

    private static float[] Motion(string path, int steps, out VideoInfo info)
    {
        float[] motion = new float[steps * MotionFeatures.PerStep];
        VideoReadResult result = VideoReader.TryRead(path, steps, [], motion);
        result.Fault.ShouldBe(VideoFault.None, result.Reason);
        info = result.Info;
        return motion;
    }

    private string Moving(string name, int frames, double across, double down, int rate = Rate, int scale = 1) =>
        Write(name, frames, rate, scale, (frame, x, y) => Texture((x - (across * frame)) / scale, (y - (down * frame)) / scale));

    private string Write(string name, int frames, int rate, int scale, Func<int, int, int, double> grey) =>
        _clips.Write(name, frames,
            new VideoWriterOptions { Width = Width * scale, Height = Height * scale, Codec = VideoCodec.Ffv1, FrameRate = new(rate) },
            (frame, rgb) =>
        {
            for (int i = 0; i < rgb.Length; i += 3)
            {
                int pixel = i / 3;
                rgb[i] = rgb[i + 1] = rgb[i + 2] = (byte)Math.Clamp(
                    Math.Round(grey(frame, pixel % (Width * scale), pixel / (Width * scale))), 0, 255);
            }
        });

    /// <summary>Smooth, and alike nowhere.</summary>
    private static double Texture(double x, double y) =>
        120 + (30 * Math.Sin((0.21 * x) + (0.05 * y))) + (30 * Math.Sin((0.17 * y) - (0.06 * x) + 1))
            + (25 * Math.Sin((0.11 * x) + (0.13 * y) + 2)) + (15 * Math.Sin((0.37 * x) - (0.29 * y)));
}
