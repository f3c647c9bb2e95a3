using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

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

    /// <summary>W [outputs, inputs].</summary>
    public Parameter Weight => _weight;

    /// <summary>b [outputs].</summary>
    public Parameter Bias => _bias;

    public override IReadOnlyList<KerasLayer> KerasLayers => [new(_weight.Layer,
        [_weight.KerasMatrix($"{_weight.Layer}/kernel"), _bias.KerasVector($"{_weight.Layer}/bias")])];

    public Tensor Forward(Tape tape, Tensor x) => LinearFunction.Apply(tape, x, _weight.Value, _bias.Value);

    /// <summary>The same in an ONNX graph, for an input of any rank.</summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="x">The input's name, […, inputs].</param>
    /// <returns>The output's name, […, outputs].</returns>
    internal string ExportEach(OnnxGraph graph, string x)
    {
        string weight = graph.Add("Transpose", _weight.Layer + "/transposed", [graph.Weight(_weight)], OnnxAttribute.Of("perm", [1, 0]));
        return graph.Add("Add", _weight.Layer, [graph.Add("MatMul", _weight.Layer + "/product", [x, weight]), graph.Weight(_bias)]);
    }

    /// <summary>The same in an ONNX graph, for a matrix.</summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="x">The input's name.</param>
    /// <returns>The output's name.</returns>
    internal string Export(OnnxGraph graph, string x) =>
        graph.Add("Gemm", _weight.Layer, [x, graph.Weight(_weight), graph.Weight(_bias)], OnnxAttribute.Of("transB", 1));
}

/// <summary>A layer from sequence to sequence.</summary>
public abstract class SequenceLayer : Module
{
    /// <param name="tape">The recording.</param>
    /// <param name="x">[batch, time, inputs].</param>
    /// <returns>[batch, time, channels].</returns>
    public abstract Tensor Forward(Tape tape, Tensor x);

    /// <summary>
    /// The weights [rows, inputs] that are multiplied with the input, each with the bias [rows] that is added to the product.
    /// </summary>
    public abstract IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections { get; }

    /// <summary>The same in an ONNX graph, where sequences are time-major, as ONNX's recurrent operations take them.</summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="x">The input's name, [time, batch, inputs].</param>
    /// <returns>The output's name, [time, batch, channels].</returns>
    /// <exception cref="NotSupportedException">The layer does not say.</exception>
    protected internal virtual string Export(OnnxGraph graph, string x) =>
        throw new NotSupportedException($"{GetType().Name} has no form in ONNX: override {nameof(Export)}.");
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

    public override IReadOnlyList<KerasLayer> KerasLayers => [new(_bias.Layer, KerasWeights($"{_bias.Layer}/lstm_cell"))];

    public override Tensor Forward(Tape tape, Tensor x) =>
        LstmFunction.Apply(tape, x, _weightInput.Value, _weightHidden.Value, _bias.Value, _options);

    protected internal override string Export(OnnxGraph graph, string x) => Export(graph, x, "forward", this);

    internal KerasWeight[] KerasWeights(string cell) =>
    [
        _weightInput.KerasMatrix(cell + "/kernel"),
        _weightHidden.KerasMatrix(cell + "/recurrent_kernel"),
        _bias.KerasVector(cell + "/bias"),
    ];

    /// <summary>
    /// One or two LSTM layers as one operation, their channels joined. ONNX's gate order is i, o, f, c, ours is i, f, c, o; it adds two
    /// biases, we have one.
    /// </summary>
    internal static string Export(OnnxGraph graph, string x, string direction, params Lstm[] layers)
    {
        int[] gates = [0, 3, 1, 2];
        string name = layers[0]._bias.Layer;
        int hidden = layers[0]._weightHidden.Shape[1], inputs = layers[0]._weightInput.Shape[1];
        return graph.Recurrent("LSTM", name, x, direction, new RecurrentWeights(
            layers.Length, gates.Length, inputs, hidden,
            [.. layers.SelectMany(layer => OnnxExport.Gates(layer._weightInput, gates))],
            [.. layers.SelectMany(layer => OnnxExport.Gates(layer._weightHidden, gates))],
            [.. layers.SelectMany(layer => (float[])[.. OnnxExport.Gates(layer._bias, gates), .. new float[gates.Length * hidden]])]));
    }
}

/// <summary>Two LSTM layers side by side, one running backwards; their outputs joined.</summary>
public sealed class BidirectionalLstm : SequenceLayer
{
    private readonly string _name;
    private readonly Lstm _forward;
    private readonly Lstm _reverse;

    public BidirectionalLstm(string name, int inputs, int hidden, RecurrentOptions options = default)
    {
        _name = name;
        _forward = Add(new Lstm(name, inputs, hidden, options));
        _reverse = Add(new Lstm(name + "_reverse", inputs, hidden, options with { Reverse = true }));
    }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections =>
        [.. _forward.InputProjections, .. _reverse.InputProjections];

    /// <summary>Keras's Bidirectional prefixes the names of the two copies that it makes of the layer that it wraps.</summary>
    public override IReadOnlyList<KerasLayer> KerasLayers
    {
        get
        {
            string wrapper = _name.Replace("lstm_", "bidirectional_", StringComparison.Ordinal);
            return [new(wrapper, [.. _forward.KerasWeights($"{wrapper}/forward_{_name}/lstm_cell"),
                .. _reverse.KerasWeights($"{wrapper}/backward_{_name}/lstm_cell")])];
        }
    }

    public override Tensor Forward(Tape tape, Tensor x) => ConcatFunction.Apply(tape, _forward.Forward(tape, x), _reverse.Forward(tape, x));

    protected internal override string Export(OnnxGraph graph, string x) => Lstm.Export(graph, x, "bidirectional", _forward, _reverse);
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

    /// <summary>GRU(reset_after=True): gates z, r, h instead of r, z, n; the two biases are the rows of one array.</summary>
    public override IReadOnlyList<KerasLayer> KerasLayers
    {
        get
        {
            string layer = _biasInput.Layer;
            int units = _weightHidden.Shape[1];
            return [new(layer, [
                _weightInput.KerasMatrix($"{layer}/gru_cell/kernel", units),
                _weightHidden.KerasMatrix($"{layer}/gru_cell/recurrent_kernel", units),
                new KerasWeight($"{layer}/gru_cell/bias:0", [2, 3 * units], [Bias(_biasInput, 0), Bias(_biasHidden, 1)])])];

            KerasTensor Bias(Parameter bias, int row) =>
                new(bias.Name, [3 * units], new KerasConversion(1, 3 * units, SwappedGate: units, FirstRow: row));
        }
    }

    public override Tensor Forward(Tape tape, Tensor x) =>
        GruFunction.Apply(tape, x, _weightInput.Value, _weightHidden.Value, _biasInput.Value, _biasHidden.Value, _options);

    /// <summary>
    /// ONNX's gate order is z, r, h, ours is r, z, n; our reset gate meets the hidden product with its bias, not h itself.
    /// </summary>
    protected internal override string Export(OnnxGraph graph, string x)
    {
        int[] gates = [1, 0, 2];
        var weights = new RecurrentWeights(
            1, gates.Length, _weightInput.Shape[1], _weightHidden.Shape[1],
            OnnxExport.Gates(_weightInput, gates), OnnxExport.Gates(_weightHidden, gates),
                [.. OnnxExport.Gates(_biasInput, gates), .. OnnxExport.Gates(_biasHidden, gates)]);
        return graph.Recurrent("GRU", _biasInput.Layer, x, "forward", weights, OnnxAttribute.Of("linear_before_reset", 1));
    }
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

    public override IReadOnlyList<KerasLayer> KerasLayers
    {
        get
        {
            string layer = _scale.Layer;
            return [new(layer, [_scale.KerasVector($"{layer}/gamma"), _shift.KerasVector($"{layer}/beta"),
                _runningMean.KerasVector($"{layer}/moving_mean"), _runningVariance.KerasVector($"{layer}/moving_variance")])];
        }
    }

    public Tensor Forward(Tape tape, Tensor x, bool relu, LayerDropout dropout) =>
        BatchNormFunction.Apply(tape, x, _scale.Value, _shift.Value, _runningMean.Value, _runningVariance.Value, relu, dropout);

    /// <summary>
    /// As it is at inference, a product and a sum for each channel: ONNX's own operation wants the channels in the second dimension.
    /// </summary>
    /// <inheritdoc cref="Linear.Export"/>
    internal string Export(OnnxGraph graph, string x)
    {
        float[] scale = _scale.Value.Read<float>(), shift = _shift.Value.Read<float>(), mean = _runningMean.Value.Read<float>(),
            variance = _runningVariance.Value.Read<float>();
        for (int i = 0; i < scale.Length; i++)
        {
            double factor = scale[i] / Math.Sqrt(variance[i] + (double)Kernels.Cpu.BatchNorm.DefaultEpsilon);
            scale[i] = (float)factor;
            shift[i] = (float)(shift[i] - (mean[i] * factor));
        }

        string scaled = graph.Add("Mul", _scale.Layer + "/scaled", [x, graph.Constant(_scale.Layer + ".scale", scale, scale.Length)]);
        return graph.Add("Add", _scale.Layer, [scaled, graph.Constant(_scale.Layer + ".shift", shift, shift.Length)]);
    }
}

/// <summary>Attention pooling over time.</summary>
public sealed class AttentionPool : Module
{
    private readonly string _name;
    private readonly int _channels;
    private readonly Parameter? _weight;

    /// <param name="name">Of its parameters.</param>
    /// <param name="channels">Of the input.</param>
    /// <param name="learns">Whether frames come to count differently; without, it is the plain mean and has no parameters.</param>
    public AttentionPool(string name, int channels, bool learns = true)
    {
        (_name, _channels) = (name, channels);
        _weight = learns ? AddParameter(name + ".weight", [1, channels], Initializers.GlorotUniform) : null;
    }

    /// <summary>The scores come from a dense layer of its own without bias.</summary>
    public override IReadOnlyList<KerasLayer> KerasLayers =>
        [new(_name, _weight is null ? [] : [_weight.KerasMatrix(_name + "/dense/kernel")])];

    /// <param name="tape">The recording.</param>
    /// <param name="x">[batch, time, channels].</param>
    /// <returns>[batch, channels] and the weights [batch, time].</returns>
    public (Tensor Pooled, Tensor Attention) Forward(Tape tape, Tensor x) =>
        AttentionPoolFunction.Apply(tape, x, _weight?.Value ?? NoPreference(tape));

    /// <param name="graph">Where it is added.</param>
    /// <param name="x">The input's name, [time, batch, channels].</param>
    /// <returns>The names of the outputs, [batch, channels] and [batch, time]; null for the latter from a plain mean.</returns>
    internal (string Pooled, string? Attention) Export(OnnxGraph graph, string x)
    {
        string name = _name;
        string scores = graph.Add("MatMul", name + "/scores",
            [x, graph.Constant(name + ".weight", _weight?.Value.Read<float>() ?? new float[_channels], _channels, 1)]);
        string weights = graph.Add("Softmax", name + "/weights", [scores], OnnxAttribute.Of("axis", 0));
        string weighted = graph.Add("Mul", name + "/weighted", [x, weights]);
        string pooled = graph.Add("ReduceSum", name + "/pooled", [weighted, graph.Constant<long>(name + "/time", [0], 1)],
            OnnxAttribute.Of("keepdims", 0));
        if (_weight is null)
        {
            return (pooled, null);
        }

        string byTime = graph.Add("Squeeze", name + "/by_time", [weights, graph.Constant<long>(name + "/channel", [2], 1)]);
        return (pooled, graph.Add("Transpose", name, [byTime], OnnxAttribute.Of("perm", [1, 0])));
    }

    private Tensor NoPreference(Tape tape)
    {
        Tensor weight = tape.Allocate([1, _channels], DType.Float32, _name);
        tape.Device.Fill(weight.Data, 0, weight.Bytes);
        return weight;
    }
}

/// <summary>Mean, deviation and mean absolute difference of each channel over time; no parameters.</summary>
public sealed class TimeStatistics(string name, int channels) : Module
{
    public override IReadOnlyList<KerasLayer> KerasLayers => [KerasExport.Plain(name)];

    internal LayerOutput Summary => new(name, nameof(TimeStatistics), [TimeStatisticsFunction.Statistics * channels]);

    /// <inheritdoc cref="TimeStatisticsFunction.Apply"/>
    public Tensor Forward(Tape tape, Tensor x) => TimeStatisticsFunction.Apply(tape, x);

    /// <summary>The same in an ONNX graph. As in the kernels, means are counted from the first frame.</summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="x">The input's name, [time, batch, channels].</param>
    /// <param name="frames">Steps of time, ≥ 1.</param>
    /// <returns>The output's name, [batch, 3·channels].</returns>
    internal string Export(OnnxGraph graph, string x, int frames)
    {
        // Number 0 is the axis of time as well as the first frame.
        string zero = graph.Constant<long>(name + "/zero", [0], 1), one = graph.Constant<long>(name + "/one", [1], 1);
        string first = graph.Add("Slice", name + "/first", [x, zero, one, zero]);
        string rise = graph.Add("Sub", name + "/rise", [x, first]);
        string meanRise = graph.Add("ReduceMean", name + "/mean_rise", [rise], OverTime(keeps: 1));
        string mean = graph.Add("Squeeze", name + "/mean", [graph.Add("Add", name + "/first_and_rise", [first, meanRise]), zero]);

        string off = graph.Add("Sub", name + "/off", [rise, meanRise]);
        string variance = graph.Add("ReduceMean", name + "/variance", [graph.Add("Mul", name + "/squares", [off, off])],
            OverTime(keeps: 0));
        string deviation = graph.Add("Sqrt", name + "/deviation", [variance]);

        // A single frame is compared with itself: of no difference at all there is no mean.
        string later = x, earlier = x;
        if (frames > 1)
        {
            string last = graph.Constant<long>(name + "/last", [frames - 1], 1), end = graph.Constant<long>(name + "/end", [frames], 1);
            later = graph.Add("Slice", name + "/later", [x, one, end, zero]);
            earlier = graph.Add("Slice", name + "/earlier", [x, zero, last, zero]);
        }

        string sizes = graph.Add("Abs", name + "/sizes", [graph.Add("Sub", name + "/changes", [later, earlier])]);
        string difference = graph.Add("ReduceMean", name + "/difference", [sizes], OverTime(keeps: 0));
        return graph.Add("Concat", name, [mean, deviation, difference], OnnxAttribute.Of("axis", 1));

        static OnnxAttribute[] OverTime(long keeps) => [OnnxAttribute.Of("axes", [0]), OnnxAttribute.Of("keepdims", keeps)];
    }
}
