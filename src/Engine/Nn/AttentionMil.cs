using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

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
        _output = Add(new Linear("output", Width, options.Classes));
    }

    public override bool HasAttention { get; }

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [(_dense1.Weight, _dense1.Bias)];

    public override IReadOnlyList<LayerOutput> Layers(int frames) => [Layer(_dense1, frames, Width),
        HasAttention ? Layer(_pool, Width) : new LayerOutput("mean", nameof(AttentionPool), [Width]), Layer(_output, Options.Classes)];

    public override IReadOnlyList<KerasLayer> KerasLayers =>
    [
        KerasExport.Plain("video_input"),
        .. _dense1.KerasLayers, KerasExport.Plain("relu_1"), KerasExport.Plain("dropout_1"),
        .. _pool.KerasLayers,
        .. _output.KerasLayers,
    ];

    public override ClassifierOutput Forward(Tape tape, Tensor features)
    {
        Tensor x = ActivationDropoutFunction.Apply(tape, _dense1.Forward(tape, Computable(tape, features)), relu: true, DropoutAt(tape, 0));
        (Tensor pooled, Tensor attention) = _pool.Forward(tape, x);
        return new ClassifierOutput(_output.Forward(tape, pooled), HasAttention ? attention : null);
    }

    protected internal override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames)
    {
        x = graph.Add("Relu", "dense_1/relu", [_dense1.ExportEach(graph, x)]);
        (string? pooled, string? attention) = _pool.Export(graph, x);
        return (_output.Export(graph, pooled), attention);
    }
}
