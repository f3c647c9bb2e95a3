namespace CudaTrainer.Kernels.Tests;

/// <summary>Batch normalisation with ReLU and dropout by plain loops in double.</summary>
internal sealed record BatchNormReference(int Rows, int Channels, bool Relu, Dropout Dropout)
{
    public const double Epsilon = 1e-3f;

    /// <summary>Of a forward pass; Factors are those of ReLU and dropout.</summary>
    public sealed record Pass(double[] Y, double[] Normalized, double[] Factors, double[] Mean, double[] Variance);

    public Pass Forward(double[] x, double[] gamma, double[] beta)
    {
        double[] mean = new double[Channels];
        double[] variance = new double[Channels];
        double[] normalized = new double[x.Length];
        double[] factors = new double[x.Length];
        double[] y = new double[x.Length];
        for (int c = 0; c < Channels; c++)
        {
            for (int r = 0; r < Rows; r++)
            {
                mean[c] += x[(r * Channels) + c] / Rows;
            }

            for (int r = 0; r < Rows; r++)
            {
                variance[c] += Math.Pow(x[(r * Channels) + c] - mean[c], 2) / Rows;
            }
        }

        for (int i = 0; i < x.Length; i++)
        {
            int c = i % Channels;
            normalized[i] = (x[i] - mean[c]) / Math.Sqrt(variance[c] + Epsilon);
            double affine = (gamma[c] * normalized[i]) + beta[c];
            factors[i] = (Relu && affine <= 0 ? 0 : 1) * (Dropout.IsActive ? Dropout.Factor(i) : 1);
            y[i] = affine * factors[i];
        }

        return new Pass(y, normalized, factors, mean, variance);
    }

    public double[][] Backward(Pass pass, double[] gamma, double[] dy)
    {
        double[] dx = new double[dy.Length];
        double[] dGamma = new double[Channels];
        double[] dBeta = new double[Channels];
        for (int i = 0; i < dy.Length; i++)
        {
            dBeta[i % Channels] += dy[i] * pass.Factors[i];
            dGamma[i % Channels] += dy[i] * pass.Factors[i] * pass.Normalized[i];
        }

        for (int i = 0; i < dy.Length; i++)
        {
            int c = i % Channels;
            dx[i] = gamma[c] / Math.Sqrt(pass.Variance[c] + Epsilon)
                * ((dy[i] * pass.Factors[i]) - (dBeta[c] / Rows) - (pass.Normalized[i] * dGamma[c] / Rows));
        }

        return [dx, dGamma, dBeta];
    }
}
