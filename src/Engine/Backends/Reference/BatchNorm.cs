using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Backends.Reference;

public sealed partial class ReferenceOps
{
    public void BatchNormForward(Tensor x, Tensor scale, Tensor shift, Tensor runningMean, Tensor runningVariance, Tensor y, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] values = Load(x), gamma = Load(scale), beta = Load(shift), mean = Load(runningMean), variance = Load(runningVariance);
        if (options.Training)
        {
            double[] batchMean = new double[channels], batchVariance = new double[channels];
            for (int i = 0; i < values.Length; i++)
            {
                batchMean[i % channels] += values[i] / rows;
            }

            for (int i = 0; i < values.Length; i++)
            {
                double distance = values[i] - batchMean[i % channels];
                batchVariance[i % channels] += distance * distance / rows;
            }

            for (int c = 0; c < channels; c++)
            {
                mean[c] = (options.Momentum * mean[c]) + ((1 - (double)options.Momentum) * batchMean[c]);
                variance[c] = (options.Momentum * variance[c]) + ((1 - (double)options.Momentum) * batchVariance[c]);
            }

            Store(runningMean, mean);
            Store(runningVariance, variance);
            (mean, variance) = (batchMean, batchVariance);
            Store(savedMean, mean);
            float epsilon = options.Epsilon;
            Store(savedInverseStd, [.. variance.Select(v => 1 / Math.Sqrt(v + epsilon))]);
        }

        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            double z = (gamma[c] * (values[i] - mean[c]) / Math.Sqrt(variance[c] + options.Epsilon)) + beta[c];
            values[i] = (options.Relu ? Math.Max(z, 0) : z) * DropoutFactor(options.Dropout, i);
        }

        Store(y, values);
    }

    public void BatchNormBackward(Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, Tensor dx, Tensor dScale, Tensor dShift, in BatchNormOptions options)
    {
        int rows = x.Shape.Rows, channels = x.Shape[-1];
        double[] gamma = Load(scale), inverse = Load(savedInverseStd), dGamma = new double[channels], dBeta = new double[channels];
        var (gradient, normalized) = BatchNormGradient(dy, x, scale, shift, savedMean, savedInverseStd, options);
        for (int i = 0; i < gradient.Length; i++)
        {
            dGamma[i % channels] += gradient[i] * normalized[i];
            dBeta[i % channels] += gradient[i];
        }

        for (int i = 0; i < gradient.Length; i++)
        {
            int c = i % channels;
            gradient[i] = gamma[c] * inverse[c] * (gradient[i] - (dBeta[c] / rows) - (normalized[i] * dGamma[c] / rows));
        }

        Store(dx, gradient);
        Add(dScale, dGamma);
        Add(dShift, dBeta);
    }

    /// <summary>The gradient of the affine map's output, and x̂.</summary>
    private static (double[] Gradient, double[] Normalized) BatchNormGradient(
        Tensor dy, Tensor x, Tensor scale, Tensor shift, Tensor savedMean, Tensor savedInverseStd, in BatchNormOptions options)
    {
        int channels = x.Shape[-1];
        double[] values = Load(x), gradient = Load(dy), gamma = Load(scale), beta = Load(shift), mean = Load(savedMean), inverse = Load(savedInverseStd);
        for (int i = 0; i < values.Length; i++)
        {
            int c = i % channels;
            values[i] = (values[i] - mean[c]) * inverse[c];
            bool passes = !options.Relu || (gamma[c] * values[i]) + beta[c] > 0;
            gradient[i] *= passes ? DropoutFactor(options.Dropout, i) : 0;
        }

        return (gradient, values);
    }
}
