using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed partial class ReferenceOps
{
    public void AttentionPoolForward(Tensor x, Tensor weight, Tensor y, Tensor attention)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), w = Load(weight), pooled = new double[batch * channels], weights = new double[batch * time];
        for (int n = 0; n < batch; n++)
        {
            double[] scores = new double[time];
            for (int t = 0; t < time; t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    scores[t] += values[(((n * time) + t) * channels) + c] * w[c];
                }
            }

            double[] a = Softmax(scores);
            for (int t = 0; t < time; t++)
            {
                weights[(n * time) + t] = a[t];
                for (int c = 0; c < channels; c++)
                {
                    pooled[(n * channels) + c] += a[t] * values[(((n * time) + t) * channels) + c];
                }
            }
        }

        Store(y, pooled);
        Store(attention, weights);
    }

    public void AttentionPoolBackward(Tensor dy, Tensor x, Tensor weight, Tensor attention, Tensor dx, Tensor dWeight)
    {
        int batch = x.Shape[0], time = x.Shape[1], channels = x.Shape[2];
        double[] values = Load(x), w = Load(weight), a = Load(attention), upstream = Load(dy);
        double[] gradient = new double[values.Length], dw = new double[channels];
        for (int n = 0; n < batch; n++)
        {
            // da_t = dy·x_t; through the softmax ds_t = a_t (da_t − Σ_u a_u da_u); s_t = x_t·w.
            double[] da = new double[time];
            double mean = 0;
            for (int t = 0; t < time; t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    da[t] += upstream[(n * channels) + c] * values[(((n * time) + t) * channels) + c];
                }

                mean += a[(n * time) + t] * da[t];
            }

            for (int t = 0; t < time; t++)
            {
                double ds = a[(n * time) + t] * (da[t] - mean);
                for (int c = 0; c < channels; c++)
                {
                    int at = (((n * time) + t) * channels) + c;
                    gradient[at] = (a[(n * time) + t] * upstream[(n * channels) + c]) + (ds * w[c]);
                    dw[c] += ds * values[at];
                }
            }
        }

        Store(dx, gradient);
        Add(dWeight, dw);
    }

    public void SoftmaxFocalLoss(Tensor logits, Tensor labels, Tensor classWeights, Tensor alpha, Tensor losses, Tensor probabilities, Tensor? dLogits, Tensor state, float scale, in LossOptions options)
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
                double target = ((c == label[n] ? 1 : 0) * (1 - (double)options.Smoothing)) + ((double)options.Smoothing / classes);
                if (options.Focal)
                {
                    double gamma = options.Gamma, rest = 1 - q[c];
                    double power = Math.Pow(rest, gamma);
                    loss[n] += alphas[c] * target * power * -logP[c];

                    // p·d/dp of (1−p)^γ·(−log p); the first term's limit for γ > 0 and p → 1 is 0.
                    double slope = gamma == 0 || rest == 0 ? 0 : gamma * Math.Pow(rest, gamma - 1) * q[c] * logP[c];
                    dLoss[c] = alphas[c] * target * (slope - power);
                }
                else
                {
                    loss[n] += target * -logP[c];
                    dLoss[c] = -target;
                }
            }

            double weight = weights[label[n]];
            loss[n] *= weight;
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
