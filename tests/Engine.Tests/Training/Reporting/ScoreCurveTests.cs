using CudaTrainer.Training.Metrics;
using CudaTrainer.Training.Reporting;
using CudaTrainer.Training.RunFiles;

namespace CudaTrainer.Engine.Tests.Training.Reporting;

public class ScoreCurveTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void The_areas_under_the_curves_are_the_ones_reported(int seed)
    {
        // Scores of few digits, so that many are tied.
        Random random = new(seed);
        ClipPrediction[] clips = [.. Enumerable.Range(0, 60).Select(i => Clip(i % 3 == 0 ? 1 : 0, Math.Round(random.NextDouble(), 1)))];
        int[] labels = [.. clips.Select(clip => clip.Label)];
        double[] scores = [.. clips.Select(clip => clip.Violent)];

        IReadOnlyList<(double X, double Y)> roc = ScoreCurves.Roc(clips);
        roc[0].ShouldBe((0, 0));
        roc[^1].ShouldBe((1, 1));
        roc.Zip(roc.Skip(1)).Sum(pair => (pair.Second.X - pair.First.X) * (pair.First.Y + pair.Second.Y) / 2)
            .ShouldBe(RankMetrics.RocAuc(labels, scores), 1e-12);

        IReadOnlyList<(double X, double Y)> curve = ScoreCurves.PrecisionRecall(clips);
        curve.Zip(curve.Skip(1)).Sum(pair => (pair.Second.X - pair.First.X) * pair.Second.Y)
            .ShouldBe(RankMetrics.AveragePrecision(labels, scores), 1e-12);
    }

    [Fact]
    public void The_sweep_has_the_metrics_of_each_threshold()
    {
        ClipPrediction[] clips = [Clip(0, 0.1), Clip(0, 0.6), Clip(1, 0.4), Clip(1, 0.9), Clip(1, 0.95)];

        foreach (ThresholdPoint point in ScoreCurves.Sweep(clips))
        {
            ClassificationMetrics expected = ClassificationMetrics.Compute([.. clips.Select(clip => clip.Label)],
                [.. clips.Select(clip => clip.Violent)], point.Threshold, 0);
            point.ShouldBe(new ThresholdPoint(point.Threshold, expected.Accuracy, expected.BalancedAccuracy, expected.Precision,
                expected.Recall, expected.F1));
        }
    }

    [Fact]
    public void Calibration_by_hand()
    {
        // Two intervals: three clips at 0.2 of which one is violent, one certain and right clip.
        ClipPrediction[] clips = [Clip(0, 0.2), Clip(0, 0.2), Clip(1, 0.2), Clip(1, 1)];

        ScoreCurves.CalibrationError(clips).ShouldBe(0.75 * Math.Abs(0.2 - (1.0 / 3)), 1e-12);
        ScoreCurves.Brier(clips).ShouldBe((0.04 + 0.04 + 0.64 + 0) / 4, 1e-12);
        ScoreCurves.Calibration(clips).Select(bin => bin.Count).ShouldBe([3, 1]);
    }

    [Theory]
    [InlineData(15, 20, 0.531, 0.888)]
    [InlineData(0, 10, 0.0, 0.278)]
    [InlineData(10, 10, 0.722, 1.0)]
    public void The_interval_of_a_share_is_that_of_Wilson(int right, int count, double low, double high)
    {
        var interval = Interval.OfShare((double)right / count, count);

        interval.Low.ShouldBe(low, 5e-4);
        interval.High.ShouldBe(high, 5e-4);
    }

    private static ClipPrediction Clip(int label, double violent) => new($"clip {label} {violent}", label, violent, 0.5, []);
}
