namespace CudaTrainer.Formats.Onnx;

/// <summary>Reads an <c>.onnx</c> file back and compares it with the graph that it was written from.</summary>
internal sealed class OnnxReadBack
{
    private readonly OnnxGraph _graph;
    private readonly Dictionary<string, NamedTensor> _expected;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<OnnxOperation> _nodes = [];
    private readonly List<string> _outputs = [];
    private long _opset;
    private bool _hasGraph;

    private OnnxReadBack(OnnxGraph graph)
    {
        _graph = graph;
        _expected = graph.Initializers.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
    }

    /// <summary>
    /// Makes sure that the file holds every node, input and output of the graph in an order that can be run, and every weight bit for bit.
    /// </summary>
    /// <exception cref="FileFormatException">It does not; says what is wrong.</exception>
    /// <exception cref="OperationCanceledException">Stopped between two tensors.</exception>
    public static void Verify(string path, OnnxGraph graph, CancellationToken stop)
    {
        using MappedFile file = MappedFile.Open(path);
        try
        {
            if (file.Length > OnnxWriter.MaxBytes)
            {
                throw new InvalidDataException($"{file.Length:N0} bytes are more than a protocol buffer message may have");
            }

            new OnnxReadBack(graph).Model(file.Span(0, (int)file.Length), stop);
        }
        catch (InvalidDataException exception)
        {
            throw new FileFormatException(path, exception.Message, "The disk, or this program, is at fault: export again.", exception);
        }
    }

    private void Model(ReadOnlySpan<byte> message, CancellationToken stop)
    {
        var model = new ProtoReader(message);
        while (model.Next())
        {
            if (model.Field == ModelFields.OpsetImport)
            {
                _opset = Single(model.Bytes, ModelFields.OpsetVersion).Integer;
            }
            else if (model.Field == ModelFields.Graph)
            {
                _hasGraph = true;
                Graph(model.Bytes, stop);
            }
        }

        Require(_hasGraph && _opset == OnnxGraph.Opset, $"no graph in operations of version {OnnxGraph.Opset}");
        Require(_expected.Count == 0, $"weights are missing: {string.Join(", ", _expected.Keys)}");
        Require(_nodes.Count == _graph.Nodes.Count, $"{_nodes.Count} operations, {_graph.Nodes.Count} were written");
        foreach ((OnnxOperation read, OnnxNode node) in _nodes.Zip(_graph.Nodes))
        {
            string? unknown = read.Inputs.FirstOrDefault(input => !_known.Contains(input));
            Require(unknown is null, $"'{node.Output}' uses '{unknown}' before it is there");
            Require(read.Outputs.All(_known.Add), $"'{node.Output}' is there twice");
            Require(
                read.Type == node.Operation && read.Inputs.SequenceEqual(node.Inputs) && read.Outputs.SequenceEqual([node.Output]),
                $"'{node.Output}' is another operation than was written");
        }

        Require(_outputs.SequenceEqual(_graph.Outputs.Select(output => output.Name)) && _outputs.All(_known.Contains),
            "other outputs than were written");
    }

    private void Graph(ReadOnlySpan<byte> message, CancellationToken stop)
    {
        var graph = new ProtoReader(message);
        while (graph.Next())
        {
            switch (graph.Field)
            {
                case GraphFields.Node:
                    _nodes.Add(OnnxOperation.Read(graph.Bytes));
                    break;
                case GraphFields.Initializer:
                    stop.ThrowIfCancellationRequested();
                    Tensor(graph.Bytes);
                    break;
                case GraphFields.Input:
                    _known.Add(Single(graph.Bytes, GraphFields.ValueName).Text);
                    break;
                case GraphFields.Output:
                    _outputs.Add(Single(graph.Bytes, GraphFields.ValueName).Text);
                    break;
            }
        }
    }

    private void Tensor(ReadOnlySpan<byte> message)
    {
        string name = Single(message, TensorFields.Name).Text;
        Require(_expected.Remove(name, out NamedTensor? expected) && _known.Add(name),
            $"'{name}' is no weight of the graph, or is there twice");
        List<long> shape = [];
        ReadOnlySpan<byte> data = default;
        var tensor = new ProtoReader(message);
        while (tensor.Next())
        {
            if (tensor.Field == TensorFields.Dimensions)
            {
                shape.Add(tensor.Integer);
            }
            else if (tensor.Field == TensorFields.RawData)
            {
                data = tensor.Bytes;
            }
        }

        Require(
            shape.SequenceEqual(expected!.Shape) && OnnxDataType.From(Single(message, TensorFields.DataType).Integer) == expected.Type,
            $"'{name}' has the shape {ElementTypes.Format([.. shape])}, {expected.Type} {ElementTypes.Format(expected.Shape)} was written");
        Require(data.SequenceEqual(expected.Data()), $"the numbers of '{name}' are not those that were written");
    }

    /// <summary>The reader at the one field of that number.</summary>
    private static ProtoReader Single(ReadOnlySpan<byte> message, int field)
    {
        var reader = new ProtoReader(message);
        while (reader.Next())
        {
            if (reader.Field == field)
            {
                return reader;
            }
        }

        throw new InvalidDataException($"a message has no field {field}");
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidDataException(otherwise);
        }
    }
}
