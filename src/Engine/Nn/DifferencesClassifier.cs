using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <summary>
/// Another classifier that sees of each frame its features and their differences to the frame before: what changes is there to be found by
/// a model that looks at every frame by itself.
/// </summary>
public sealed class DifferencesClassifier : Classifier
{
    private const string Name = "differences";

    private readonly Classifier _model;

    /// <param name="options">Sizes; <see cref="ClassifierOptions.Inputs"/> without differences.</param>
    /// <param name="model">Of twice as many inputs.</param>
    /// <exception cref="ArgumentException">The model looks at differences itself.</exception>
    internal DifferencesClassifier(ClassifierOptions options, Classifier model)
        : base(options)
    {
        _model = model.IsFitted
            ? throw new ArgumentException($"{model.GetType().Name} looks at differences itself.", nameof(model))
            : Add(model);
    }

    public override bool HasAttention => _model.HasAttention;

    /// <summary>Rows of 2·D weights: those of the features, then those of their differences.</summary>
    public override IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections => _model.InputProjections;

    public override IReadOnlyList<LayerOutput> Layers(int frames) =>
        [new LayerOutput(Name, "TimeDifferences", [frames, 2 * Options.Inputs]), .. _model.Layers(frames)];

    public override IReadOnlyList<KerasLayer> KerasLayers =>
        [_model.KerasLayers[0], KerasExport.Plain(Name), .. _model.KerasLayers.Skip(1)];

    public override ClassifierOutput Forward(Tape tape, Tensor features) =>
        _model.Forward(tape, TimeDifferencesFunction.Apply(tape, features));

    protected internal override (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames)
    {
        // Number 0 is the axis of time as well as the first frame.
        string zero = graph.Constant<long>(Name + "/zero", [0], 1), one = graph.Constant<long>(Name + "/one", [1], 1);
        string first = graph.Add("Slice", Name + "/first", [x, zero, one, zero]);
        string difference = graph.Add("Sub", Name + "/of_the_first", [first, first]);
        if (frames > 1)
        {
            string last = graph.Constant<long>(Name + "/last", [frames - 1], 1), end = graph.Constant<long>(Name + "/end", [frames], 1);
            string later = graph.Add("Slice", Name + "/later", [x, one, end, zero]);
            string earlier = graph.Add("Slice", Name + "/earlier", [x, zero, last, zero]);
            string changes = graph.Add("Sub", Name + "/changes", [later, earlier]);
            difference = graph.Add("Concat", Name + "/all_changes", [difference, changes], OnnxAttribute.Of("axis", 0));
        }

        return _model.ExportLayers(graph, graph.Add("Concat", Name, [x, difference], OnnxAttribute.Of("axis", 2)), frames);
    }
}
