using CudaTrainer.Data.Dataset;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Kernels;
using CudaTrainer.Training.Metrics;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// The loss of a classifier in training. Its file keeps it, so that an evaluation reports the same quantity as training did.
/// </summary>
/// <param name="Focal">Focal loss; cross-entropy otherwise.</param>
/// <param name="Gamma">γ of the focal loss.</param>
/// <param name="Smoothing">Label smoothing.</param>
/// <param name="ClassWeights">[classes], multiplied with each sample's loss by its label.</param>
/// <param name="Alpha">[classes], of the focal loss.</param>
public sealed record LossInfo(bool Focal, float Gamma, float Smoothing, IReadOnlyList<float> ClassWeights, IReadOnlyList<float> Alpha)
{
    /// <summary>Plain cross-entropy of two classes.</summary>
    public static LossInfo Plain { get; } = PlainOf(2);

    /// <summary>Plain cross-entropy.</summary>
    /// <param name="classes">How many there are.</param>
    public static LossInfo PlainOf(int classes) =>
        new(false, 0, 0, [.. Enumerable.Repeat(1f, classes)], [.. Enumerable.Repeat(1f, classes)]);

    internal LossOptions Options => new(Focal, Gamma, Smoothing);

    /// <summary>The loss of one answer that was put together from several, and hence has no logits.</summary>
    /// <param name="label">From 0 on.</param>
    /// <param name="answer">p(violent), or the probability of each class; what is nearer to 0 or 1 than 10⁻⁷ counts as that, so that an
    /// answer rounded to 0 has a loss.</param>
    internal double Of(int label, ReadOnlySpan<double> answer)
    {
        double[] logarithms = new double[ClassWeights.Count];
        for (int c = 0; c < logarithms.Length; c++)
        {
            double p = answer.Length > 1 ? answer[c] : answer[0];
            p = Math.Clamp(p, 1e-7, 1 - 1e-7);
            logarithms[c] = Math.Log(answer.Length > 1 || c == ClassLabel.Violent ? p : 1 - p);
        }

        return ReferenceOps.SampleLoss(logarithms, label, ClassWeights[label], [.. Alpha], Options);
    }

    /// <summary>The mean of <see cref="Of"/> over clips.</summary>
    /// <param name="scores">[clips, <see cref="ClassList.Scores"/>].</param>
    internal double Mean(ReadOnlySpan<int> labels, ReadOnlySpan<double> scores, ClassList classes)
    {
        double sum = 0;
        for (int clip = 0; clip < labels.Length; clip++)
        {
            sum += Of(labels[clip], ClassScores.Of(scores, clip, classes));
        }

        return sum / labels.Length;
    }
}
