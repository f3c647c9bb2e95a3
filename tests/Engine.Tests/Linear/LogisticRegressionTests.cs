using CudaTrainer.Training.Linear;

namespace CudaTrainer.Engine.Tests.Linear;

public class LogisticRegressionTests
{
    /// <summary>The gradient is zero at a minimum, and the problem has only one.</summary>
    [Theory]
    [InlineData(0.001)]
    [InlineData(0.1)]
    [InlineData(10)]
    public void Nothing_is_left_of_the_gradient(double penalty)
    {
        (double[][] rows, int[] labels) = Clips(count: 60, width: 5);
        double[] weights = [.. Enumerable.Range(1, 60).Select(i => i / 1830.0)];

        double[] beta = LogisticRegression.Fit(rows, labels, weights, penalty);

        for (int c = 0; c <= 5; c++)
        {
            double slope = c < 5 ? penalty * beta[c] : 0;
            for (int i = 0; i < rows.Length; i++)
            {
                double p = LogisticRegression.Probability(LogisticRegression.Score(rows[i], beta));
                slope += weights[i] * (p - labels[i]) * (c < 5 ? rows[i][c] : 1);
            }

            slope.ShouldBe(0, 1e-7);
        }
    }

    /// <summary>Without a finite minimum but for the penalty: every clip is told apart.</summary>
    [Fact]
    public void Clips_that_are_told_apart_completely_have_finite_weights()
    {
        double[][] rows = [.. Enumerable.Range(0, 20).Select(i => new double[] { i < 10 ? -1 - i : i, 0 })];
        int[] labels = [.. Enumerable.Range(0, 20).Select(i => i < 10 ? 0 : 1)];
        double[] equal = [.. Enumerable.Repeat(0.05, 20)];

        double[] weak = LogisticRegression.Fit(rows, labels, equal, 1e-6), strong = LogisticRegression.Fit(rows, labels, equal, 1);

        weak[0].ShouldBeInRange(1, 100);
        strong[0].ShouldBeInRange(0.01, weak[0] / 2);
        weak[1].ShouldBe(0);
    }

    [Fact]
    public void Where_it_begins_does_not_matter()
    {
        (double[][] rows, int[] labels) = Clips(count: 40, width: 3);
        double[] equal = [.. Enumerable.Repeat(1 / 40.0, 40)];

        double[] fromZero = LogisticRegression.Fit(rows, labels, equal, 0.01);
        double[] fromElsewhere = LogisticRegression.Fit(rows, labels, equal, 0.01, [5, -5, 5, -5]);

        for (int c = 0; c <= 3; c++)
        {
            fromElsewhere[c].ShouldBe(fromZero[c], 1e-4);
        }
    }

    internal static (double[][] Rows, int[] Labels) Clips(int count, int width)
    {
        Random random = new(4);
        int[] labels = [.. Enumerable.Range(0, count).Select(i => i % 2)];
        return ([.. labels.Select(label =>
            Enumerable.Range(0, width).Select(c => random.NextDouble() + (c == 0 ? label * 0.5 : 0)).ToArray())], labels);
    }
}
