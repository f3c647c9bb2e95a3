using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <param name="Inputs">Features per frame.</param>
/// <param name="Dropout">Probability of every dropout.</param>
/// <param name="HalfReserve">Keeps saved activations in half precision (mixed precision on the CPU).</param>
public sealed record ClassifierOptions(int Inputs, float Dropout = 0.5f, bool HalfReserve = false);

/// <param name="Logits">[batch, 2]; class 0 = nonviolent, 1 = violent.</param>
/// <param name="Attention">[batch, time], or null for models without attention.</param>
public readonly record struct ClassifierOutput(Tensor Logits, Tensor? Attention);

/// <summary>A network from frame features [batch, time, inputs] to two classes. Layer names are the checkpoint keys.</summary>
public abstract class Classifier(ClassifierOptions options) : Module
{
    public const int Classes = 2;

    public ClassifierOptions Options { get; } = options;

    /// <summary>Whether <see cref="Forward"/> tells how much each frame counted.</summary>
    public abstract bool HasAttention { get; }

    /// <summary>The parameters that meet the features first.</summary>
    public abstract IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections { get; }

    /// <summary>Layer by layer, for clips of so many frames.</summary>
    public abstract IReadOnlyList<LayerOutput> Layers(int frames);

    public abstract ClassifierOutput Forward(Tape tape, Tensor features);

    /// <summary>
    /// Adds the classifier as it is at inference to an ONNX graph, with the outputs <c>probabilities</c> [batch, 2] and, from models with
    /// attention, <c>attention</c> [batch, frames].
    /// </summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="features">The name of the features, [batch, frames, inputs].</param>
    /// <param name="frames">Per clip.</param>
    /// <param name="batch">What the graph calls the number of clips.</param>
    public void Export(OnnxGraph graph, string features, int frames, string batch)
    {
        var (logits, attention) = ExportLayers(graph,
            graph.Add("Transpose", "features/by_time", [features], OnnxAttribute.Of("perm", [1, 0, 2])));
        graph.Output(graph.Add("Softmax", "probabilities", [logits], OnnxAttribute.Of("axis", 1)), ElementType.F32, batch, Classes);
        if (attention is not null)
        {
            graph.Output(attention, ElementType.F32, batch, frames);
        }
    }

    /// <param name="graph">Where the layers are added.</param>
    /// <param name="x">The name of the features, [time, batch, inputs].</param>
    /// <returns>The names of the logits [batch, 2] and of the attention [batch, time], null from models without.</returns>
    private protected abstract (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x);

    /// <summary>A layer by the name that its parameters bear.</summary>
    protected static LayerOutput Layer(Module layer, params IReadOnlyList<int> shape) =>
        new(layer.Parameters[0].Layer, layer.GetType().Name, shape);

    /// <summary>The dropout of one place in the model; places are numbered from 0.</summary>
    protected LayerDropout DropoutAt(Tape tape, int layer) => new(Options.Dropout, tape.DropoutSeed, layer, tape.State, tape.FirstSample);
}

/// <summary>
/// Three recurrent layers with batch normalisation and dropout behind each, attention over time, and a dense head of 256, 128 and 64 units:
/// with LSTM layers the network of the system that this engine replaces.
/// </summary>
public sealed class AttentionClassifier : Classifier
{
    private readonly SequenceLayer[] _recurrent = new SequenceLayer[3];
    private readonly BatchNorm[] _norms = new BatchNorm[3];
    private readonly AttentionPool _attention;
    private readonly Linear _dense1;
    private readonly BatchNorm _norm4;
    private readonly Linear _dense2;
    private readonly BatchNorm _norm5;
    private readonly Linear _dense3;
    private readonly Linear _output;
    private readonly int _width;

    /// <param name="options">Sizes and dropout.</param>
    /// <param name="width">Channels of each recurrent layer's output.</param>
    /// <param name="makeRecurrent">Makes recurrent layer 1, 2 or 3 with so many inputs.</param>
    public AttentionClassifier(ClassifierOptions options, int width, Func<int, int, SequenceLayer> makeRecurrent)
        : base(options)
    {
        _width = width;
        for (int i = 0; i < 3; i++)
        {
            _recurrent[i] = Add(makeRecurrent(i + 1, i == 0 ? options.Inputs : width));
            _norms[i] = Add(new BatchNorm($"bn_{i + 1}", width));
        }

        _attention = Add(new AttentionPool("attention", width));
        _dense1 = Add(new Linear("dense_1", width, 256));
        _norm4 = Add(new BatchNorm("bn_4", 256));
        _dense2 = Add(new Linear("dense_2", 256, 128));
        _norm5 = Add(new BatchNorm("bn_5", 128));
        _dense3 = Add(new Linear("dense_3", 128, 64));
        _output = Add(new Linear("output", 64, Classes));
    }

    public override bool HasAttention => true;

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => _recurrent[0].InputProjections;

    public override IReadOnlyList<LayerOutput> Layers(int frames) =>
    [
        .. _recurrent.Zip(_norms).SelectMany(pair => new[] { Layer(pair.First, frames, _width), Layer(pair.Second, frames, _width) }),
        Layer(_attention, _width),
        Layer(_dense1, 256),
        Layer(_norm4, 256),
        Layer(_dense2, 128),
        Layer(_norm5, 128),
        Layer(_dense3, 64),
        Layer(_output, Classes),
    ];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = features;
        for (int i = 0; i < 3; i++)
        {
            x = _norms[i].Forward(tape, _recurrent[i].Forward(tape, x), relu: false, DropoutAt(tape, i));
        }

        var (pooled, attention) = _attention.Forward(tape, x);
        x = _norm4.Forward(tape, _dense1.Forward(tape, pooled), relu: true, DropoutAt(tape, 3));
        x = _norm5.Forward(tape, _dense2.Forward(tape, x), relu: true, DropoutAt(tape, 4));
        x = ActivationDropoutFunction.Apply(tape, _dense3.Forward(tape, x), relu: true, DropoutAt(tape, 5));
        return new ClassifierOutput(_output.Forward(tape, x), attention);
    }

    private protected override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x)
    {
        foreach (var (recurrent, norm) in _recurrent.Zip(_norms))
        {
            x = norm.Export(graph, recurrent.Export(graph, x));
        }

        var (pooled, attention) = _attention.Export(graph, x);
        x = graph.Add("Relu", "dense_1/relu", [_norm4.Export(graph, _dense1.Export(graph, pooled))]);
        x = graph.Add("Relu", "dense_2/relu", [_norm5.Export(graph, _dense2.Export(graph, x))]);
        x = graph.Add("Relu", "dense_3/relu", [_dense3.Export(graph, x)]);
        return (_output.Export(graph, x), attention);
    }
}

/// <summary><c>simple-lstm</c>: two LSTM layers, the last state, one dense layer of 128.</summary>
public sealed class SimpleLstm : Classifier
{
    private readonly Lstm _lstm1;
    private readonly Lstm _lstm2;
    private readonly Linear _dense1;
    private readonly Linear _output;
    private readonly int _hidden;

    public SimpleLstm(ClassifierOptions options, int hidden, RecurrentOptions recurrent)
        : base(options)
    {
        _hidden = hidden;
        _lstm1 = Add(new Lstm("lstm_1", options.Inputs, hidden, recurrent));
        _lstm2 = Add(new Lstm("lstm_2", hidden, hidden, recurrent));
        _dense1 = Add(new Linear("dense_1", hidden, 128));
        _output = Add(new Linear("output", 128, Classes));
    }

    public override bool HasAttention => false;

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => _lstm1.InputProjections;

    public override IReadOnlyList<LayerOutput> Layers(int frames) =>
        [Layer(_lstm1, frames, _hidden), Layer(_lstm2, frames, _hidden), Layer(_dense1, 128), Layer(_output, Classes)];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = ActivationDropoutFunction.Apply(tape, _lstm1.Forward(tape, features), relu: false, DropoutAt(tape, 0));
        x = LastStepFunction.Apply(tape, _lstm2.Forward(tape, x));
        x = ActivationDropoutFunction.Apply(tape, x, relu: false, DropoutAt(tape, 1));
        x = ActivationDropoutFunction.Apply(tape, _dense1.Forward(tape, x), relu: true, DropoutAt(tape, 2));
        return new ClassifierOutput(_output.Forward(tape, x), null);
    }

    private protected override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x)
    {
        x = _lstm2.Export(graph, _lstm1.Export(graph, x));
        x = graph.Add("Gather", "last_step", [x, graph.Constant<long>("last_step/index", [-1])], OnnxAttribute.Of("axis", 0));
        x = graph.Add("Relu", "dense_1/relu", [_dense1.Export(graph, x)]);
        return (_output.Export(graph, x), null);
    }
}

/// <summary>
/// <c>attention-mil</c>: each frame by itself through one dense layer of 64, attention over the frames, and the output: a clip is a bag of
/// frames whose order does not matter (Ilse, Tomczak &amp; Welling 2018, "Attention-based deep multiple instance learning",
/// arXiv:1802.04712). The least that can learn from few clips. <c>frame-mlp</c> is the same with a plain mean: every frame counts alike.
/// </summary>
public sealed class AttentionMil : Classifier
{
    private const int Width = 64;

    private readonly Linear _dense1;
    private readonly AttentionPool _pool;
    private readonly Linear _output;

    /// <param name="options">Sizes and dropout.</param>
    /// <param name="attends">Whether frames count differently.</param>
    public AttentionMil(ClassifierOptions options, bool attends = true)
        : base(options)
    {
        HasAttention = attends;
        _dense1 = Add(new Linear("dense_1", options.Inputs, Width));
        _pool = Add(new AttentionPool(attends ? "attention" : "mean", Width, attends));
        _output = Add(new Linear("output", Width, Classes));
    }

    public override bool HasAttention { get; }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [(_dense1.Weight, _dense1.Bias)];

    public override IReadOnlyList<LayerOutput> Layers(int frames) => [Layer(_dense1, frames, Width),
        HasAttention ? Layer(_pool, Width) : new LayerOutput("mean", nameof(AttentionPool), [Width]), Layer(_output, Classes)];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = ActivationDropoutFunction.Apply(tape, _dense1.Forward(tape, Computable(tape, features)), relu: true, DropoutAt(tape, 0));
        var (pooled, attention) = _pool.Forward(tape, x);
        return new ClassifierOutput(_output.Forward(tape, pooled), HasAttention ? attention : null);
    }

    /// <summary>
    /// Features that were stored in half precision only, in the precision that the device computes in. They have no gradient.
    /// </summary>
    private static Tensor Computable(Tape tape, Tensor features)
    {
        if (features.DType != DType.Float16 || tape.Device.ComputesInHalf)
        {
            return features;
        }

        Tensor single = tape.Allocate(features.Shape, DType.Float32, "features in single precision");
        tape.Ops.Cast(features, single);
        return single;
    }

    private protected override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x)
    {
        x = graph.Add("Relu", "dense_1/relu", [_dense1.ExportEach(graph, x)]);
        var (pooled, attention) = _pool.Export(graph, x);
        return (_output.Export(graph, pooled), attention);
    }
}

/// <summary>The classifiers by their command-line names.</summary>
public static class Classifiers
{
    private const int Hidden = 128;

    private static readonly Dictionary<string, Func<ClassifierOptions, Classifier>> Builders = new()
    {
        ["lstm-attention"] = options =>
            new AttentionClassifier(options, Hidden, (i, inputs) => new Lstm($"lstm_{i}", inputs, Hidden, Recurrent(options))),
        ["bilstm-attention"] = options => new AttentionClassifier(options, 2 * Hidden,
            (i, inputs) => new BidirectionalLstm($"lstm_{i}", inputs, Hidden, Recurrent(options))),
        ["gru-attention"] = options =>
            new AttentionClassifier(options, Hidden, (i, inputs) => new Gru($"gru_{i}", inputs, Hidden, Recurrent(options))),
        ["simple-lstm"] = options => new SimpleLstm(options, Hidden, Recurrent(options)),
        ["attention-mil"] = options => new AttentionMil(options),
        ["frame-mlp"] = options => new AttentionMil(options, attends: false),
    };

    public static IReadOnlyCollection<string> Names => Builders.Keys;

    /// <exception cref="ArgumentException">There is no such model.</exception>
    public static Classifier Create(string name, ClassifierOptions options) => Builders.TryGetValue(name, out var build)
        ? build(options)
        : throw new ArgumentException($"There is no model '{name}'; the models are {string.Join(", ", Names)}.", nameof(name));

    private static RecurrentOptions Recurrent(ClassifierOptions options) => new(HalfReserve: options.HalfReserve);
}
