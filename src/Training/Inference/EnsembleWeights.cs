using CudaTrainer.Data.Dataset;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Inference;

/// <summary>
/// The shares with which members' probabilities are mixed: non-negative, of sum 1, with the least mean negative log likelihood of the
/// labels. The problem is convex; it is solved by the multiplicative gradient step w_m ← w_m·mean_i(q_im / Σ_k w_k·q_ik), which is
/// expectation maximisation for the shares of a mixture (Dempster, Laird and Rubin 1977): it needs no step size, keeps to the
/// constraints and never raises the loss.
/// </summary>
internal static class EnsembleWeights
{
    /// <summary>A probability below this counts as this: one sure and wrong answer would otherwise be infinitely bad.</summary>
    public const double Floor = 1e-7;

    /// <summary>The loss that is reached is at most this much above the least one.</summary>
    public const double Gap = 1e-7;

    private const int Iterations = 100_000;

    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[members][clips, <see cref="ClassList.Scores"/>].</param>
    /// <param name="classes">That they are of; the known pair if null.</param>
    /// <returns>[members].</returns>
    public static double[] Fit(ReadOnlySpan<int> labels, IReadOnlyList<double[]> scores, ClassList? classes = null)
    {
        int members = scores.Count, clips = labels.Length;
        double[][] likelihood = [.. scores.Select(score => new double[clips])];
        for (int i = 0; i < clips; i++)
        {
            for (int m = 0; m < members; m++)
            {
                likelihood[m][i] = OfLabel(labels[i], ClassScores.Of(scores[m], i, classes ?? ClassList.Violence));
            }
        }

        double[] weights = [.. Enumerable.Repeat(1.0 / members, members)];
        double[] factors = new double[members];
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            Array.Clear(factors);
            for (int i = 0; i < clips; i++)
            {
                double mixed = 0;
                for (int m = 0; m < members; m++)
                {
                    mixed += weights[m] * likelihood[m][i];
                }

                for (int m = 0; m < members; m++)
                {
                    factors[m] += likelihood[m][i] / (mixed * clips);
                }
            }

            // The loss is convex and factors are its gradient with the sign turned, of weighted mean 1: no mixture is better by more than
            // the largest factor − 1.
            if (factors.Max() - 1 <= Gap)
            {
                break;
            }

            double sum = 0;
            for (int m = 0; m < members; m++)
            {
                sum += weights[m] *= factors[m];
            }

            for (int m = 0; m < members; m++)
            {
                weights[m] /= sum;
            }
        }

        return weights;
    }

    /// <summary>−mean log of the probability that was given to the label, in nats.</summary>
    /// <param name="labels">From 0 on.</param>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>].</param>
    /// <param name="classes">That they are of; the known pair if null.</param>
    public static double NegativeLogLikelihood(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, ClassList? classes = null)
    {
        double sum = 0;
        for (int i = 0; i < labels.Length; i++)
        {
            sum -= Math.Log(OfLabel(labels[i], ClassScores.Of(scores, i, classes ?? ClassList.Violence)));
        }

        return sum / labels.Length;
    }

    private static double OfLabel(int label, ReadOnlySpan<double> answer) =>
        Math.Max(Floor, answer.Length > 1 ? answer[label] : label == ClassLabel.Violent ? answer[0] : 1 - answer[0]);
}
