using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed partial class ReferenceOps
{
    public void BatchNormMoments(Tensor x, Tensor moments)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] values = Load(x), part = new double[(2 * channels) + 1];
        for (int i = 0; i < values.Length; i++)
        {
            part[i % channels] += values[i] / rows;
        }

        for (int i = 0; i < values.Length; i++)
        {
            double distance = values[i] - part[i % channels];
            part[channels + (i % channels)] += distance * distance;
        }

        part[2 * channels] = rows;
        Store(moments, part);
    }

    public void BatchNormCombine(Tensor gathered, Tensor runningMean, Tensor runningVariance, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        int parts = gathered.Shape[0], channels = savedMean.Shape[0], length = (2 * channels) + 1;
        double[] all = Load(gathered), movedMean = Load(runningMean), movedVariance = Load(runningVariance), mean = new double[channels], inverse = new double[channels];
        for (int c = 0; c < channels; c++)
        {
            double rows = 0, squares = 0;
            for (int part = 0; part < parts; part++)
            {
                double more = all[(part * length) + (2 * channels)], distance = all[(part * length) + c] - mean[c];
                squares += all[(part * length) + channels + c] + (distance * distance * rows * more / (rows + more));
                mean[c] += distance * more / (rows + more);
                rows += more;
            }

            double variance = squares / rows;
            inverse[c] = 1 / Math.Sqrt(variance + options.Epsilon);
            movedMean[c] = (options.Momentum * movedMean[c]) + ((1 - (double)options.Momentum) * mean[c]);
            movedVariance[c] = (options.Momentum * movedVariance[c]) + ((1 - (double)options.Momentum) * variance);
        }

        Store(runningMean, movedMean);
        Store(runningVariance, movedVariance);
        Store(savedMean, mean);
        Store(savedInverseStd, inverse);
    }

    public void BatchNormNormalize(Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor y, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        double[] values = Load(x), gamma = Load(scale), beta = Load(shift), mean = Load(savedMean), inverse = Load(savedInverseStd);
        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            double z = (gamma[c] * (values[i] - mean[c]) * inverse[c]) + beta[c];
            values[i] = (options.Relu ? Math.Max(z, 0) : z) * DropoutFactor(options.Dropout, i);
        }

        Store(y, values);
    }

    public void BatchNormGradientSums(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor sums, Tensor dScale, Tensor dShift, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        double[] dGamma = new double[channels], dBeta = new double[channels];
        for (int i = 0; i < gradient.Length; i++)
        {
            dGamma[i % channels] += gradient[i] * normalized[i];
            dBeta[i % channels] += gradient[i];
        }

        Store(sums, [.. dBeta, .. dGamma, x.Shape.Rows]);
        Add(dScale, dGamma);
        Add(dShift, dBeta);
    }

    public void BatchNormInputGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor gathered, Tensor dx, in BatchNormOptions options)
    {
        int channels = x.Shape[-1], length = (2 * channels) + 1;
        double[] all = Load(gathered), totals = new double[length], gamma = Load(scale), inverse = Load(savedInverseStd);
        for (int i = 0; i < all.Length; i++)
        {
            totals[i % length] += all[i];
        }

        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        double rows = totals[2 * channels];
        for (int i = 0; i < gradient.Length; i++)
        {
            int c = i % channels;
            gradient[i] = gamma[c] * inverse[c] * (gradient[i] - (totals[c] / rows) - (normalized[i] * totals[channels + c] / rows));
        }

        Store(dx, gradient);
    }
}
