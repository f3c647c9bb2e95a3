using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Cli.Tests;

/// <summary>Small image networks as ONNX files.</summary>
internal static class ImageNetwork
{
    /// <summary>Pixels of the frames that they take.</summary>
    public const int Width = 48, Height = 32;

    /// <summary>Features of <see cref="WriteClassifier"/>.</summary>
    public const int Features = 8;

    /// <summary>The layer that goes into the classifier.</summary>
    public const string Layer = "pooled/flat";

    /// <summary>A convolution, pooling and a classifier over frames [n, height, width, 3].</summary>
    /// <param name="gain">Of the convolution's weights: another one is another network.</param>
    public static void WriteClassifier(string path, double gain = 1, Dictionary<string, string>? metadata = null)
    {
        var graph = new OnnxGraph("classifier");
        string x = graph.Input("pixels", ElementType.F32, "n", Height, Width, 3);
        x = graph.Add("Transpose", "planes", [x], OnnxAttribute.Of("perm", [0, 3, 1, 2]));
        x = graph.Add("Conv", "conv", [x, graph.Constant("conv.weight", Wave(Features * 3 * 25, gain), Features, 3, 5, 5)],
            OnnxAttribute.Of("kernel_shape", [5, 5]), OnnxAttribute.Of("strides", [4, 4]));
        x = graph.Add("Relu", "conv/relu", [x]);
        x = graph.Add("GlobalAveragePool", "pooled", [x]);
        x = graph.Add("Flatten", Layer, [x]);
        x = graph.Add("Gemm", "classes", [x, graph.Constant("fc.weight", Wave(4 * Features, 1), 4, Features),
            graph.Constant("fc.bias", Wave(4, 1), 4)], OnnxAttribute.Of("transB", 1));
        graph.Output(graph.Add("Softmax", "probabilities", [x]), ElementType.F32, "n", 4);
        Write(path, graph, metadata);
    }

    /// <summary>The means of each channel of the input, and nothing behind them.</summary>
    /// <param name="shape">Of the input.</param>
    public static void WriteMeans(string path, ElementType type, bool channelsFirst, params OnnxDimension[] shape) =>
        WriteMeans(path, type, channelsFirst, null, shape);

    /// <inheritdoc cref="WriteMeans(string, ElementType, bool, OnnxDimension[])"/>
    public static void WriteMeans(string path, ElementType type, bool channelsFirst, Dictionary<string, string>? metadata,
        params OnnxDimension[] shape)
    {
        var graph = new OnnxGraph("means");
        string x = graph.Input("pixels", type, shape);
        x = type == ElementType.F32 ? x : graph.Add("Cast", "floats", [x], OnnxAttribute.Of("to", 1));
        x = graph.Add("ReduceMean", "means", [x], OnnxAttribute.Of("axes", channelsFirst ? [2, 3] : [1, 2]),
            OnnxAttribute.Of("keepdims", 0));
        graph.Output(x, ElementType.F32, shape[0], 3);
        Write(path, graph, metadata);
    }

    public static void Write(string path, OnnxGraph graph, Dictionary<string, string>? metadata = null)
    {
        using FileStream file = File.Create(path);
        OnnxWriter.Write(file, graph, "test", metadata ?? [], CancellationToken.None);
    }

    /// <summary>Adds a weight of one float32 that lies in another file. Messages in sequence are merged.</summary>
    public static void AppendExternalWeight(string path, string name, string file)
    {
        var model = new ProtoWriter();
        int graph = model.Begin(ModelFields.Graph), weight = model.Begin(GraphFields.Initializer);
        model.Integer(TensorFields.Dimensions, 1);
        model.Integer(TensorFields.DataType, OnnxDataType.Of(ElementType.F32));
        model.Text(TensorFields.Name, name);
        int entry = model.Begin(TensorFields.ExternalData);
        model.Text(ModelFields.Key, "location");
        model.Text(ModelFields.Value, file);
        model.End(entry);
        model.Integer(TensorFields.DataLocation, 1);
        model.End(weight);
        model.End(graph);
        using FileStream stream = File.Open(path, FileMode.Append);
        stream.Write(model.From(0));
    }

    private static float[] Wave(int count, double gain) =>
        [.. Enumerable.Range(0, count).Select(i => (float)(gain * Math.Sin(1 + (i * 1.7))))];
}
