using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <param name="Inputs">Features per frame.</param>
/// <param name="Dropout">Probability of every dropout.</param>
/// <param name="HalfReserve">Keeps saved activations in half precision (mixed precision on the CPU).</param>
/// <param name="Differences">Whether the model sees beside each frame's features their differences to the frame before.</param>
/// <param name="Classes">How many classes it tells apart, two or more.</param>
public sealed record ClassifierOptions(int Inputs, float Dropout = 0.5f, bool HalfReserve = false, bool Differences = false,
    int Classes = Classifier.Classes);

/// <param name="Logits">[batch, classes]; of the known pair class 0 = nonviolent, 1 = violent.</param>
/// <param name="Attention">[batch, time], or null for models without attention.</param>
public readonly record struct ClassifierOutput(Tensor Logits, Tensor? Attention);

/// <summary>A network from frame features [batch, time, inputs] to classes. Layer names are the checkpoint keys.</summary>
public abstract class Classifier(ClassifierOptions options) : Module
{
    /// <summary>Classes of a model that is not asked for others: nonviolent and violent.</summary>
    public const int Classes = 2;

    public ClassifierOptions Options { get; } = options;

    /// <summary>Whether <see cref="Forward"/> tells how much each frame counted.</summary>
    public abstract bool HasAttention { get; }

    /// <summary>
    /// Whether a solver finds the weights at once and steps do not; it standardises by itself, so features are not standardised for it.
    /// </summary>
    public virtual bool IsFitted => false;

    /// <summary>
    /// The parameters that meet the features first; none where <see cref="IsFitted"/>. Weights are [units, inputs], or [units, 2·inputs]
    /// with <see cref="ClassifierOptions.Differences"/>: those of the differences come last.
    /// </summary>
    public abstract IReadOnlyList<(Parameter Weight, Parameter Bias)> InputProjections { get; }

    /// <summary>Layer by layer, for clips of so many frames.</summary>
    public abstract IReadOnlyList<LayerOutput> Layers(int frames);

    public abstract ClassifierOutput Forward(Tape tape, Tensor features);

    /// <summary>
    /// Adds the classifier as it is at inference to an ONNX graph, with the outputs <c>probabilities</c> [batch, classes] and, from models
    /// with attention, <c>attention</c> [batch, frames].
    /// </summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="features">The name of the features, [batch, frames, inputs].</param>
    /// <param name="frames">Per clip.</param>
    /// <param name="batch">What the graph calls the number of clips.</param>
    public void Export(OnnxGraph graph, string features, int frames, string batch)
    {
        (string? logits, string? attention) = ExportLayers(graph,
            graph.Add("Transpose", "features/by_time", [features], OnnxAttribute.Of("perm", [1, 0, 2])), frames);
        graph.Output(graph.Add("Softmax", "probabilities", [logits], OnnxAttribute.Of("axis", 1)), ElementType.F32, batch, Options.Classes);
        if (attention is not null)
        {
            graph.Output(attention, ElementType.F32, batch, frames);
        }
    }

    /// <param name="graph">Where the layers are added.</param>
    /// <param name="x">The name of the features, [time, batch, inputs].</param>
    /// <param name="frames">Per clip.</param>
    /// <returns>The names of the logits [batch, classes] and of the attention [batch, time], null from models without.</returns>
    /// <exception cref="NotSupportedException">The classifier does not say.</exception>
    protected internal virtual (string Logits, string? Attention) ExportLayers(OnnxGraph graph, string x, int frames) =>
        throw new NotSupportedException($"{GetType().Name} has no form in ONNX: override {nameof(ExportLayers)}.");

    /// <summary>
    /// Features that were stored in half precision only, in the precision that the device computes in. They have no gradient.
    /// </summary>
    protected static Tensor Computable(Tape tape, Tensor features)
    {
        if (features.DType != DType.Float16 || tape.Device.ComputesInHalf)
        {
            return features;
        }

        Tensor single = tape.Allocate(features.Shape, DType.Float32, "features in single precision");
        tape.Ops.Cast(features, single);
        return single;
    }

    /// <summary>A layer by the name that its parameters bear.</summary>
    protected static LayerOutput Layer(Module layer, params IReadOnlyList<int> shape) =>
        new(layer.Parameters[0].Layer, layer.GetType().Name, shape);

    /// <summary>The dropout of one place in the model; places are numbered from 0.</summary>
    protected LayerDropout DropoutAt(Tape tape, int layer) => new(Options.Dropout, tape.DropoutSeed, layer, tape.State, tape.FirstSample);
}
