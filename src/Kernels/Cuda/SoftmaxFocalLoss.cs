using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// Softmax and classification loss of logits, with the gradient in the same pass, in single precision. Sample b with label y, p = softmax(logits) and smoothed target y':
/// ℓ = w[y]·Σ_c α_c·y'_c·(1−p_c)^γ·(−log p_c), or w[y]·Σ_c y'_c·(−log p_c) without the focal factors.
/// </summary>
public sealed class SoftmaxFocalLoss(KernelLibrary library)
{
    /// <summary>One block, so that the sums over the batch have one order.</summary>
    private const int Threads = 256;

    private readonly TypedKernel _kernel = new(library, "softmax_focal_loss.cu", "softmax_focal_loss");

    /// <param name="stream">Where to queue.</param>
    /// <param name="batch">Samples B.</param>
    /// <param name="classes">Classes C.</param>
    /// <param name="logits">[B, C] of <paramref name="type"/>.</param>
    /// <param name="labels">[B] Int32, each in [0, C): not checked here, the caller has done it when it read them.</param>
    /// <param name="classWeights">w [C], float.</param>
    /// <param name="alpha">α [C], float.</param>
    /// <param name="losses">Output: each sample's weighted loss [B], float.</param>
    /// <param name="probabilities">Output: softmax [B, C], float.</param>
    /// <param name="dLogits">Output: ∂(scale·Σℓ)/∂logits times <see cref="StepState.LossScale"/> [B, C] of <paramref name="type"/>; 0 when only the loss is wanted.</param>
    /// <param name="state">
    /// The <see cref="StepState"/>: Loss grows by scale·Σℓ, Correct by the samples whose largest logit (the last of equals) is their label's.
    /// </param>
    /// <param name="scale">1 / size of the global batch.</param>
    /// <param name="options">Form of the loss.</param>
    /// <param name="type">Type of the logits and their gradient.</param>
    public void Run(
        CudaStream stream, int batch, int classes, nint logits, nint labels, nint classWeights, nint alpha, nint losses, nint probabilities, nint dLogits, nint state,
        float scale, in LossOptions options, CudaType type)
    {
        if (batch == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(batch);
        arguments.Add(classes);
        arguments.Add(logits);
        arguments.Add(labels);
        arguments.Add(classWeights);
        arguments.Add(alpha);
        arguments.Add(losses);
        arguments.Add(probabilities);
        arguments.Add(dLogits);
        arguments.Add(state);
        arguments.Add(scale);
        arguments.Add(options.Focal ? 1 : 0);
        arguments.Add(options.Gamma);
        arguments.Add(options.Smoothing);
        _kernel[type].Launch(stream, new Grid(1), new Grid(Threads), 0, arguments);
    }
}
