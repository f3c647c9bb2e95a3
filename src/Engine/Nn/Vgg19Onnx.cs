using System.Runtime.InteropServices;
using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Nn;

/// <summary><see cref="Vgg19"/> in ONNX graphs.</summary>
internal static class Vgg19Onnx
{
    /// <summary>Adds the normalisation of frames and the network up to fc2.</summary>
    /// <param name="graph">Where it is added.</param>
    /// <param name="frames">The name of the frames, [n, 224, 224, 3] UInt8, red first.</param>
    /// <param name="source">Read when the graph is written, one tensor at a time.</param>
    /// <returns>The name of the features, [n, 4096].</returns>
    public static string Export(OnnxGraph graph, string frames, IVgg19WeightSource source, ImageNormalization normalization)
    {
        var weights = new Weights(graph, source);
        string x = Normalize(graph, frames, normalization);
        foreach (Convolution convolution in Vgg19.Convolutions)
        {
            string name = "vgg19/" + convolution.Name;
            x = graph.Add(
                "Conv", name, [x, weights.Add(convolution.Name + ".weight"), weights.Add(convolution.Name + ".bias")],
                OnnxAttribute.Of("kernel_shape", [3, 3]), OnnxAttribute.Of("pads", [1, 1, 1, 1]));
            x = graph.Add("Relu", name + "/relu", [x]);
            x = convolution.Pool
                ? graph.Add("MaxPool", name + "/pool", [x], OnnxAttribute.Of("kernel_shape", [2, 2]), OnnxAttribute.Of("strides", [2, 2]))
                : x;
        }

        x = graph.Add("Flatten", "vgg19/flat", [x], OnnxAttribute.Of("axis", 1));
        foreach (string name in (string[])["classifier.0", "classifier.3"])
        {
            x = graph.Add("Gemm", "vgg19/" + name, [x, weights.Add(name + ".weight"), weights.Add(name + ".bias")],
                OnnxAttribute.Of("transB", 1));
            x = graph.Add("Relu", $"vgg19/{name}/relu", [x]);
        }

        return x;
    }

    /// <summary>Adds what makes of bytes the numbers that the first convolution takes.</summary>
    /// <returns>The name of the planes, [n, 3, 224, 224].</returns>
    internal static string Normalize(OnnxGraph graph, string frames, ImageNormalization normalization)
    {
        float[] mean = [normalization.MeanRed, normalization.MeanGreen, normalization.MeanBlue];
        float[] scale = [normalization.ScaleRed, normalization.ScaleGreen, normalization.ScaleBlue];
        string x = graph.Add("Transpose", "vgg19/planes", [frames], OnnxAttribute.Of("perm", [0, 3, 1, 2]));
        x = graph.Add("Cast", "vgg19/float", [x], OnnxAttribute.Of("to", OnnxDataType.Of(ElementType.F32)));
        x = graph.Add("Sub", "vgg19/centred", [x, graph.Constant("vgg19/mean", mean, 1, 3, 1, 1)]);
        x = graph.Add("Mul", "vgg19/normalized", [x, graph.Constant("vgg19/scale", scale, 1, 3, 1, 1)]);
        return normalization.Bgr
            ? graph.Add("Gather", "vgg19/bgr", [x, graph.Constant<long>("vgg19/blue_first", [2, 1, 0], 3)], OnnxAttribute.Of("axis", 1))
            : x;
    }

    /// <summary>The tensors of a source, all read into one buffer, which the largest needs: 411 MB.</summary>
    private sealed class Weights(OnnxGraph graph, IVgg19WeightSource source)
    {
        private readonly Dictionary<string, Shape> _shapes = Vgg19.WeightShapes()
            .ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        private float[] _buffer = [];

        public string Add(string name)
        {
            Shape shape = _shapes[name];
            return graph.Constant(
                new NamedTensor("vgg19." + name, ElementType.F32, shape.ToLengths(), () => Read(name, checked((int)shape.Count))));
        }

        private ReadOnlySpan<byte> Read(string name, int count)
        {
            _buffer = _buffer.Length < count ? GC.AllocateUninitializedArray<float>(count) : _buffer;
            source.Read(name, _buffer.AsSpan(0, count));
            return MemoryMarshal.AsBytes(_buffer.AsSpan(0, count));
        }
    }
}
