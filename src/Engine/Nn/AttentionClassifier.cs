using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

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
        _output = Add(new Linear("output", 64, options.Classes));
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
        Layer(_output, Options.Classes),
    ];

    public override IReadOnlyList<KerasLayer> KerasLayers =>
    [
        KerasExport.Plain("video_input"),
        .. _recurrent.Zip(_norms).SelectMany((pair, i) => (KerasLayer[])
            [.. pair.First.KerasLayers, .. pair.Second.KerasLayers, KerasExport.Plain($"dropout_{i + 1}")]),
        .. _attention.KerasLayers,
        .. _dense1.KerasLayers, .. _norm4.KerasLayers, KerasExport.Plain("relu_1"), KerasExport.Plain("dropout_4"),
        .. _dense2.KerasLayers, .. _norm5.KerasLayers, KerasExport.Plain("relu_2"), KerasExport.Plain("dropout_5"),
        .. _dense3.KerasLayers, KerasExport.Plain("relu_3"), KerasExport.Plain("dropout_6"),
        .. _output.KerasLayers,
    ];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = features;
        for (int i = 0; i < 3; i++)
        {
            x = _norms[i].Forward(tape, _recurrent[i].Forward(tape, x), relu: false, DropoutAt(tape, i));
        }

        (Tensor pooled, Tensor attention) = _attention.Forward(tape, x);
        x = _norm4.Forward(tape, _dense1.Forward(tape, pooled), relu: true, DropoutAt(tape, 3));
        x = _norm5.Forward(tape, _dense2.Forward(tape, x), relu: true, DropoutAt(tape, 4));
        x = ActivationDropoutFunction.Apply(tape, _dense3.Forward(tape, x), relu: true, DropoutAt(tape, 5));
        return new ClassifierOutput(_output.Forward(tape, x), attention);
    }

    protected internal override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames)
    {
        foreach ((SequenceLayer recurrent, BatchNorm norm) in _recurrent.Zip(_norms))
        {
            x = norm.Export(graph, recurrent.Export(graph, x));
        }

        (string? pooled, string? attention) = _attention.Export(graph, x);
        x = graph.Add("Relu", "dense_1/relu", [_norm4.Export(graph, _dense1.Export(graph, pooled))]);
        x = graph.Add("Relu", "dense_2/relu", [_norm5.Export(graph, _dense2.Export(graph, x))]);
        x = graph.Add("Relu", "dense_3/relu", [_dense3.Export(graph, x)]);
        return (_output.Export(graph, x), attention);
    }
}
