using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// <c>linear</c>: how each feature is distributed over a clip (mean, deviation, mean absolute difference of successive frames) and one
/// dense layer. Its loss is convex in the weights, so that a solver finds the best ones.
/// </summary>
/// <remarks>
/// The weights [classes, 3·D] are rows of D features each, [classes·3, D]: a classifier of more features has the same rows with
/// zeros in between, as
/// late fusion wants it.
/// </remarks>
public sealed class LinearClassifier : Classifier
{
    private readonly TimeStatistics _statistics;
    private readonly Linear _output;

    /// <param name="options">Sizes; there is no dropout.</param>
    public LinearClassifier(ClassifierOptions options)
        : base(options)
    {
        _statistics = Add(new TimeStatistics("statistics", options.Inputs));
        _output = Add(new Linear("output", TimeStatisticsFunction.Statistics * options.Inputs, options.Classes));
    }

    public override bool HasAttention => false;

    public override bool IsFitted => true;

    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => [];

    public override IReadOnlyList<LayerOutput> Layers(int frames) => [_statistics.Summary, Layer(_output, Options.Classes)];

    public override IReadOnlyList<KerasLayer> KerasLayers =>
        [KerasExport.Plain("video_input"), .. _statistics.KerasLayers, .. _output.KerasLayers];

    public override ClassifierOutput Forward(Tape tape, Tensor features) =>
        new(_output.Forward(tape, _statistics.Forward(tape, features)), null);

    protected internal override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames) =>
        (_output.Export(graph, _statistics.Export(graph, x, frames)), null);
}
