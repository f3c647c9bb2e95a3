using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Kernels.Tests;

/// <summary>Gradients of a recurrent layer; the LSTM has no second bias.</summary>
internal sealed record RecurrentGradients(double[] X, double[] InputWeights, double[] HiddenWeights, double[] Bias, double[] HiddenBias);

/// <summary>The LSTM and GRU of the <see cref="Oracle"/>.</summary>
internal sealed record RecurrentReference(int Batch, int Time, int Inputs, int Hidden, bool Reverse)
{
    private RecurrentOptions Options => new(Reverse);

    /// <returns>y [B, T, H].</returns>
    public double[] Lstm(double[] x, double[] wi, double[] wh, double[] bias) => Lstm(x, wi, wh, bias, null).Y;

    public RecurrentGradients LstmGradients(double[] x, double[] wi, double[] wh, double[] bias, double[] dy) =>
        Lstm(x, wi, wh, bias, dy).Gradients!;

    /// <returns>y [B, T, H].</returns>
    public double[] Gru(double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias) =>
        Gru(x, wi, wh, bias, hiddenBias, null).Y;

    public RecurrentGradients GruGradients(double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias, double[] dy) =>
        Gru(x, wi, wh, bias, hiddenBias, dy).Gradients!;

    private (double[] Y, RecurrentGradients? Gradients) Lstm(double[] x, double[] wi, double[] wh, double[] bias, double[]? dy)
    {
        using var oracle = new Oracle();
        var layer = new Layer(oracle, this, gates: 4, x, wi, wh);
        Tensor reserve = oracle.Bytes(oracle.Ops.LstmReserveBytes(layer.X, layer.Y, Options));
        oracle.Ops.LstmForward(
            layer.X, layer.InputWeights, layer.HiddenWeights, oracle.Of(bias, [4 * Hidden]), layer.Y, reserve, Options);
        if (dy is null)
        {
            return (layer.Y.ToDoubles(), null);
        }

        oracle.Ops.LstmBackward(
            oracle.Of(dy, layer.Y.Shape), layer.X, layer.InputWeights, layer.HiddenWeights, layer.Y, reserve, layer.Dx,
            layer.DInputWeights, layer.DHiddenWeights, layer.DBias, Options);
        return (layer.Y.ToDoubles(), layer.Gradients([]));
    }

    private (double[] Y, RecurrentGradients? Gradients) Gru(
        double[] x, double[] wi, double[] wh, double[] bias, double[] hiddenBias, double[]? dy)
    {
        using var oracle = new Oracle();
        var layer = new Layer(oracle, this, gates: 3, x, wi, wh);
        Tensor reserve = oracle.Bytes(oracle.Ops.GruReserveBytes(layer.X, layer.Y, Options));
        oracle.Ops.GruForward(
            layer.X, layer.InputWeights, layer.HiddenWeights, oracle.Of(bias, [3 * Hidden]), oracle.Of(hiddenBias, [3 * Hidden]), layer.Y,
            reserve, Options);
        if (dy is null)
        {
            return (layer.Y.ToDoubles(), null);
        }

        Tensor dHiddenBias = oracle.Zeros([3 * Hidden]);
        oracle.Ops.GruBackward(
            oracle.Of(dy, layer.Y.Shape), layer.X, layer.InputWeights, layer.HiddenWeights, layer.Y, reserve, layer.Dx,
            layer.DInputWeights, layer.DHiddenWeights, layer.DBias, dHiddenBias, Options);
        return (layer.Y.ToDoubles(), layer.Gradients(dHiddenBias.ToDoubles()));
    }

    /// <summary>What both have.</summary>
    private sealed class Layer(Oracle oracle, RecurrentReference of, int gates, double[] x, double[] wi, double[] wh)
    {
        public Tensor X { get; } = oracle.Of(x, [of.Batch, of.Time, of.Inputs]);

        public Tensor InputWeights { get; } = oracle.Of(wi, [gates * of.Hidden, of.Inputs]);

        public Tensor HiddenWeights { get; } = oracle.Of(wh, [gates * of.Hidden, of.Hidden]);

        public Tensor Y { get; } = oracle.Zeros([of.Batch, of.Time, of.Hidden]);

        public Tensor Dx { get; } = oracle.Zeros([of.Batch, of.Time, of.Inputs]);

        public Tensor DInputWeights { get; } = oracle.Zeros([gates * of.Hidden, of.Inputs]);

        public Tensor DHiddenWeights { get; } = oracle.Zeros([gates * of.Hidden, of.Hidden]);

        public Tensor DBias { get; } = oracle.Zeros([gates * of.Hidden]);

        public RecurrentGradients Gradients(double[] hiddenBias) =>
            new(Dx.ToDoubles(), DInputWeights.ToDoubles(), DHiddenWeights.ToDoubles(), DBias.ToDoubles(), hiddenBias);
    }
}
