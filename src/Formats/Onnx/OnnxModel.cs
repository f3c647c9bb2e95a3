using System.Security.Cryptography;

namespace CudaTrainer.Formats.Onnx;

/// <summary>An input of a model that is no weight.</summary>
/// <param name="Type">Null for types that no network takes pictures in.</param>
/// <param name="Shape">Lengths, <c>?</c> for what the file leaves open; null where it says nothing.</param>
internal sealed record OnnxModelInput(string Name, ElementType? Type, IReadOnlyList<OnnxDimension>? Shape);

/// <summary>
/// The structure of an <c>.onnx</c> file of any origin: enough to find the layer whose values are features and to cut the model there.
/// Weights are not looked at.
/// </summary>
internal sealed class OnnxModel
{
    /// <summary>What changes neither the number nor the meaning of what it gets, as far as a classifier's input is concerned.</summary>
    private static readonly HashSet<string> PassThrough = new(StringComparer.Ordinal)
    {
        "Add", "Cast", "Dropout", "Flatten", "Identity", "LogSoftmax", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Unsqueeze",
    };

    private static readonly HashSet<string> Pooling = new(StringComparer.Ordinal)
    {
        "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMax", "ReduceMean",
    };

    private readonly byte[] _bytes;
    private readonly List<OnnxModelInput> _inputs = [];
    private readonly List<string> _outputs = [];
    private readonly List<OnnxOperation> _operations = [];
    private readonly Dictionary<string, OnnxOperation> _producers = new(StringComparer.Ordinal);
    private readonly HashSet<string> _constants = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _externalFiles = new(StringComparer.Ordinal);

    /// <exception cref="InvalidDataException">The bytes are no model.</exception>
    /// <exception cref="FileFormatException">A file of its weights is missing.</exception>
    private OnnxModel(string path, byte[] bytes)
    {
        (Path, _bytes) = (path, bytes);
        var model = new ProtoReader(bytes);
        while (model.Next())
        {
            if (model.Field == ModelFields.Graph)
            {
                ReadGraph(model.Bytes);
            }
            else if (model.Field == ModelFields.Metadata)
            {
                (string key, string value) = Entry(model.Bytes);
                _metadata[key] = value;
            }
        }

        if (_operations.Count == 0 || _outputs.Count == 0)
        {
            throw new InvalidDataException("it has no operations, or no output");
        }

        // Weights may stand among the inputs as well.
        Inputs = [.. _inputs.Where(input => !_constants.Contains(input.Name))];
        string hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
        Hash = _externalFiles.Count == 0 ? hash : FileHash.OfText(string.Join('\n', [hash, .. _externalFiles.Select(HashOfExternal)]));
    }

    public string Path { get; }

    /// <summary>SHA-256 of the file or, where weights lie in other files, of its hash and theirs.</summary>
    public string Hash { get; }

    public IReadOnlyList<OnnxModelInput> Inputs { get; }

    /// <summary>Free text that the file has about itself.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Reads the structure of a file.</summary>
    /// <exception cref="FileFormatException">It is no ONNX file, it is cut off, or a file of its weights is missing.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static OnnxModel Open(string path)
    {
        byte[] bytes;
        using (MappedFile file = MappedFile.Open(path))
        {
            if (file.Length > OnnxWriter.MaxBytes)
            {
                throw new FileFormatException(path, $"{file.Length:N0} bytes are more than an ONNX file can have",
                    "Export it with its weights as external data.");
            }

            bytes = file.Span(0, (int)file.Length).ToArray();
        }

        try
        {
            return new OnnxModel(path, bytes);
        }
        catch (InvalidDataException exception)
        {
            throw new FileFormatException(path, $"this is no ONNX model, or it is damaged: {exception.Message}",
                "Export or download it again.", exception);
        }
    }

    /// <summary>
    /// What goes into the final classifier of the first output: the input of the last dense layer, or the last pooled value where no dense
    /// layer follows it. Null where the model ends otherwise.
    /// </summary>
    public string? PooledLayer
    {
        get
        {
            string value = _outputs[0];

            // As many steps as there are operations: a damaged file may go round in a circle.
            for (int step = 0; step < _operations.Count && _producers.TryGetValue(value, out OnnxOperation? operation); step++)
            {
                string[] computed = [.. operation.Inputs.Where(input => input.Length > 0 && !_constants.Contains(input))];
                if (Pooling.Contains(operation.Type))
                {
                    return value;
                }

                if (computed.Length == 1 && operation.Type is "Gemm" or "MatMul")
                {
                    return computed[0];
                }

                if (!PassThrough.Contains(operation.Type) || computed.Length == 0 || (operation.Type == "Add" && computed.Length > 1))
                {
                    return null;
                }

                value = computed[0];
            }

            return null;
        }
    }

    /// <summary>The names of values that operations compute, the last first.</summary>
    public IEnumerable<string> ComputedValues => _operations.AsEnumerable().Reverse().SelectMany(operation => operation.Outputs);

    /// <summary>Whether an operation computes a value of that name.</summary>
    public bool Computes(string value) => _producers.ContainsKey(value);

    /// <summary>The model up to a value: that is its only output, and operations that it does not need are left out.</summary>
    /// <param name="layer">One that <see cref="Computes"/>.</param>
    /// <param name="widened">An input whose first length is left open; what the file says of shapes in between is left out then.</param>
    public byte[] CutAt(string layer, OnnxModelInput? widened = null)
    {
        HashSet<OnnxOperation> needed = Needed(layer);
        HashSet<int> dropped = [GraphFields.Output];
        var added = new ProtoWriter();
        int begin = added.Begin(GraphFields.Output);
        added.Text(GraphFields.ValueName, layer);
        added.End(begin);
        if (widened is { Type: { } type, Shape: { } shape })
        {
            dropped.UnionWith([GraphFields.Input, GraphFields.ValueInfo]);
            OnnxWriter.Value(added, GraphFields.Input, new OnnxValue(widened.Name, type, [.. shape.Select((length, i) =>
                i > 0 && length.Symbol is null ? length : (OnnxDimension)$"length {i}")]));
        }

        List<Range> head = [], graph = [];
        int place = 0, number = 0;
        var model = new ProtoReader(_bytes);
        while (model.Next())
        {
            Range field = place..(place + model.Raw.Length);
            place = field.End.Value;
            if (model.Field != ModelFields.Graph)
            {
                head.Add(field);
                continue;
            }

            int inside = place - model.Bytes.Length;
            var fields = new ProtoReader(model.Bytes);
            while (fields.Next())
            {
                if (!dropped.Contains(fields.Field) && (fields.Field != GraphFields.Node || needed.Contains(_operations[number++])))
                {
                    graph.Add(inside..(inside + fields.Raw.Length));
                }

                inside += fields.Raw.Length;
            }
        }

        var announced = new ProtoWriter();
        announced.Announce(ModelFields.Graph, graph.Sum(LengthOf) + added.Length);
        using var cut = new MemoryStream();
        head.ForEach(range => cut.Write(_bytes.AsSpan(range)));
        cut.Write(announced.From(0));
        graph.ForEach(range => cut.Write(_bytes.AsSpan(range)));
        cut.Write(added.From(0));
        return cut.ToArray();

        static int LengthOf(Range range) => range.End.Value - range.Start.Value;
    }

    /// <summary>The model up to a value, to go into another graph.</summary>
    /// <param name="input">Its one input.</param>
    /// <param name="layer">One that <see cref="Computes"/>.</param>
    /// <exception cref="FileFormatException">That cannot be done with this model; says why.</exception>
    public OnnxPart Part(string input, string layer)
    {
        HashSet<OnnxOperation> needed = Needed(layer);
        return new OnnxPart(
            Path, _bytes, input, layer, [.. _operations.Select(operation => needed.Contains(operation) ? operation : null)]);
    }

    private HashSet<OnnxOperation> Needed(string layer)
    {
        HashSet<OnnxOperation> needed = new(ReferenceEqualityComparer.Instance);
        Stack<string> open = new([layer]);
        while (open.TryPop(out string? value))
        {
            if (_producers.TryGetValue(value, out OnnxOperation? operation) && needed.Add(operation))
            {
                foreach (string input in operation.Inputs)
                {
                    open.Push(input);
                }
            }
        }

        return needed;
    }

    private void ReadGraph(ReadOnlySpan<byte> message)
    {
        var graph = new ProtoReader(message);
        while (graph.Next())
        {
            switch (graph.Field)
            {
                case GraphFields.Node:
                    AddOperation(OnnxOperation.Read(graph.Bytes));
                    break;
                case GraphFields.Initializer:
                    ReadWeight(graph.Bytes);
                    break;
                case GraphFields.Input:
                    _inputs.Add(Input(graph.Bytes));
                    break;
                case GraphFields.Output:
                    _outputs.Add(Input(graph.Bytes).Name);
                    break;
            }
        }
    }

    private void AddOperation(OnnxOperation operation)
    {
        _operations.Add(operation);
        foreach (string output in operation.Outputs.Where(output => output.Length > 0))
        {
            _producers[output] = operation;
            if (operation.Type == "Constant")
            {
                _constants.Add(output);
            }
        }
    }

    private void ReadWeight(ReadOnlySpan<byte> message)
    {
        bool isExternal = false;
        string? file = null;
        var tensor = new ProtoReader(message);
        while (tensor.Next())
        {
            switch (tensor.Field)
            {
                case TensorFields.Name:
                    _constants.Add(tensor.Text);
                    break;
                case TensorFields.DataLocation:
                    isExternal = tensor.Integer == 1;
                    break;
                case TensorFields.ExternalData:
                    (string key, string value) = Entry(tensor.Bytes);
                    file = key == "location" ? value : file;
                    break;
            }
        }

        if (isExternal)
        {
            _externalFiles.Add(file ?? throw new InvalidDataException("a weight lies in another file, which it does not name"));
        }
    }

    private string HashOfExternal(string file)
    {
        string folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!,
            other = System.IO.Path.GetFullPath(file, folder);
        if (!other.StartsWith(folder.TrimEnd('/') + '/', StringComparison.Ordinal))
        {
            throw new FileFormatException(Path, $"its weights are said to lie in '{file}', which is outside of its folder",
                "Export it again with external data beside it.");
        }

        return File.Exists(other)
            ? FileHash.Sha256(other)
            : throw new FileFormatException(Path, $"its weights lie in another file, '{file}', which is not beside it",
                "Put that file into the same folder.");
    }

    internal static OnnxModelInput Input(ReadOnlySpan<byte> message)
    {
        string name = string.Empty;
        ElementType? type = null;
        IReadOnlyList<OnnxDimension>? shape = null;
        var value = new ProtoReader(message);
        while (value.Next())
        {
            if (value.Field == GraphFields.ValueName)
            {
                name = value.Text;
            }
            else if (value.Field == GraphFields.ValueType)
            {
                var kinds = new ProtoReader(value.Bytes);
                while (kinds.Next())
                {
                    if (kinds.Field == TensorFields.TensorType)
                    {
                        (type, shape) = TensorType(kinds.Bytes);
                    }
                }
            }
        }

        return new OnnxModelInput(name, type, shape);
    }

    private static (ElementType? Type, IReadOnlyList<OnnxDimension>? Shape) TensorType(ReadOnlySpan<byte> message)
    {
        ElementType? type = null;
        List<OnnxDimension>? shape = null;
        var tensor = new ProtoReader(message);
        while (tensor.Next())
        {
            if (tensor.Field == TensorFields.ElementType)
            {
                type = OnnxDataType.From(tensor.Integer);
            }
            else if (tensor.Field == TensorFields.Shape)
            {
                shape = [];
                var dimensions = new ProtoReader(tensor.Bytes);
                while (dimensions.Next())
                {
                    shape.Add(Dimension(dimensions.Bytes));
                }
            }
        }

        return (type, shape);
    }

    private static OnnxDimension Dimension(ReadOnlySpan<byte> message)
    {
        var length = new ProtoReader(message);
        while (length.Next())
        {
            if (length.Field == TensorFields.Length && length.Integer > 0)
            {
                return length.Integer;
            }
        }

        return "?";
    }

    internal static (string Key, string Value) Entry(ReadOnlySpan<byte> message)
    {
        string key = string.Empty, value = string.Empty;
        var entry = new ProtoReader(message);
        while (entry.Next())
        {
            if (entry.Field == ModelFields.Key)
            {
                key = entry.Text;
            }
            else if (entry.Field == ModelFields.Value)
            {
                value = entry.Text;
            }
        }

        return (key, value);
    }
}
