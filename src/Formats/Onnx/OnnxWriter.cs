namespace CudaTrainer.Formats.Onnx;

/// <summary>
/// Writes <c>.onnx</c> files (onnx/onnx.proto). A message's length comes before its content, so the small parts are put together in memory
/// first; weights are then streamed, one at a time. The same graph and metadata give the same bytes.
/// </summary>
public static class OnnxWriter
{
    /// <summary>A protocol buffer message is shorter than 2 GiB, and so is the file, which is one.</summary>
    public const long MaxBytes = int.MaxValue;

    private const string Producer = "CudaTrainer";

    /// <param name="stream">Need not be seekable.</param>
    /// <param name="graph">What to write.</param>
    /// <param name="version">The program's version.</param>
    /// <param name="metadata">Free text, written in the order of the keys.</param>
    /// <exception cref="ArgumentException">A tensor's data do not have the length of its shape, or its type is none of ours.</exception>
    /// <exception cref="IOException">The file would be too long.</exception>
    /// <exception cref="OperationCanceledException">Stopped between two tensors.</exception>
    public static void Write(Stream stream, OnnxGraph graph, string version, IReadOnlyDictionary<string, string> metadata,
        CancellationToken stop)
    {
        ProtoWriter structure = Structure(graph);
        var heads = new ProtoWriter[graph.Initializers.Count];
        long graphBytes = structure.Length;
        for (int i = 0; i < heads.Length; i++)
        {
            heads[i] = Head(graph.Initializers[i], out long dataBytes);
            graphBytes += heads[i].Length + dataBytes;
        }

        IReadOnlyList<OnnxPartWeight> weights = graph.Part?.Weights ?? [];
        ProtoWriter[] announcements = [.. weights.Select(weight =>
        {
            var head = new ProtoWriter();
            head.Announce(GraphFields.Initializer, weight.Bytes);
            return head;
        })];
        graphBytes += weights.Zip(announcements).Sum(pair => pair.First.Bytes + pair.Second.Length);
        ProtoWriter model = Model(graph, version, metadata, graphBytes);
        long bytes = model.Length + graphBytes;
        if (bytes > MaxBytes)
        {
            throw new IOException($"The model takes {bytes:N0} bytes; an ONNX file without external data holds {MaxBytes:N0} at most.");
        }

        stream.Write(model.From(0));
        stream.Write(structure.From(0));
        for (int i = 0; i < heads.Length; i++)
        {
            stop.ThrowIfCancellationRequested();
            stream.Write(heads[i].From(0));
            WriteData(stream, graph.Initializers[i]);
        }

        foreach ((OnnxPartWeight weight, ProtoWriter head) in weights.Zip(announcements))
        {
            stop.ThrowIfCancellationRequested();
            stream.Write(head.From(0));
            weight.Write(stream);
        }
    }

    /// <summary>Everything but the graph's content.</summary>
    private static ProtoWriter Model(OnnxGraph graph, string version, IReadOnlyDictionary<string, string> metadata, long graphBytes)
    {
        var model = new ProtoWriter();
        model.Integer(ModelFields.IrVersion, Math.Max(OnnxGraph.IrVersion, graph.Part?.IrVersion ?? 0));
        model.Text(ModelFields.ProducerName, Producer);
        model.Text(ModelFields.ProducerVersion, version);
        int opset = model.Begin(ModelFields.OpsetImport);
        model.Integer(ModelFields.OpsetVersion, graph.OpsetVersion);
        model.End(opset);
        foreach (byte[] field in graph.Part?.Others ?? [])
        {
            field.CopyTo(model.Take(field.Length));
        }

        foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            int entry = model.Begin(ModelFields.Metadata);
            model.Text(ModelFields.Key, key);
            model.Text(ModelFields.Value, value);
            model.End(entry);
        }

        model.Announce(ModelFields.Graph, graphBytes);
        return model;
    }

    /// <summary>The graph without its weights.</summary>
    private static ProtoWriter Structure(OnnxGraph graph)
    {
        var message = new ProtoWriter();
        message.Text(GraphFields.Name, graph.Name);
        foreach (OnnxNode node in graph.Nodes)
        {
            if (node.Message is { } bytes)
            {
                message.Bytes(GraphFields.Node, bytes);
                continue;
            }

            int begin = message.Begin(GraphFields.Node);
            foreach (string input in node.Inputs)
            {
                message.Text(NodeFields.Input, input);
            }

            message.Text(NodeFields.Output, node.Output);
            message.Text(NodeFields.Name, node.Output);
            message.Text(NodeFields.OpType, node.Operation);
            foreach (OnnxAttribute attribute in node.Attributes)
            {
                Attribute(message, attribute);
            }

            message.End(begin);
        }

        foreach (OnnxValue input in graph.Inputs)
        {
            Value(message, GraphFields.Input, input);
        }

        foreach (OnnxValue output in graph.Outputs)
        {
            Value(message, GraphFields.Output, output);
        }

        return message;
    }

    private static void Attribute(ProtoWriter message, OnnxAttribute attribute)
    {
        int begin = message.Begin(NodeFields.Attribute);
        message.Text(NodeFields.AttributeName, attribute.Name);
        switch (attribute.Value)
        {
            case long number:
                message.Integer(NodeFields.Integer, number);
                message.Integer(NodeFields.AttributeType, (long)OnnxAttributeType.Integer);
                break;
            case string text:
                message.Text(NodeFields.Text, text);
                message.Integer(NodeFields.AttributeType, (long)OnnxAttributeType.Text);
                break;
            case long[] numbers:
                foreach (long number in numbers)
                {
                    message.Integer(NodeFields.Integers, number);
                }

                message.Integer(NodeFields.AttributeType, (long)OnnxAttributeType.Integers);
                break;
        }

        message.End(begin);
    }

    /// <summary>An input or output of a graph.</summary>
    internal static void Value(ProtoWriter message, int field, OnnxValue value)
    {
        int begin = message.Begin(field);
        message.Text(GraphFields.ValueName, value.Name);
        int type = message.Begin(GraphFields.ValueType), tensor = message.Begin(TensorFields.TensorType);
        message.Integer(TensorFields.ElementType, OnnxDataType.Of(value.Type));
        int shape = message.Begin(TensorFields.Shape);
        foreach (OnnxDimension dimension in value.Shape)
        {
            int length = message.Begin(TensorFields.Dimension);
            if (dimension.Symbol is { } symbol)
            {
                message.Text(TensorFields.Symbol, symbol);
            }
            else
            {
                message.Integer(TensorFields.Length, dimension.Length);
            }

            message.End(length);
        }

        message.End(shape);
        message.End(tensor);
        message.End(type);
        message.End(begin);
    }

    /// <summary>What stands before a weight's numbers.</summary>
    private static ProtoWriter Head(NamedTensor tensor, out long dataBytes)
    {
        if (!ElementTypes.TryCountBytes(tensor.Shape, tensor.Type, out _, out dataBytes))
        {
            throw new ArgumentException($"Tensor '{tensor.Name}' has the impossible shape {ElementTypes.Format(tensor.Shape)}.",
                nameof(tensor));
        }

        var fields = new ProtoWriter();
        foreach (long dimension in tensor.Shape)
        {
            fields.Integer(TensorFields.Dimensions, dimension);
        }

        fields.Integer(TensorFields.DataType, OnnxDataType.Of(tensor.Type));
        fields.Text(TensorFields.Name, tensor.Name);
        fields.Announce(TensorFields.RawData, dataBytes);
        var head = new ProtoWriter();
        head.Announce(GraphFields.Initializer, fields.Length + dataBytes);
        fields.From(0).CopyTo(head.Take(fields.Length));
        return head;
    }

    private static void WriteData(Stream stream, NamedTensor tensor)
    {
        ReadOnlySpan<byte> data = tensor.Data();
        ElementTypes.TryCountBytes(tensor.Shape, tensor.Type, out _, out long bytes);
        if (data.Length != bytes)
        {
            throw new ArgumentException(
                $"Tensor '{tensor.Name}' {tensor.Type} {ElementTypes.Format(tensor.Shape)} takes {bytes} bytes, got {data.Length}.",
                nameof(tensor));
        }

        stream.Write(data);
    }
}
