namespace CudaTrainer.Engine.Nn;

/// <summary>What a layer makes of a batch.</summary>
/// <param name="Name">Its parameters are called NAME.something.</param>
/// <param name="Kind">For example <c>Lstm</c>.</param>
/// <param name="Shape">Of its output, without the batch.</param>
public readonly record struct LayerOutput(string Name, string Kind, IReadOnlyList<int> Shape);

/// <param name="Buffers">Numbers that are not trained: running statistics.</param>
public sealed record LayerSummary(string Name, string Kind, IReadOnlyList<int> Shape, long Parameters, long Buffers);

/// <summary>A classifier layer by layer, as Keras prints one.</summary>
public sealed record ModelSummary(IReadOnlyList<LayerSummary> Layers)
{
    /// <summary>A reversed layer stands beside its own kind and counts with it.</summary>
    private const string Reverse = "_reverse";

    public long Trainable => Layers.Sum(layer => layer.Parameters);

    public long NonTrainable => Layers.Sum(layer => layer.Buffers);

    public long Total => Trainable + NonTrainable;

    /// <param name="model">Needs no memory.</param>
    /// <param name="frames">Per clip.</param>
    public static ModelSummary Of(Classifier model, int frames) => new(
        [.. model.Layers(frames)
            .Select(layer => new LayerSummary(layer.Name, layer.Kind, layer.Shape, Count(model.Parameters, layer.Name),
            Count(model.Buffers, layer.Name)))]);

    private static long Count(IEnumerable<Parameter> parameters, string layer) =>
        parameters.Where(parameter => parameter.Layer is var name && (name == layer || name == layer + Reverse))
            .Sum(parameter => parameter.Shape.Count);
}
