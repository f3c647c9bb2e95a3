using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Engine.Tests.Training;

public class PlattScalingTests
{
    [Fact]
    public void Scores_that_are_too_sure_of_themselves_are_drawn_to_the_middle()
    {
        // p = σ(x) is the truth, the scores say σ(3x + 1).
        var random = new Random(1);
        double[] scores = new double[20000];
        int[] labels = new int[scores.Length];
        for (int i = 0; i < scores.Length; i++)
        {
            double x = (random.NextDouble() * 4) - 2;
            labels[i] = random.NextDouble() < Sigmoid(x) ? 1 : 0;
            scores[i] = Sigmoid((3 * x) + 1);
        }

        PlattScaling fitted = PlattScaling.Fit(labels, scores);

        fitted.Slope.ShouldBe(1 / 3.0, 0.02);
        fitted.Offset.ShouldBe(-1 / 3.0, 0.05);
        fitted.Apply(Sigmoid(1)).ShouldBe(0.5, 0.02);
    }

    /// <summary>The answers are those for footage where both classes are equally frequent, though one is rare among the clips.</summary>
    [Fact]
    public void Balanced_scaling_takes_the_frequency_of_the_classes_out()
    {
        var random = new Random(2);
        int[] labels = [.. Enumerable.Range(0, 20000).Select(i => i % 10 == 0 ? 1 : 0)];
        double[] scores = [.. labels.Select(label => Sigmoid((label == 1 ? 1 : -1) + (2 * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()))
            * Math.Cos(2 * Math.PI * random.NextDouble()))))];

        PlattScaling plain = PlattScaling.Fit(labels, scores), balanced = PlattScaling.Fit(labels, scores, balance: true);

        // Normal distributions about ±1 with variance 4: the odds are e^(x/2), times the odds of the classes.
        balanced.Slope.ShouldBe(0.5, 0.03);
        balanced.Offset.ShouldBe(0, 0.05);
        plain.Slope.ShouldBe(0.5, 0.03);
        plain.Offset.ShouldBe(Math.Log(1 / 9.0), 0.08);
    }

    [Fact]
    public void The_fit_is_the_maximum_of_the_likelihood()
    {
        int[] labels = [0, 0, 1, 0, 1, 1, 0, 1];
        double[] scores = [0.1, 0.3, 0.4, 0.45, 0.6, 0.7, 0.75, 0.9];

        PlattScaling fitted = PlattScaling.Fit(labels, scores);

        double best = Loss(fitted.Slope, fitted.Offset);
        foreach ((double a, double b) in new[] { (0.01, 0.0), (-0.01, 0), (0, 0.01), (0, -0.01) })
        {
            Loss(fitted.Slope + a, fitted.Offset + b).ShouldBeGreaterThan(best);
        }

        double Loss(double slope, double offset) => labels.Zip(scores).Sum(pair =>
        {
            double target = pair.First == 1 ? 5.0 / 6 : 1.0 / 6, p = Sigmoid((slope * Math.Log(pair.Second / (1 - pair.Second))) + offset);
            return -(target * Math.Log(p)) - ((1 - target) * Math.Log(1 - p));
        });
    }

    [Fact]
    public void Perfect_and_absurd_scores_give_finite_probabilities_in_order()
    {
        PlattScaling perfect = PlattScaling.Fit([0, 0, 1, 1], [0, 0, 1, 1]);
        perfect.Apply(0).ShouldBeInRange(0.0, 0.3);
        perfect.Apply(1).ShouldBeInRange(0.7, 1.0);

        PlattScaling reversed = PlattScaling.Fit([1, 1, 1, 0], [0.1, 0.2, 0.3, 0.9]);
        reversed.Slope.ShouldBe(0);
        reversed.Apply(0.1).ShouldBe(reversed.Apply(0.9));
        reversed.Apply(0.5).ShouldBe(4.0 / 6, 1e-9);

        PlattScaling.Fit([1, 1], [0.4, 0.6]).ShouldBe(PlattScaling.Identity);
        PlattScaling.Identity.Apply(0.3).ShouldBe(0.3, 1e-12);
    }

    private static double Sigmoid(double z) => 1 / (1 + Math.Exp(-z));
}
