namespace CudaTrainer.Formats.Onnx;

/// <summary>Reads an <c>.onnx</c> file back and compares it with the graph that it was written from.</summary>
internal sealed class OnnxReadBack
{
    private readonly OnnxGraph _graph;
    private readonly Dictionary<string, NamedTensor> _expected;
    private readonly Dictionary<string, OnnxPartWeight> _ofPart;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<OnnxOperation> _nodes = [];
    private readonly List<string> _outputs = [];
    private long _opset;
    private bool _hasGraph;

    private OnnxReadBack(OnnxGraph graph)
    {
        _graph = graph;
        _expected = graph.Initializers.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        _ofPart = (graph.Part?.Weights ?? []).ToDictionary(weight => weight.Name, StringComparer.Ordinal);
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
                // Those of other domains come behind.
                _opset = _opset > 0 ? _opset : Single(model.Bytes, ModelFields.OpsetVersion).Integer;
            }
            else if (model.Field == ModelFields.Graph)
            {
                _hasGraph = true;
                Graph(model.Bytes, stop);
            }
        }

        Require(_hasGraph && _opset == _graph.OpsetVersion, $"no graph in operations of version {_graph.OpsetVersion}");
        Require(_expected.Count + _ofPart.Count == 0, $"weights are missing: {string.Join(", ", _expected.Keys.Concat(_ofPart.Keys))}");
        Require(_nodes.Count == _graph.Nodes.Count, $"{_nodes.Count} operations, {_graph.Nodes.Count} were written");
        foreach ((OnnxOperation read, OnnxNode node) in _nodes.Zip(_graph.Nodes))
        {
            // Operations of another model may leave inputs out, and have graphs of their own with names in them.
            bool isOurs = node.Message is null;
            string? unknown = read.Inputs.FirstOrDefault(input => isOurs && !_known.Contains(input));
            Require(unknown is null, $"'{node.Output}' uses '{unknown}' before it is there");
            Require(read.Outputs.Where(output => output.Length > 0).All(_known.Add), $"'{node.Output}' is there twice");
            Require(
                read.Type == node.Operation && read.Inputs.SequenceEqual(node.Inputs) && read.Outputs[0] == node.Output
                    && (read.Outputs.Count == 1 || !isOurs),
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
        if (_ofPart.Remove(name, out OnnxPartWeight? weight))
        {
            using var written = new MemoryStream();
            weight.Write(written);
            Require(_known.Add(name) && message.SequenceEqual(written.ToArray()), $"'{name}' is another weight than was written");
            return;
        }

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
