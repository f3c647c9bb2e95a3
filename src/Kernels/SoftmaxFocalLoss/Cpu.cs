using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Softmax and classification loss of logits, with the gradient in the same pass, by the formulas of docs/metrics.md (the loss ℓ) and
/// docs/kernels-layers.md (its gradient).
/// </summary>
/// <remarks>
/// The class weight multiplies the sample's loss, so that it reaches the sample's gradient. Computed in double: a row has a handful of
/// numbers and their differences decide everything late in training.
/// </remarks>
internal static unsafe class SoftmaxFocalLoss
{
    /// <param name="batch">Samples B.</param>
    /// <param name="classes">Classes C.</param>
    /// <param name="logits">[B, C].</param>
    /// <param name="labels">[B], each in [0, C): not checked here, the caller has done it when it read them.</param>
    /// <param name="classWeights">w [C], or null for 1.</param>
    /// <param name="alpha">α [C], or null for 1; not read without focal loss.</param>
    /// <param name="losses">Output: each sample's weighted loss [B].</param>
    /// <param name="probabilities">Output: softmax [B, C].</param>
    /// <param name="logitsGradient">Output: ∂(scale·Σℓ)/∂logits times <see cref="StepState.LossScale"/> [B, C]; null when only the loss is
    /// wanted.</param>
    /// <param name="state">Its <see cref="StepState.Loss"/> grows by scale·Σℓ, its <see cref="StepState.Correct"/> by the samples whose
    /// largest logit is the label's.</param>
    /// <param name="scale">1 / size of the global batch.</param>
    /// <param name="options">Form of the loss.</param>
    public static void Run(
        ThreadTeam team, int batch, int classes, float* logits, int* labels, float* classWeights, float* alpha, float* losses,
        float* probabilities, float* logitsGradient, StepState* state, float scale, LossOptions options)
    {
        var kernel = new Kernel
        {
            Batch = batch,
            Classes = classes,
            Logits = logits,
            Labels = labels,
            ClassWeights = classWeights,
            Alpha = alpha,
            Losses = losses,
            Probabilities = probabilities,
            LogitsGradient = logitsGradient,
            GradientScale = (double)scale * state->LossScale,
            Options = options,
        };
        team.Run(ref kernel);

        double sum = 0;
        for (int sample = 0; sample < batch; sample++)
        {
            sum += losses[sample];
            state->Correct += Largest(logits + ((long)sample * classes), classes) == labels[sample] ? 1 : 0;
        }

        state->Loss += (float)(sum * scale);
    }

    /// <summary>The class with the largest logit; the last one of equals, so that p(violent) = ½ counts as violent.</summary>
    private static int Largest(float* logits, int classes)
    {
        int largest = 0;
        for (int c = 1; c < classes; c++)
        {
            largest = logits[c] >= logits[largest] ? c : largest;
        }

        return largest;
    }

    private struct Kernel : ITeamKernel
    {
        public int Batch;
        public int Classes;
        public float* Logits;
        public int* Labels;
        public float* ClassWeights;
        public float* Alpha;
        public float* Losses;
        public float* Probabilities;
        public float* LogitsGradient;
        public double GradientScale;
        public LossOptions Options;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Batch);
            for (int sample = begin; sample < end; sample++)
            {
                Sample(sample);
            }
        }

        private readonly void Sample(int sample)
        {
            long offset = (long)sample * Classes;
            var softmax = new LogSoftmax(Logits + offset, Classes);
            int label = Labels[sample];
            double weight = ClassWeights != null ? ClassWeights[label] : 1;

            double loss = 0;
            double slopes = 0;
            for (int c = 0; c < Classes; c++)
            {
                (double value, double slope) = Term(softmax, c, label);
                loss += value;
                slopes += slope;
                Probabilities[offset + c] = (float)softmax.Probability(c);
            }

            Losses[sample] = (float)(weight * loss);
            if (LogitsGradient == null)
            {
                return;
            }

            // log p_c depends on z_j by δ_cj − p_j; hence ∂ℓ/∂z_j = slope_j − p_j·Σ slope.
            for (int j = 0; j < Classes; j++)
            {
                (_, double slope) = Term(softmax, j, label);
                double p = softmax.Probability(j);
                double gradient = (slope * softmax.Complement(j)) - (p * (slopes - slope));
                LogitsGradient[offset + j] = (float)(weight * GradientScale * gradient);
            }
        }

        /// <summary>Class c's summand of the loss, and its derivative by log p_c.</summary>
        private readonly (double Value, double Slope) Term(in LogSoftmax softmax, int c, int label)
        {
            double target = ((c == label ? 1.0 : 0.0) * (1.0 - Options.Smoothing)) + (Options.Smoothing / (double)Classes);
            double logP = softmax.LogProbability(c);
            if (!Options.Focal)
            {
                return (target * -logP, -target);
            }

            double factor = target * (Alpha != null ? Alpha[c] : 1);
            double q = softmax.Complement(c);
            double focus = Math.Pow(q, Options.Gamma);

            // d/d(log p) of q^γ·(−log p) is q^γ·(γ·p·log p/q − 1); p·log p/q → −1 as q → 0.
            double ratio = q > 0 ? softmax.Probability(c) * logP / q : -1;
            return (factor * focus * -logP, factor * focus * ((Options.Gamma * ratio) - 1));
        }
    }

    /// <summary>log p, p and 1 − p of one row, each without cancellation or overflow.</summary>
    private readonly struct LogSoftmax
    {
        private readonly float* _logits;
        private readonly int _largest;
        private readonly double _othersSum;
        private readonly double _logSum;

        public LogSoftmax(float* logits, int classes)
        {
            _logits = logits;
            for (int c = 1; c < classes; c++)
            {
                if (logits[c] > logits[_largest])
                {
                    _largest = c;
                }
            }

            for (int c = 0; c < classes; c++)
            {
                _othersSum += c == _largest ? 0 : Math.Exp((double)logits[c] - logits[_largest]);
            }

            // log(1 + s) by Kahan's correction, exact also for s far below the spacing of numbers at 1.
            double onePlus = 1 + _othersSum;
            _logSum = onePlus == 1 ? _othersSum : Math.Log(onePlus) * (_othersSum / (onePlus - 1));
        }

        public double LogProbability(int c) => (double)_logits[c] - _logits[_largest] - _logSum;

        public double Probability(int c) => Math.Exp(LogProbability(c));

        /// <summary>1 − p.</summary>
        public double Complement(int c) => c == _largest ? _othersSum / (1 + _othersSum) : 1 - Probability(c);
    }
}
