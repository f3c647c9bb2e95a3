using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// Softmax and classification loss of logits, with the gradient in the same pass and in single precision, by the formulas of
/// docs/metrics.md (the loss ℓ) and docs/kernels-layers.md (its gradient; D_c there is <c>slope</c> here).
/// </summary>
/// <remarks>
/// <para>Cost: B·C·(2 or 4) bytes read, B·C·(6 or 8) written, some 60 FLOPs an element. A batch is 64×2: bound by latency, a few
/// microseconds.</para>
/// <para>Access: one block; a thread has a sample and walks along its classes.</para>
/// <para>Order: samples belong to threads by number, then butterflies and warps in order: fixed for every batch. Sums are double,
/// everything else float.</para>
/// </remarks>
internal sealed unsafe class SoftmaxFocalLoss(KernelLibrary library)
{
    /// <summary>One block, so that the sums over the batch have one order.</summary>
    private const int Threads = 256;

    private const int Warps = Threads / GpuThread.WarpSize;

    private readonly TypedKernel<Arguments> _kernel = new(library, Run<Float32, Four>, Run<Float16, Eight>);

    /// <param name="batch">Samples B.</param>
    /// <param name="classes">Classes C.</param>
    /// <param name="logits">[B, C] of <paramref name="type"/>.</param>
    /// <param name="labels">[B] Int32, each in [0, C): not checked here, the caller has done it when it read them.</param>
    /// <param name="classWeights">w [C], float.</param>
    /// <param name="alpha">α [C], float.</param>
    /// <param name="losses">Output: each sample's weighted loss [B], float.</param>
    /// <param name="probabilities">Output: softmax [B, C], float.</param>
    /// <param name="dLogits">Output: ∂(scale·Σℓ)/∂logits times <see cref="StepState.LossScale"/> [B, C] of <paramref name="type"/>; 0 when
    /// only the loss is wanted.</param>
    /// <param name="state">
    /// The <see cref="StepState"/>: Loss grows by scale·Σℓ, Correct by the samples whose largest logit (the last of equals) is their
    /// label's.
    /// </param>
    /// <param name="scale">1 / size of the global batch.</param>
    /// <param name="options">Form of the loss.</param>
    /// <param name="type">Type of the logits and their gradient.</param>
    public void Run(
        CudaStream stream, int batch, int classes, nint logits, nint labels, nint classWeights, nint alpha, nint losses,
        nint probabilities, nint dLogits, nint state, float scale, in LossOptions options, CudaType type)
    {
        if (batch == 0)
        {
            return;
        }

        long count = (long)batch * classes;
        _kernel[type].Launch(stream, new Interop.Grid(1), new Arguments
        {
            Logits = new(logits, count),
            Labels = new(labels, batch),
            ClassWeights = new(classWeights, classes),
            Alpha = new(alpha, classes),
            Losses = new(losses, batch),
            Probabilities = new(probabilities, count),
            DLogits = new(dLogits, dLogits == 0 ? 0 : count),
            State = new(state, 1),
            Batch = batch,
            Classes = classes,
            Scale = scale,
            Focal = options.Focal ? 1 : 0,
            Gamma = options.Gamma,
            Smoothing = options.Smoothing,
        });
    }

    [GpuKernel(Threads)]
    private static void Run<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> lossParts = SharedMemory.Allocate<double>(Warps);
        ArrayView<int> correctParts = SharedMemory.Allocate<int>(Warps);
        float gradientScale = a.Scale * a.State.Start->LossScale;
        double lossSum = 0;
        int correct = 0;
        for (int sample = GpuThread.Index; sample < a.Batch; sample += Threads)
        {
            long row = (long)sample * a.Classes;
            LogSoftmax softmax = LogSoftmax.Of<TElement, TGroup>(a.Logits.Start, row, a.Classes);
            int label = a.Labels.Start[sample];
            float weight = a.ClassWeights.Start[label];
            double loss = 0, slopes = 0;
            for (int c = 0; c < a.Classes; c++)
            {
                LossTerm term = LossTerm.Of(a, softmax, c, label, TElement.Read(a.Logits.Start, row + c));
                loss += term.Value;
                slopes += term.Slope;
                a.Probabilities.Start[row + c] = term.Probability;
            }

            float weighted = (float)(weight * loss);
            a.Losses.Start[sample] = weighted;
            lossSum += weighted;
            correct += softmax.LastLargest == label ? 1 : 0;
            if (a.DLogits.Start == null)
            {
                continue;
            }

            // log p_c depends on z_j by δ_cj − p_j.
            for (int j = 0; j < a.Classes; j++)
            {
                LossTerm term = LossTerm.Of(a, softmax, j, label, TElement.Read(a.Logits.Start, row + j));
                float gradient = (term.Slope * term.Complement) - (term.Probability * (float)(slopes - term.Slope));
                TElement.Write(a.DLogits.Start, row + j, weight * gradientScale * gradient);
            }
        }

        double total = Reduce.BlockSum(lossSum, lossParts, Warps);
        int totalCorrect = Reduce.BlockSum(correct, correctParts, Warps);
        if (GpuThread.Index == 0)
        {
            a.State.Start->Loss += (float)(total * a.Scale);
            a.State.Start->Correct += totalCorrect;
        }
    }

    private struct Arguments
    {
        public GpuArray Logits;
        public GpuArray<int> Labels;
        public GpuArray<float> ClassWeights;
        public GpuArray<float> Alpha;
        public GpuArray<float> Losses;
        public GpuArray<float> Probabilities;
        public GpuArray DLogits;
        public GpuArray<StepState> State;
        public int Batch;
        public int Classes;
        public float Scale;
        public int Focal;
        public float Gamma;
        public float Smoothing;
    }

    /// <summary>log p, p and 1 − p of one row, each without cancellation or overflow.</summary>
    private struct LogSoftmax
    {
        public int Largest;
        public int LastLargest;
        public float Maximum;
        public float Others;
        public float LogSum;

        public static LogSoftmax Of<TElement, TGroup>(byte* logits, long row, int classes)
            where TElement : struct, IElement<TGroup>
            where TGroup : unmanaged, IGroup<TGroup>
        {
            LogSoftmax softmax = default;
            softmax.Maximum = TElement.Read(logits, row);
            for (int c = 1; c < classes; c++)
            {
                float value = TElement.Read(logits, row + c);
                softmax.LastLargest = value >= softmax.Maximum ? c : softmax.LastLargest;
                softmax.Largest = value > softmax.Maximum ? c : softmax.Largest;
                softmax.Maximum = value > softmax.Maximum ? value : softmax.Maximum;
            }

            for (int c = 0; c < classes; c++)
            {
                softmax.Others += c == softmax.Largest ? 0 : GpuMath.Exp(TElement.Read(logits, row + c) - softmax.Maximum);
            }

            softmax.LogSum = GpuMath.Log1P(softmax.Others);
            return softmax;
        }
    }

    /// <summary>A class's summand of the loss, and its derivative by log p.</summary>
    private struct LossTerm
    {
        public float Value;
        public float Slope;
        public float Probability;
        public float Complement;

        public static LossTerm Of(Arguments a, LogSoftmax softmax, int c, int label, float logit)
        {
            LossTerm term = default;
            float logP = logit - softmax.Maximum - softmax.LogSum;
            float target = (c == label ? 1 - a.Smoothing : 0) + (a.Smoothing / a.Classes);
            term.Probability = GpuMath.Exp(logP);
            term.Complement = c == softmax.Largest ? softmax.Others / (1 + softmax.Others) : 1 - term.Probability;
            if (a.Focal != 0)
            {
                float focus = a.Gamma == 2 ? term.Complement * term.Complement : GpuMath.Power(term.Complement, a.Gamma);

                // d/d(log p) of q^γ·(−log p) is q^γ·(γ·p·log p/q − 1); p·log p/q → −1 as q → 0.
                float ratio = term.Complement > 0 ? term.Probability * logP / term.Complement : -1;
                term.Value = target * a.Alpha.Start[c] * focus * -logP;
                term.Slope = target * a.Alpha.Start[c] * focus * ((a.Gamma * ratio) - 1);
            }
            else
            {
                term.Value = target * -logP;
                term.Slope = -target;
            }

            return term;
        }
    }
}
