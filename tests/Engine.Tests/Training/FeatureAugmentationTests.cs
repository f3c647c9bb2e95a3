using CudaTrainer.Training.Features;
using CudaTrainer.Training.Options;

namespace CudaTrainer.Engine.Tests.Training;

/// <summary>Each kind of augmentation changes what it should and nothing else.</summary>
public class FeatureAugmentationTests
{
    private const int Frames = 6, Dimension = 3;

    [Fact]
    public void Jitter_shifts_whole_clips_by_every_amount_up_to_the_largest()
    {
        var augmentation = new FeatureAugmentation(new AugmentationOptions(2, 0, 0, 0), seed: 1);
        HashSet<int> shifts = [];
        for (int epoch = 1; epoch <= 100; epoch++)
        {
            float[] clip = Numbered();
            augmentation.Apply(clip, Frames, [], 0, epoch, row: 3);
            int shift = (int)clip[2 * Dimension] - 2;
            clip.ShouldBe(Enumerable.Range(0, Frames)
                .SelectMany(t => Enumerable.Repeat((float)Math.Clamp(t + shift, 0, Frames - 1), Dimension)));
            shifts.Add(shift);
        }

        shifts.Order().ShouldBe([-2, -1, 0, 1, 2]);
    }

    [Fact]
    public void Dropped_frames_repeat_the_one_before_as_often_as_asked_for()
    {
        var augmentation = new FeatureAugmentation(new AugmentationOptions(0, 0.3, 0, 0), seed: 1);
        int dropped = 0, all = 0;
        for (int row = 0; row < 2000; row++)
        {
            float[] clip = Numbered();
            augmentation.Apply(clip, Frames, [], 0, epoch: 1, row);
            clip[0].ShouldBe(0);
            for (int t = 1; t < Frames; t++)
            {
                float value = clip[t * Dimension];
                bool repeats = value == clip[(t - 1) * Dimension];
                (repeats || value == t).ShouldBeTrue();
                dropped += repeats ? 1 : 0;
                all++;
            }
        }

        ((double)dropped / all).ShouldBe(0.3, 0.02);
    }

    [Fact]
    public void Noise_has_the_size_asked_for_and_no_mean()
    {
        var random = new Random(1);
        float[] original = [.. Enumerable.Range(0, 60000).Select(_ => (float)(5 + (2 * (random.NextDouble() - 0.5) * Math.Sqrt(3) * 4)))];
        float[] clip = [.. original];

        new FeatureAugmentation(new AugmentationOptions(0, 0, 0.25, 0), seed: 1).Apply(clip, 6, [], 0, epoch: 1, row: 0);

        double[] noise = [.. clip.Zip(original, (a, b) => (double)(a - b))];
        noise.Average().ShouldBe(0, 0.02);
        Math.Sqrt(noise.Average(x => x * x)).ShouldBe(0.25 * 4, 0.02);

        // Gaussian: 68.3 % within one standard deviation, 4.55 % beyond two.
        ((double)noise.Count(x => Math.Abs(x) < 1) / noise.Length).ShouldBe(0.683, 0.01);
        ((double)noise.Count(x => Math.Abs(x) > 2) / noise.Length).ShouldBe(0.0455, 0.004);
        noise.Chunk(2).Average(pair => pair[0] * pair[^1]).ShouldBe(0, 0.02);
    }

    [Theory]
    [InlineData(0.2)]
    [InlineData(1)]
    [InlineData(4)]
    public void Shares_of_mixup_are_of_the_beta_distribution_and_labels_follow_them(double alpha)
    {
        var augmentation = new FeatureAugmentation(new AugmentationOptions(0, 0, 0, alpha), seed: 1);
        (int Partner, float Share, bool TakesPartnersLabel)[] draws =
            Enumerable.Range(0, 20000).Select(row => augmentation.Mix(epoch: 1, row, count: 50)).ToArray();

        // Beta(α, α): mean ½, variance 1/(4(2α + 1)).
        draws.Average(draw => (double)draw.Share).ShouldBe(0.5, 0.01);
        draws.Average(draw => Math.Pow(draw.Share - 0.5, 2)).ShouldBe(1 / (4 * ((2 * alpha) + 1)), 0.005);
        draws.Select(draw => draw.Partner).Distinct().Order().ShouldBe(Enumerable.Range(0, 50));

        // The expected label is that of the mixed target.
        foreach ((double low, double high) in new[] { (0.0, 0.3), (0.3, 0.7), (0.7, 1.0) })
        {
            (int Partner, float Share, bool TakesPartnersLabel)[] some =
                draws.Where(draw => draw.Share >= low && draw.Share <= high).ToArray();
            ((double)some.Count(draw => draw.TakesPartnersLabel) / some.Length).ShouldBe(some.Average(draw => (double)draw.Share), 0.03);
        }
    }

    [Fact]
    public void Mixed_clips_lie_between_the_two()
    {
        float[] clip = Numbered(), partner = [.. Enumerable.Repeat(10f, Frames * Dimension)];

        new FeatureAugmentation(new AugmentationOptions(0, 0, 0, 0.4), seed: 1).Apply(clip, Frames, partner, 0.25f, epoch: 1, row: 0);

        clip.ShouldBe(Numbered().Select(value => value + (0.25f * (10 - value))));
    }

    [Fact]
    public void Variations_follow_from_seed_epoch_and_row_alone()
    {
        float[] first = Varied(1, 1, 1);

        Varied(1, 1, 1).ShouldBe(first);
        Varied(2, 1, 1).ShouldNotBe(first);
        Varied(1, 2, 1).ShouldNotBe(first);
        Varied(1, 1, 2).ShouldNotBe(first);

        static float[] Varied(int seed, int epoch, int row)
        {
            var augmentation = new FeatureAugmentation(new AugmentationOptions(2, 0.2, 0.1, 0.3), seed);

            // Clips before this one must not matter.
            augmentation.Apply(Numbered(), Frames, [], 0, epoch, row: 99);
            float[] clip = Numbered();
            augmentation.Apply(clip, Frames, [], 0, epoch, row);
            return clip;
        }
    }

    [Theory]
    [InlineData(3, 0, 0, 0)]
    [InlineData(0, 0.5, 0, 0)]
    [InlineData(0, 0, 0.5, 0)]
    [InlineData(0, 0, 0, 0.5)]
    public void A_run_trains_on_varied_clips_says_so_and_resumes_to_the_same_bits(int jitter, double drop, double noise, double mixup)
    {
        using TrainingFixture fixture = new();
        TrainingOptions Options(string run) => fixture.Options(
            run) with
        { Model = "simple-lstm", TemporalJitter = jitter, FrameDrop = drop, FeatureNoise = noise, Mixup = mixup };
        RecordingObserver observer = new();

        TrainingFixture.Run(Options("whole"), observer);
        TrainingFixture.Run(fixture.Options("plain") with { Model = "simple-lstm" });
        TrainingFixture.RunUntil(Options("resumed"), step => step == 7);
        TrainingFixture.Run(Options("resumed") with { Resume = "auto" });

        byte[] whole = TrainingFixture.Payload(fixture.File("whole/last.ckpt"));
        TrainingFixture.Payload(fixture.File("plain/last.ckpt")).ShouldNotBe(whole);
        TrainingFixture.Payload(fixture.File("resumed/last.ckpt")).ShouldBe(whole);
        observer.HeaderLines.Single(line => line.Label == "augmentation").Text.ShouldBe(AugmentationOptions.Of(Options("x")).Text);
    }

    private static float[] Numbered() => [.. Enumerable.Range(0, Frames).SelectMany(t => Enumerable.Repeat((float)t, Dimension))];
}
