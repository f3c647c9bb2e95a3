using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

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
        _output = Add(new Linear("output", 128, options.Classes));
    }

    public override bool HasAttention => false;

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => _lstm1.InputProjections;

    public override IReadOnlyList<LayerOutput> Layers(int frames) =>
        [Layer(_lstm1, frames, _hidden), Layer(_lstm2, frames, _hidden), Layer(_dense1, 128), Layer(_output, Options.Classes)];

    public override IReadOnlyList<KerasLayer> KerasLayers =>
    [
        KerasExport.Plain("video_input"),
        .. _lstm1.KerasLayers, KerasExport.Plain("dropout_1"),
        .. _lstm2.KerasLayers, KerasExport.Plain("dropout_2"),
        .. _dense1.KerasLayers, KerasExport.Plain("relu_1"), KerasExport.Plain("dropout_3"),
        .. _output.KerasLayers,
    ];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = ActivationDropoutFunction.Apply(tape, _lstm1.Forward(tape, features), relu: false, DropoutAt(tape, 0));
        x = LastStepFunction.Apply(tape, _lstm2.Forward(tape, x));
        x = ActivationDropoutFunction.Apply(tape, x, relu: false, DropoutAt(tape, 1));
        x = ActivationDropoutFunction.Apply(tape, _dense1.Forward(tape, x), relu: true, DropoutAt(tape, 2));
        return new ClassifierOutput(_output.Forward(tape, x), null);
    }

    protected internal override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames)
    {
        x = _lstm2.Export(graph, _lstm1.Export(graph, x));
        x = graph.Add("Gather", "last_step", [x, graph.Constant<long>("last_step/index", [-1])], OnnxAttribute.Of("axis", 0));
        x = graph.Add("Relu", "dense_1/relu", [_dense1.Export(graph, x)]);
        return (_output.Export(graph, x), null);
    }
}
