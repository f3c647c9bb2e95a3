using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Backends
{
    public partial interface IOps
    {
        /// <summary>
        /// Softmax, label smoothing y' = y(1−s) + s/C, focal loss ℓ = w_y · Σ_c α_c · y'_c · (1−p_c)^γ · (−log p_c) (Lin et al. 2017,
        /// arXiv:1708.02002; cross-entropy when not focal) and the gradient of the mean over the global batch, in one pass and in fp32. The gradient is multiplied by
        /// StepState.LossScale; the batch's mean is added to StepState.Loss, and the number of samples whose largest logit is their label's (the last of equals) to StepState.Correct.
        /// </summary>
        /// <param name="logits">[batch, classes].</param>
        /// <param name="labels">[batch] Int32, already validated.</param>
        /// <param name="classWeights">w [classes].</param>
        /// <param name="alpha">α [classes].</param>
        /// <param name="losses">ℓ [batch].</param>
        /// <param name="probabilities">p [batch, classes].</param>
        /// <param name="dLogits">[batch, classes], or null in evaluation.</param>
        /// <param name="scale">1 / global batch size: the weight of one sample in the mean.</param>
        void SoftmaxFocalLoss(Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state, float scale, in LossOptions options);
    }
}

namespace CudaTrainer.Engine.Autograd.Functions
{
    /// <summary>The end of the graph: its gradient is known when the loss is, so the backward pass has nothing left to compute here.</summary>
    public static class SoftmaxFocalLossFunction
    {
        /// <inheritdoc cref="IOps.SoftmaxFocalLoss"/>
        /// <returns>Per-sample losses and probabilities; the gradient is set on <paramref name="logits"/>.</returns>
        public static (Tensor Losses, Tensor Probabilities) Apply(Tape tape, Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, float scale, LossOptions options)
        {
            Check.Rank("SoftmaxFocalLoss", "logits", logits, 2);
            int classes = logits.Shape[1];
            Check.Shape("SoftmaxFocalLoss", "labels", labels, [logits.Shape[0]]);
            Check.Type("SoftmaxFocalLoss", "labels", labels, DType.Int32);
            Check.Shape("SoftmaxFocalLoss", "class weights", classWeights, [classes]);
            Check.Shape("SoftmaxFocalLoss", "alpha", alpha, [classes]);
            Check.Operands("SoftmaxFocalLoss", logits, classWeights, alpha);
            Tensor state = tape.State ?? throw new InvalidOperationException("SoftmaxFocalLoss needs the tape's step state.");
            Tensor losses = tape.Allocate([logits.Shape[0]], classWeights.DType);
            Tensor probabilities = tape.Allocate(logits.Shape, classWeights.DType);
            Tensor? gradient = tape.Records(logits) ? tape.BeginGradient(logits) : null;
            tape.Ops.SoftmaxFocalLoss(logits, labels, classWeights, alpha, losses, probabilities, gradient, state, scale, options);
            return (losses, probabilities);
        }
    }
}
