using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Autograd.Functions;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Nn;

/// <summary>A dense layer, y = x·Wᵀ + b; glorot-uniform weights, zero bias.</summary>
public sealed class Linear : Module
{
    private readonly Parameter _weight;
    private readonly Parameter _bias;

    public Linear(string name, int inputs, int outputs)
    {
        _weight = AddParameter(name + ".weight", [outputs, inputs], Initializers.GlorotUniform);
        _bias = AddParameter(name + ".bias", [outputs], Initializers.Zeros);
    }

    public Tensor Forward(Tape tape, Tensor x) => LinearFunction.Apply(tape, x, _weight.Value, _bias.Value);
}

/// <summary>A layer from sequence to sequence.</summary>
public abstract class SequenceLayer : Module
{
    /// <param name="tape">The recording.</param>
    /// <param name="x">[batch, time, inputs].</param>
    /// <returns>[batch, time, channels].</returns>
    public abstract Tensor Forward(Tape tape, Tensor x);

    /// <summary>The weights [rows, inputs] that are multiplied with the input, each with the bias [rows] that is added to the product.</summary>
    public abstract IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections { get; }
}

/// <summary>A whole-sequence LSTM layer with Keras's initial values.</summary>
public sealed class Lstm : SequenceLayer
{
    private readonly Parameter _weightInput;
    private readonly Parameter _weightHidden;
    private readonly Parameter _bias;
    private readonly RecurrentOptions _options;

    public Lstm(string name, int inputs, int hidden, RecurrentOptions options = default)
    {
        _weightInput = AddParameter(name + ".weight_ih", [4 * hidden, inputs], Initializers.GlorotUniform);
        _weightHidden = AddParameter(name + ".weight_hh", [4 * hidden, hidden], Initializers.Orthogonal);
        _bias = AddParameter(name + ".bias", [4 * hidden], Initializers.ForgetGateOne);
        _options = options;
    }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [(_weightInput, _bias)];

    public override Tensor Forward(Tape tape, Tensor x) => LstmFunction.Apply(tape, x, _weightInput.Value, _weightHidden.Value, _bias.Value, _options);
}

/// <summary>Two LSTM layers side by side, one running backwards; their outputs joined.</summary>
public sealed class BidirectionalLstm : SequenceLayer
{
    private readonly Lstm _forward;
    private readonly Lstm _reverse;

    public BidirectionalLstm(string name, int inputs, int hidden, RecurrentOptions options = default)
    {
        _forward = Add(new Lstm(name, inputs, hidden, options));
        _reverse = Add(new Lstm(name + "_reverse", inputs, hidden, options with { Reverse = true }));
    }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [.. _forward.InputProjections, .. _reverse.InputProjections];

    public override Tensor Forward(Tape tape, Tensor x) => ConcatFunction.Apply(tape, _forward.Forward(tape, x), _reverse.Forward(tape, x));
}

/// <summary>A whole-sequence GRU layer.</summary>
public sealed class Gru : SequenceLayer
{
    private readonly Parameter _weightInput;
    private readonly Parameter _weightHidden;
    private readonly Parameter _biasInput;
    private readonly Parameter _biasHidden;
    private readonly RecurrentOptions _options;

    public Gru(string name, int inputs, int hidden, RecurrentOptions options = default)
    {
        _options = options;
        _weightInput = AddParameter(name + ".weight_ih", [3 * hidden, inputs], Initializers.GlorotUniform);
        _weightHidden = AddParameter(name + ".weight_hh", [3 * hidden, hidden], Initializers.Orthogonal);
        _biasInput = AddParameter(name + ".bias_ih", [3 * hidden], Initializers.Zeros);
        _biasHidden = AddParameter(name + ".bias_hh", [3 * hidden], Initializers.Zeros);
    }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [(_weightInput, _biasInput)];

    public override Tensor Forward(Tape tape, Tensor x) =>
        GruFunction.Apply(tape, x, _weightInput.Value, _weightHidden.Value, _biasInput.Value, _biasHidden.Value, _options);
}

/// <summary>Batch normalisation over all but the last dimension, with ReLU and dropout fused behind it.</summary>
public sealed class BatchNorm : Module
{
    private readonly Parameter _scale;
    private readonly Parameter _shift;
    private readonly Parameter _runningMean;
    private readonly Parameter _runningVariance;

    public BatchNorm(string name, int channels)
    {
        _scale = AddParameter(name + ".weight", [channels], Initializers.Ones);
        _shift = AddParameter(name + ".bias", [channels], Initializers.Zeros);
        _runningMean = AddBuffer(name + ".running_mean", [channels], Initializers.Zeros);
        _runningVariance = AddBuffer(name + ".running_var", [channels], Initializers.Ones);
    }

    public Tensor Forward(Tape tape, Tensor x, bool relu, LayerDropout dropout) =>
        BatchNormFunction.Apply(tape, x, _scale.Value, _shift.Value, _runningMean.Value, _runningVariance.Value, relu, dropout);
}

/// <summary>Attention pooling over time.</summary>
public sealed class AttentionPool : Module
{
    private readonly Parameter _weight;

    public AttentionPool(string name, int channels) => _weight = AddParameter(name + ".weight", [1, channels], Initializers.GlorotUniform);

    /// <param name="tape">The recording.</param>
    /// <param name="x">[batch, time, channels].</param>
    /// <returns>[batch, channels] and the weights [batch, time].</returns>
    public (Tensor Pooled, Tensor Attention) Forward(Tape tape, Tensor x) => AttentionPoolFunction.Apply(tape, x, _weight.Value);
}
