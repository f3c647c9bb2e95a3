using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Studies;

namespace CudaTrainer.Engine.Tests.Studies;

public class GroupBootstrapTests
{
    [Fact]
    public void Values_are_those_of_the_metrics()
    {
        (int[] labels, double[] scores) = Clips(200, 0.2);
        var bootstrap = new GroupBootstrap(labels, Sources(labels.Length, 1));

        StudyMetrics metrics = bootstrap.Metrics([Calling(scores, 0.4)]);

        ClassificationMetrics expected = ClassificationMetrics.Compute(labels, scores, 0.4, 0);
        metrics.Accuracy.Value.ShouldBe(expected.Accuracy, 1e-12);
        metrics.BalancedAccuracy.Value.ShouldBe(expected.BalancedAccuracy, 1e-12);
        metrics.Class0Accuracy.Value.ShouldBe(expected.Class0Accuracy, 1e-12);
        metrics.Class1Accuracy.Value.ShouldBe(expected.Class1Accuracy, 1e-12);
        metrics.Precision.Value.ShouldBe(expected.Precision, 1e-12);
        metrics.Auc.Value.ShouldBe(expected.Auc, 1e-12);
        metrics.Brier.Value.ShouldBe(labels.Zip(scores).Average(pair => Math.Pow(pair.First - pair.Second, 2)), 1e-12);
    }

    [Fact]
    public void An_interval_of_single_clips_is_that_of_theory()
    {
        (int[] labels, double[] scores) = Clips(400, 0.3);
        StudyMetrics metrics = new GroupBootstrap(labels, Sources(labels.Length, 1)).Metrics([Calling(scores, 0.5)]);

        // Binomial: ±1.96·√(p(1 − p)/n).
        double p = metrics.Accuracy.Value, half = 1.96 * Math.Sqrt(p * (1 - p) / labels.Length);
        metrics.Accuracy.Interval.Low.ShouldBe(p - half, 0.01);
        metrics.Accuracy.Interval.High.ShouldBe(p + half, 0.01);
    }

    [Fact]
    public void Clips_of_one_source_count_as_one_draw()
    {
        // Ten copies of each clip as one source: ten times as many clips say nothing more.
        (int[] labels, double[] scores) = Clips(60, 0.3);
        int[] many = [.. labels.SelectMany(label => Enumerable.Repeat(label, 10))];
        double[] manyScores = [.. scores.SelectMany(score => Enumerable.Repeat(score, 10))];

        Interval single = new GroupBootstrap(labels, Sources(60, 1)).Metrics([Calling(scores, 0.5)]).BalancedAccuracy.Interval;
        Interval grouped = new GroupBootstrap(many, Sources(600, 10)).Metrics([Calling(manyScores, 0.5)]).BalancedAccuracy.Interval;
        Interval wrong = new GroupBootstrap(many, Sources(600, 1)).Metrics([Calling(manyScores, 0.5)]).BalancedAccuracy.Interval;

        grouped.ShouldBe(single);
        (wrong.High - wrong.Low).ShouldBeLessThan(0.5 * (grouped.High - grouped.Low));
    }

    [Fact]
    public void A_gain_is_paired_clip_by_clip()
    {
        (int[] labels, double[] scores) = Clips(300, 0.35);
        var bootstrap = new GroupBootstrap(labels, Sources(labels.Length, 3));
        Answers before = Calling(scores, 0.5);

        // The same answers, but five wrong ones put right.
        bool[] better = [.. before.Violent];
        foreach (int clip in Enumerable.Range(0, labels.Length).Where(i => better[i] != (labels[i] == 1)).Take(5))
        {
            better[clip] = labels[clip] == 1;
        }

        bootstrap.Gain([before], [before]).ShouldBe(new Estimate(0, new Interval(0, 0)));
        Estimate gain = bootstrap.Gain([before with { Violent = better }], [before]);
        gain.Value.ShouldBeGreaterThan(0);
        gain.Interval.Low.ShouldBeGreaterThanOrEqualTo(0);

        // The interval of each alone is several times as wide as that of the difference.
        Interval alone = bootstrap.Metrics([before]).BalancedAccuracy.Interval;
        (gain.Interval.High - gain.Interval.Low).ShouldBeLessThan(0.5 * (alone.High - alone.Low));
    }

    [Fact]
    public void Repetitions_are_averaged()
    {
        (int[] labels, double[] scores) = Clips(100, 0.3);
        var bootstrap = new GroupBootstrap(labels, Sources(labels.Length, 2));
        Answers a = Calling(scores, 0.3), b = Calling(scores, 0.7);

        double mean = bootstrap.Metrics([a, b]).Accuracy.Value;

        mean.ShouldBe((bootstrap.Metrics([a]).Accuracy.Value + bootstrap.Metrics([b]).Accuracy.Value) / 2, 1e-12);
    }

    private static Answers Calling(double[] scores, double threshold) => new(scores, [.. scores.Select(score => score >= threshold)]);

    private static string[] Sources(int clips, int perSource) =>
        [.. Enumerable.Range(0, clips).Select(clip => $"source {clip / perSource}")];

    private static (int[] Labels, double[] Scores) Clips(int count, double noise)
    {
        var random = new Random(5);
        int[] labels = [.. Enumerable.Range(0, count).Select(i => i % 3 == 0 ? 1 : 0)];
        return (labels, [.. labels.Select(label => Math.Clamp((0.3 + (0.4 * label)) + (noise * 2 * (random.NextDouble() - 0.5)), 0, 1))]);
    }
}
