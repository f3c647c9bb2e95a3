using CudaTrainer.Engine.Tests.Training;
using CudaTrainer.Training.Features;
using CudaTrainer.Training.Linear;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Linear;

public class LinearFitTests
{
    private static readonly FeatureBlock[][] OfSixteen = [[new(0, 16, 10)], [new(0, 16, 10), new(16, 16, 8), new(32, 16, 8)]];

    [Fact]
    public void It_tells_classes_apart_on_clips_that_it_has_not_seen()
    {
        LinearFit fit = Fit(new MemoryRows(150, seed: 1));

        var others = new MemoryRows(150, seed: 2);
        RankMetrics.RocAuc(others.Labels, fit.Answer(others)).ShouldBeGreaterThan(0.97);
        fit.Blocks.ShouldBe(OfSixteen[0]);
        RankMetrics.RocAuc(others.Labels, fit.HeldOut).ShouldBeGreaterThan(0.97);
    }

    /// <summary>Frames of violent clips alternate about the same mean, so that the means alone say nothing.</summary>
    [Fact]
    public void Deviations_and_differences_are_looked_at_where_they_tell_more()
    {
        LinearFit fit = Fit(Flickering(1));

        fit.Blocks.ShouldBe(OfSixteen[1]);
        MemoryRows others = Flickering(2);
        RankMetrics.RocAuc(others.Labels, fit.Answer(others)).ShouldBeGreaterThan(0.95);

        static MemoryRows Flickering(int seed) => new(150, frames: 6, seed: seed, change: features =>
        {
            Random random = new(seed);
            for (int i = 0; i < features.Length; i++)
            {
                int clip = i / 96, frame = i / 16 % 6;
                features[i] = random.NextSingle() + (clip % 3 == 0 && i % 16 < 4 ? frame % 2 == 0 ? 0.7f : -0.7f : 0);
            }
        });
    }

    /// <summary>Of clips that say nothing about their class, the answer is as open as the classes, which count alike.</summary>
    [Fact]
    public void Where_nothing_can_be_learned_the_answers_say_so()
    {
        var noise = new MemoryRows(120, change: features =>
        {
            Random random = new(9);
            for (int i = 0; i < features.Length; i++)
            {
                features[i] = random.NextSingle();
            }
        });

        double[] answers = LinearFit.Of(noise, OfSixteen, balance: true, seed: 3, CancellationToken.None).Answer(noise);

        answers.Max(p => Math.Abs(p - 0.5)).ShouldBeLessThan(0.15);
    }

    [Fact]
    public void The_same_bits_come_every_time()
    {
        LinearFit first = Fit(new MemoryRows(90)), second = Fit(new MemoryRows(90));

        second.Odds.Weights.ShouldBe(first.Odds.Weights);
        second.Odds.Bias.ShouldBe(first.Odds.Bias);
    }

    [Fact]
    public void Features_that_are_the_same_in_every_clip_have_no_weight()
    {
        LinearFit fit = Fit(new MemoryRows(90, change: features =>
        {
            for (int i = 7; i < features.Length; i += 16)
            {
                features[i] = 1e6f + 0.01f;
            }
        }));

        fit.Odds.Weights[7].ShouldBe(0);
        fit.Odds.Weights[0].ShouldNotBe(0);
        float.IsFinite(fit.Odds.Bias).ShouldBeTrue();
    }

    /// <summary>A few clips and a model of many answer better than the few alone, and the model of nothing is not believed.</summary>
    [Fact]
    public void A_model_to_start_from_is_trusted_as_far_as_it_is_right()
    {
        MemoryRows few = Hard(24, 5), others = Hard(300, 6);
        LogOdds good = Fit(Hard(600, 7)).Odds, nothing = good with { Weights = new float[good.Weights.Length] };

        double alone = Auc(null), started = Auc(good);

        started.ShouldBeGreaterThan(alone);
        Auc(nothing).ShouldBe(alone, 0.02);

        static MemoryRows Hard(int count, int seed) => new(count, seed: seed, change: features =>
        {
            Random random = new(seed);
            for (int i = 0; i < features.Length; i++)
            {
                features[i] = random.NextSingle() + (i / 64 % 3 == 0 && i % 16 < 4 ? 0.15f : 0);
            }
        });

        double Auc(LogOdds? start) => RankMetrics.RocAuc(others.Labels,
            LinearFit.Of(few, OfSixteen, balance: true, seed: 3, CancellationToken.None, start).Answer(others));
    }

    private static LinearFit Fit(MemoryRows rows) => LinearFit.Of(rows, OfSixteen, balance: true, seed: 3, CancellationToken.None);
}
