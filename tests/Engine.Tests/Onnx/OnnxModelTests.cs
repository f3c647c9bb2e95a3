using CudaTrainer.Formats;
using CudaTrainer.Formats.Onnx;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <summary>The structure of ONNX files: where features are, and what a cut leaves.</summary>
public sealed class OnnxModelTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <summary>Operations from the frames "x" on, each named by its place; one with a star has a weight.</summary>
    [Theory]
    [InlineData("Conv Relu GlobalAveragePool Flatten Gemm* Softmax", "4")]
    [InlineData("Conv Relu GlobalAveragePool Flatten MatMul* Add* Softmax", "4")]
    [InlineData("Conv Flatten Gemm* Relu Gemm* Relu Gemm*", "6")]
    [InlineData("Conv Relu GlobalAveragePool", "3")]
    [InlineData("Conv Relu ReduceMean Reshape Identity", "3")]
    [InlineData("Conv Relu GlobalAveragePool Flatten Softmax", "3")]
    [InlineData("Conv Relu", null)]
    [InlineData("Conv Flatten Softmax", null)]
    public void What_goes_into_the_classifier_is_found(string operations, string? layer)
    {
        Chain(operations).PooledLayer.ShouldBe(layer);
    }

    [Fact]
    public void A_sum_of_two_computed_values_is_no_classifier()
    {
        var graph = new OnnxGraph("residual");
        string x = graph.Input("x", ElementType.F32, "n", 3, 8, 8), y = graph.Add("Relu", "y", [x]), z = graph.Add("Neg", "z", [x]);
        graph.Output(graph.Add("Add", "sum", [y, z]), ElementType.F32);

        Open(graph).PooledLayer.ShouldBeNull();
    }

    [Fact]
    public void A_cut_leaves_what_the_layer_needs_and_every_weight_bit_for_bit()
    {
        OnnxModel model = Chain("Conv Relu GlobalAveragePool Flatten Gemm* Softmax");
        OnnxFile whole = new(File.ReadAllBytes(model.Path));

        OnnxFile cut = new(model.CutAt("4"));

        cut.Nodes.Select(node => node.Operation).ShouldBe(["Conv", "Relu", "GlobalAveragePool", "Flatten"]);
        cut.Outputs.ShouldHaveSingleItem().Name.ShouldBe("4");
        cut.Inputs.ShouldHaveSingleItem().Shape.ShouldBe([-1, 3, 8, 8]);
        (cut.Opset, cut.Tensors.Count).ShouldBe((whole.Opset, whole.Tensors.Count));
        foreach ((string name, FileTensor tensor) in whole.Tensors)
        {
            cut.Tensors[name].Data.ToArray().ShouldBe(tensor.Data.ToArray());
        }
    }

    [Fact]
    public void Weights_in_other_files_are_part_of_the_hash()
    {
        string path = _folder.File("model.onnx");
        Chain("Conv GlobalAveragePool");
        var weight = new ProtoWriter();
        int graph = weight.Begin(ModelFields.Graph), initializer = weight.Begin(GraphFields.Initializer);
        weight.Text(TensorFields.Name, "elsewhere");
        int entry = weight.Begin(TensorFields.ExternalData);
        weight.Text(ModelFields.Key, "location");
        weight.Text(ModelFields.Value, "weights.bin");
        weight.End(entry);
        weight.Integer(TensorFields.DataLocation, 1);
        weight.End(initializer);
        weight.End(graph);
        using (FileStream file = File.Open(path, FileMode.Append))
        {
            // Messages in sequence are merged.
            file.Write(weight.From(0));
        }

        Should.Throw<FileFormatException>(() => OnnxModel.Open(path)).Message.ShouldContain("'weights.bin', which is not beside it");
        _folder.File("weights.bin", "1234"u8);
        string hash = OnnxModel.Open(path).Hash;
        hash.ShouldNotBe(FileHash.Sha256(path));
        _folder.File("weights.bin", "1235"u8);
        OnnxModel.Open(path).Hash.ShouldNotBe(hash);
    }

    /// <summary>A branch of an If takes values from outside without naming them among its inputs.</summary>
    [Fact]
    public void What_graphs_inside_of_an_operation_take_is_not_cut_away()
    {
        var graph = new OnnxGraph("branch");
        string x = graph.Input("x", ElementType.F32, "n", 3, 8, 8);
        graph.Add("Relu", "taken", [x]);
        graph.Add("Neg", "unused", [x]);
        graph.Output(graph.Add("Identity", "last", [x]), ElementType.F32);
        Open(graph);
        var branch = new ProtoWriter();
        int model = branch.Begin(ModelFields.Graph), node = branch.Begin(GraphFields.Node);
        branch.Text(NodeFields.Output, "choice");
        branch.Text(NodeFields.OpType, "If");
        int attribute = branch.Begin(NodeFields.Attribute), inside = branch.Begin(NodeFields.Subgraph),
            inner = branch.Begin(GraphFields.Node);
        branch.Text(NodeFields.Input, "taken");
        branch.Text(NodeFields.Output, "inner");
        branch.Text(NodeFields.OpType, "Abs");
        foreach (int begin in (int[])[inner, inside, attribute, node, model])
        {
            branch.End(begin);
        }

        using (FileStream file = File.Open(_folder.File("model.onnx"), FileMode.Append))
        {
            file.Write(branch.From(0));
        }

        File.WriteAllBytes(_folder.File("cut.onnx"), OnnxModel.Open(_folder.File("model.onnx")).CutAt("choice"));

        OnnxModel.Open(_folder.File("cut.onnx")).ComputedValues.ShouldBe(["choice", "taken"]);
    }

    public void Dispose() => _folder.Dispose();

    private OnnxModel Chain(string operations)
    {
        var graph = new OnnxGraph("chain");
        string x = graph.Input("x", ElementType.F32, "n", 3, 8, 8);
        int place = 0;
        foreach (string operation in operations.Split(' '))
        {
            place++;
            bool hasWeight = operation.EndsWith('*') || operation == "Conv";
            x = graph.Add(operation.TrimEnd('*'), $"{place}",
                hasWeight ? [x, graph.Constant<float>($"weight {place}", [place, 2, 3], 3L)] : [x]);
        }

        graph.Output(x, ElementType.F32);
        return Open(graph);
    }

    private OnnxModel Open(OnnxGraph graph)
    {
        using (FileStream file = File.Create(_folder.File("model.onnx")))
        {
            OnnxWriter.Write(file, graph, "test", new Dictionary<string, string>(), CancellationToken.None);
        }

        return OnnxModel.Open(_folder.File("model.onnx"));
    }
}
