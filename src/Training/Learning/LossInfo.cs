using CudaTrainer.Engine.Ops;
using CudaTrainer.Kernels;

namespace CudaTrainer.Training.Learning;

/// <summary>
/// The loss of a classifier in training. Its file keeps it, so that an evaluation reports the same quantity as training did.
/// </summary>
/// <param name="Focal">Focal loss; cross-entropy otherwise.</param>
/// <param name="Gamma">γ of the focal loss.</param>
/// <param name="Smoothing">Label smoothing.</param>
/// <param name="ClassWeights">[2], multiplied with each sample's loss by its label.</param>
/// <param name="Alpha">[2], of the focal loss.</param>
public sealed record LossInfo(bool Focal, float Gamma, float Smoothing, IReadOnlyList<float> ClassWeights, IReadOnlyList<float> Alpha)
{
    /// <summary>Plain cross-entropy.</summary>
    public static LossInfo Plain { get; } = new(false, 0, 0, [1, 1], [1, 1]);

    internal LossOptions Options => new(Focal, Gamma, Smoothing);

    /// <summary>The loss of one answer that was put together from several, and hence has no logits.</summary>
    /// <param name="label">0 or 1.</param>
    /// <param name="violent">p(violent); what is nearer to 0 or 1 than 10⁻⁷ counts as that, so that an answer rounded to 0 has a
    /// loss.</param>
    internal double Of(int label, double violent)
    {
        double p = Math.Clamp(violent, 1e-7, 1 - 1e-7);
        return ReferenceOps.SampleLoss([Math.Log(1 - p), Math.Log(p)], label, ClassWeights[label], [Alpha[0], Alpha[1]], Options);
    }
}
