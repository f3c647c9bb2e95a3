using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Batch normalisation of the <see cref="Oracle"/> in training.</summary>
internal sealed record BatchNormReference(int Rows, int Channels, bool Relu, Dropout Dropout)
{
    public sealed record Pass(double[] Y, double[] Mean, double[] Variance, double[] InverseDeviation);

    // With a momentum of 0 the running statistics become the batch's.
    private BatchNormOptions Options => new(Training: true, Relu, LayerDropout, Momentum: 0);

    private LayerDropout LayerDropout => Dropout.IsActive
        ? new LayerDropout(Dropout.Probability, Dropout.Seed, checked((int)Dropout.Subsequence), State: null, First: Dropout.First)
        : LayerDropout.None;

    public Pass Forward(double[] x, double[] gamma, double[] beta)
    {
        using var oracle = new Oracle();
        Tensor y = oracle.Zeros([Rows, Channels]), mean = oracle.Zeros([Channels]), inverse = oracle.Zeros([Channels]);
        Tensor runningMean = oracle.Zeros([Channels]), variance = oracle.Zeros([Channels]);
        oracle.Ops.BatchNormForward(
            oracle.Of(x, [Rows, Channels]), oracle.Of(gamma, [Channels]), oracle.Of(beta, [Channels]), runningMean, variance, y, mean,
            inverse, Options);
        return new Pass(y.ToDoubles(), mean.ToDoubles(), variance.ToDoubles(), inverse.ToDoubles());
    }

    /// <returns>dx, dγ, dβ.</returns>
    public double[][] Backward(Pass pass, double[] x, double[] gamma, double[] beta, double[] dy)
    {
        using var oracle = new Oracle();
        Tensor dx = oracle.Zeros([Rows, Channels]), dGamma = oracle.Zeros([Channels]), dBeta = oracle.Zeros([Channels]);
        oracle.Ops.BatchNormBackward(
            oracle.Of(dy, [Rows, Channels]), oracle.Of(x, [Rows, Channels]), oracle.Of(gamma, [Channels]), oracle.Of(beta, [Channels]),
            oracle.Of(pass.Mean, [Channels]), oracle.Of(pass.InverseDeviation, [Channels]), dx, dGamma, dBeta, Options);
        return [dx.ToDoubles(), dGamma.ToDoubles(), dBeta.ToDoubles()];
    }
}
