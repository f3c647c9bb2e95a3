using CudaTrainer.Formats;
namespace CudaTrainer.Engine.Nn;

/// <summary>
/// Keras's VGG19 (<c>vgg19_weights_tf_dim_ordering_tf_kernels.h5</c>, keras/applications/vgg19.py) under torchvision's names.
/// </summary>
public static class KerasVgg19
{
    private const string Hint = "Accepted is Keras's VGG19 with its fully connected layers, vgg19_weights_tf_dim_ordering_tf_kernels.h5.";

    /// <summary>Convolutions of each block.</summary>
    private static readonly int[] Blocks = [2, 2, 4, 4, 4];

    /// <summary>Height × width of the last convolutions' output.</summary>
    private const int LastPositions = 7 * 7;

    /// <summary>The layers up to fc2, in topological order.</summary>
    public static IReadOnlyList<KerasLayer> Layers { get; } = [.. MakeLayers()];

    /// <summary>A Keras VGG19 under torchvision's names.</summary>
    /// <exception cref="FileFormatException">Another network, a file without the fully connected layers, or kernels of Theano.</exception>
    public static KerasNames Rename(H5Archive archive)
    {
        if (archive.KerasBackend == "theano")
        {
            throw new FileFormatException(archive.Path, "its convolutions are stored as Theano has them, turned by 180°", Hint);
        }

        int weighted = archive.Layers.Count(layer => layer.Weights.Count > 0);
        if (weighted == Blocks.Sum() && archive.Layers.Any(layer => layer.Name == "block5_conv4"))
        {
            throw new FileFormatException(archive.Path,
                "it has no fully connected layers (a '_notop' file), and the features are those of fc2", Hint);
        }

        return KerasNames.Of(archive, Layers, ignoreRest: true, Hint);
    }

    private static IEnumerable<KerasLayer> MakeLayers()
    {
        IEnumerable<string> names = Blocks.SelectMany((count, block) => Enumerable.Range(1, count).Select(i => $"block{block + 1}_conv{i}"))
            .Concat(["fc1", "fc2"]);
        return names.Zip(Vgg19Names.Tensors.Chunk(2), (name, tensors) => Layer(name, tensors[0], tensors[1]));
    }

    private static KerasLayer Layer(string name, (string Name, long[] Shape) weight, (string Name, long[] Shape) bias)
    {
        int outputs = (int)weight.Shape[0];
        int rows = (int)weight.Shape.Skip(1).Aggregate(1L, (product, length) => product * length);
        (long[] shape, int positions) = weight.Shape is [_, var inputs, var height, var width]
            ? ((long[])[height, width, inputs, outputs], (int)(height * width))
            : ([rows, outputs], name == "fc1" ? LastPositions : 1);
        return new KerasLayer(
            name,
            [
                new KerasWeight($"{name}/kernel:0", shape,
                    [new KerasTensor(weight.Name, weight.Shape, new KerasConversion(rows, outputs, positions))]),
                new KerasWeight($"{name}/bias:0", bias.Shape, [new KerasTensor(bias.Name, bias.Shape, new KerasConversion(1, outputs))]),
            ]);
    }
}
