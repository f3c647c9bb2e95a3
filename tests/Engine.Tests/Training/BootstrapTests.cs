using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Training;

public class BootstrapTests
{
    [Fact]
    public void Accuracy_within_a_class_varies_as_the_binomial_distribution_says()
    {
        // 150 of 200 right in each class: σ of the mean of both = √(0.75·0.25/400) = 0.02165.
        int[] labels = [.. Enumerable.Range(0, 400).Select(i => i % 2)];
        double[] scores = [.. Enumerable.Range(0, 400).Select(i => (i / 2 % 4 == 0) == (i % 2 == 0) ? 0.9 : 0.1)];

        MetricIntervals intervals = Bootstrap.Intervals(labels, scores, 0.5);

        double reach = 1.96 * Math.Sqrt(0.75 * 0.25 / 400);
        foreach (Interval interval in new[] { intervals.Accuracy, intervals.BalancedAccuracy, intervals.Auc })
        {
            interval.Low.ShouldBe(0.75 - reach, 0.006);
            interval.High.ShouldBe(0.75 + reach, 0.006);
        }

        intervals.F1.Low.ShouldBeInRange(0.68, 0.73);
        intervals.F1.High.ShouldBeInRange(0.77, 0.82);
        Bootstrap.Intervals(labels, scores, 0.5).ShouldBe(intervals);
    }

    [Fact]
    public void Each_class_keeps_its_size()
    {
        // All right in one class, all wrong in the other: were the classes drawn together, accuracy would vary.
        int[] labels = [0, 0, 0, 0, 0, 0, 1, 1];
        double[] scores = [0.1, 0.1, 0.2, 0.3, 0.1, 0.2, 0.4, 0.45];

        MetricIntervals intervals = Bootstrap.Intervals(labels, scores, 0.5);

        intervals.Accuracy.ShouldBe(new Interval(0.75, 0.75));
        intervals.BalancedAccuracy.ShouldBe(new Interval(0.5, 0.5));
        intervals.Auc.ShouldBe(new Interval(1, 1));
        intervals.F1.ShouldBe(new Interval(0, 0));
    }

    [Fact]
    public void Order_of_the_clips_does_not_matter_to_the_bounds_of_a_perfect_or_single_class()
    {
        MetricIntervals single = Bootstrap.Intervals([0, 0, 0], [0.2, 0.9, 0.1], 0.5);

        single.Auc.Low.ShouldBe(double.NaN);
        single.BalancedAccuracy.High.ShouldBe(double.NaN);
        single.Accuracy.Low.ShouldBeLessThan(2.0 / 3);
        Bootstrap.Intervals([], [], 0.5).Accuracy.Low.ShouldBe(double.NaN);
    }
}
