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

    /// <summary>Means of the channels through a branch (If) whose graphs use values from outside; names as a classifier's.</summary>
    public static void WriteNested(string path)
    {
        var graph = new OnnxGraph("nested");
        string x = graph.Input("frames", ElementType.F32, "n", 3, Height, Width);
        x = graph.Add("GlobalAveragePool", "probabilities", [x]);
        graph.Add("Flatten", "features", [x]);
        graph.Output("features", ElementType.F32, "n", 3);
        Write(path, graph);
        var model = new ProtoWriter();
        int begin = model.Begin(ModelFields.Graph);
        int truth = model.Begin(GraphFields.Initializer);
        model.Integer(TensorFields.DataType, 9);
        model.Text(TensorFields.Name, "always");
        model.Bytes(TensorFields.RawData, [1]);
        model.End(truth);
        int node = model.Begin(GraphFields.Node);
        model.Text(NodeFields.Input, "always");
        model.Text(NodeFields.Output, "chosen");
        model.Text(NodeFields.OpType, "If");
        foreach (string branch in new[] { "then_branch", "else_branch" })
        {
            int attribute = model.Begin(NodeFields.Attribute), body = Begin(model, branch);
            int inner = model.Begin(GraphFields.Node);
            model.Text(NodeFields.Input, "features");
            model.Text(NodeFields.Output, branch);
            model.Text(NodeFields.OpType, branch == "then_branch" ? "Exp" : "Neg");
            model.End(inner);
            model.Text(GraphFields.Name, branch);
            OnnxWriter.Value(model, GraphFields.Output, new OnnxValue(branch, ElementType.F32, ["n", 3]));
            model.End(body);
            model.Integer(NodeFields.AttributeType, 5);
            model.End(attribute);
        }

        model.End(node);
        int layer = model.Begin(GraphFields.Node);
        model.Text(NodeFields.Input, "chosen");
        model.Text(NodeFields.Output, "batch");
        model.Text(NodeFields.OpType, "Abs");
        model.End(layer);
        model.End(begin);
        int entry = model.Begin(ModelFields.Metadata);
        model.Text(ModelFields.Key, "cudatrainer_layer");
        model.Text(ModelFields.Value, "batch");
        model.End(entry);
        using FileStream stream = File.Open(path, FileMode.Append);
        stream.Write(model.From(0));

        static int Begin(ProtoWriter model, string name)
        {
            model.Text(NodeFields.AttributeName, name);
            return model.Begin(NodeFields.Subgraph);
        }
    }

    /// <summary>Says that the operations are of another version. A later field wins.</summary>
    public static void SetOpset(string path, int version)
    {
        var model = new ProtoWriter();
        int opset = model.Begin(ModelFields.OpsetImport);
        model.Integer(ModelFields.OpsetVersion, version);
        model.End(opset);
        byte[] bytes = File.ReadAllBytes(path);
        var old = new ProtoWriter();
        int begin = old.Begin(ModelFields.OpsetImport);
        old.Integer(ModelFields.OpsetVersion, OnnxGraph.Opset);
        old.End(begin);
        int place = bytes.AsSpan().IndexOf(old.From(0));
        model.From(0).CopyTo(bytes.AsSpan(place));
        File.WriteAllBytes(path, bytes);
    }

    private static float[] Wave(int count, double gain) =>
        [.. Enumerable.Range(0, count).Select(i => (float)(gain * Math.Sin(1 + (i * 1.7))))];
}
