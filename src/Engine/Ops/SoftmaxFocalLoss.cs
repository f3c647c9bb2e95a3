using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// Softmax, label smoothing y' = y(1−s) + s/C, focal loss ℓ = w_y · Σ_c α_c · y'_c · (1−p_c)^γ · (−log p_c) (Lin et al. 2017,
    /// arXiv:1708.02002; cross-entropy when not focal) and the gradient of the mean over the global batch, in one pass and in fp32. The
    /// gradient is multiplied by StepState.LossScale; the batch's mean is added to StepState.Loss, and the number of samples whose largest
    /// logit is their label's (the last of equals) to StepState.Correct.
    /// </summary>
    /// <param name="logits">[batch, classes].</param>
    /// <param name="labels">[batch] Int32, already validated.</param>
    /// <param name="classWeights">w [classes].</param>
    /// <param name="alpha">α [classes].</param>
    /// <param name="losses">ℓ [batch].</param>
    /// <param name="probabilities">p [batch, classes].</param>
    /// <param name="dLogits">[batch, classes], or null in evaluation.</param>
    /// <param name="scale">1 / global batch size: the weight of one sample in the mean.</param>
    void SoftmaxFocalLoss(
        Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state,
        float scale, in LossOptions options);
}

/// <summary>The end of the graph: its gradient is known when the loss is, so the backward pass has nothing left to compute here.</summary>
public static class SoftmaxFocalLossFunction
{
    /// <inheritdoc cref="IOps.SoftmaxFocalLoss"/>
    /// <returns>Per-sample losses and probabilities; the gradient is set on <paramref name="logits"/>.</returns>
    public static (Tensor Losses, Tensor Probabilities) Apply(
        Tape tape, Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, float scale, LossOptions options)
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

    /// <summary>The mean cross-entropy of the batch, every class and sample alike: no weights, no focus, no smoothing.</summary>
    /// <param name="logits">[batch, classes].</param>
    /// <param name="labels">[batch] Int32.</param>
    /// <returns>As <see cref="Apply"/>.</returns>
    public static (Tensor Losses, Tensor Probabilities) CrossEntropy(Tape tape, Tensor logits, Tensor labels)
    {
        Check.Rank("CrossEntropy", "logits", logits, 2);
        float[] ones = new float[logits.Shape[1]];
        Array.Fill(ones, 1);
        Tensor alike = tape.Allocate([ones.Length], logits.DType == DType.Float16 ? DType.Float32 : logits.DType, "class weights");
        alike.Write(ones);
        return Apply(tape, logits, labels, alike, alike, 1f / Math.Max(1, logits.Shape[0]), new LossOptions(Focal: false, 0, 0));
    }

    internal static IEnumerable<OpCase> Cases(InputDrawer draw) =>
    [
        Case(draw, "Focal loss", new LossOptions(true, 2, 0.1f), 6),
        Case(draw, "Focal loss, gamma 0.5", new LossOptions(true, 0.5f, 0), 3),
        Case(draw, "Focal loss, gamma 0", new LossOptions(true, 0, 0.1f), 19),
        Case(draw, "Cross-entropy", new LossOptions(false, 2, 0.1f), 5),
    ];

    private static OpCase Case(InputDrawer draw, string name, LossOptions options, int batch) => new(
        name,
        [
            draw.Normal("logits", [batch, 2], 2),
            draw.Labels("labels", batch, classes: 2),
            new OpInput("class weights", [2], [0.75, 1.5], false, IsParameter: true),
            new OpInput("alpha", [2], [0.25, 0.625], false, IsParameter: true),
        ],
        (tape, t) => Apply(tape, t[0], t[1], t[2], t[3], 1f / batch, options).Losses,
        SeedsItself: true);
}

internal sealed unsafe partial class CpuOps
{
    public void SoftmaxFocalLoss(
        Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state,
        float scale, in LossOptions options) =>
        Cpu.SoftmaxFocalLoss.Run(
            team, logits.Shape[0], logits.Shape[1], Floats(logits), (int*)labels.Data, Floats(classWeights), Floats(alpha), Floats(losses),
            Floats(probabilities), dLogits is null ? null : Floats(dLogits), State(state), scale, options);
}

internal sealed partial class CudaOps
{
    private Gpu.SoftmaxFocalLoss SoftmaxFocalLossKernels => field ??= new Gpu.SoftmaxFocalLoss(_kernels);

    public void SoftmaxFocalLoss(
        Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state,
        float scale, in LossOptions options) =>
        SoftmaxFocalLossKernels.Run(
            _stream, logits.Shape[0], logits.Shape[1], logits.Data, labels.Data, classWeights.Data, alpha.Data, losses.Data,
            probabilities.Data, dLogits?.Data ?? 0, state.Data, scale, options, TypeOf(logits));
}

internal sealed partial class ReferenceOps
{
    public void SoftmaxFocalLoss(
        Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state,
        float scale, in LossOptions options)
    {
        int batch = logits.Shape[0], classes = logits.Shape[1];
        double[] z = Load(logits), weights = Load(classWeights), alphas = Load(alpha);
        double[] loss = new double[batch], p = new double[z.Length], gradient = new double[z.Length];
        int[] label = labels.Read<int>();
        double total = 0;
        for (int n = 0; n < batch; n++)
        {
            double[] logP = LogSoftmax(z.AsSpan(n * classes, classes));
            double[] q = [.. logP.Select(Math.Exp)];
            double[] dLoss = new double[classes];
            for (int c = 0; c < classes; c++)
            {
                double target = Target(c == label[n], classes, options);
                if (options.Focal)
                {
                    // p·d/dp of (1−p)^γ·(−log p); the first term's limit for γ > 0 and p → 1 is 0.
                    double gamma = options.Gamma, rest = 1 - q[c];
                    double slope = gamma == 0 || rest == 0 ? 0 : gamma * Math.Pow(rest, gamma - 1) * q[c] * logP[c];
                    dLoss[c] = alphas[c] * target * (slope - Math.Pow(rest, gamma));
                }
                else
                {
                    dLoss[c] = -target;
                }
            }

            double weight = weights[label[n]];
            loss[n] = SampleLoss(logP, label[n], weight, alphas, options);
            total += loss[n] * scale;
            int largest = 0;
            for (int c = 1; c < classes; c++)
            {
                largest = z[(n * classes) + c] >= z[(n * classes) + largest] ? c : largest;
            }

            State(state).Correct += largest == label[n] ? 1 : 0;
            double sum = dLoss.Sum();
            for (int j = 0; j < classes; j++)
            {
                // dp_c/dz_j = p_c (δ_cj − p_j), and dLoss is already multiplied by p_c.
                p[(n * classes) + j] = q[j];
                gradient[(n * classes) + j] = weight * scale * State(state).LossScale * (dLoss[j] - (q[j] * sum));
            }
        }

        Store(losses, loss);
        Store(probabilities, p);
        if (dLogits is not null)
        {
            Store(dLogits, gradient);
        }

        State(state).Loss += (float)total;
    }

    /// <summary>ℓ of one sample.</summary>
    /// <param name="logP">log p [classes].</param>
    /// <param name="weight">w of the label.</param>
    internal static double SampleLoss(
        ReadOnlySpan<double> logP, int label, double weight, ReadOnlySpan<double> alpha, in LossOptions options)
    {
        double sum = 0;
        for (int c = 0; c < logP.Length; c++)
        {
            double target = Target(c == label, logP.Length, options);
            sum += options.Focal ? alpha[c] * target * Math.Pow(1 - Math.Exp(logP[c]), options.Gamma) * -logP[c] : target * -logP[c];
        }

        return sum * weight;
    }

    /// <summary>y'_c.</summary>
    private static double Target(bool isLabel, int classes, in LossOptions options) =>
        ((isLabel ? 1 : 0) * (1 - (double)options.Smoothing)) + ((double)options.Smoothing / classes);

    private static double[] LogSoftmax(ReadOnlySpan<double> z)
    {
        double max = double.NegativeInfinity, sum = 0;
        foreach (double value in z)
        {
            max = Math.Max(max, value);
        }

        foreach (double value in z)
        {
            sum += Math.Exp(value - max);
        }

        double[] result = z.ToArray();
        foreach (ref double value in result.AsSpan())
        {
            value -= max + Math.Log(sum);
        }

        return result;
    }

    private static double[] Softmax(ReadOnlySpan<double> z) => [.. LogSoftmax(z).Select(Math.Exp)];
}
