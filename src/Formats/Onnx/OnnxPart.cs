using System.Globalization;

namespace CudaTrainer.Formats.Onnx;

/// <summary>
/// A part of a model of any origin that goes into another graph: every value is renamed, so that nothing there has the same name, and
/// weights that lie in other files are taken in.
/// </summary>
internal sealed class OnnxPart
{
    /// <summary>Begins the names of all values.</summary>
    private const string Prefix = "backbone/";

    /// <summary>
    /// Versions of the operator set in which an operation came to be written otherwise, or to mean something else, up to that of our own
    /// graphs. What was only extended is not here.
    /// </summary>
    private static readonly Dictionary<string, int> Rewritten = new(StringComparer.Ordinal)
    {
        ["Clip"] = 11, ["Hardmax"] = 13, ["LogSoftmax"] = 13, ["Pad"] = 11, ["ReduceSum"] = 13, ["Resize"] = 11, ["Scan"] = 9,
        ["Scatter"] = 11, ["Slice"] = 10, ["Softmax"] = 13, ["Split"] = 13, ["Squeeze"] = 13, ["TopK"] = 10, ["Unsqueeze"] = 13,
        ["Upsample"] = 10,
    };

    /// <summary>Since this version operations are given arrays of unlike shapes as they are today.</summary>
    private const int OldestOpset = 7;

    private readonly string _path;
    private readonly List<byte[]> _nodes = [];
    private readonly List<OnnxPartWeight> _weights = [];
    private readonly List<byte[]> _others = [];

    /// <param name="path">The file, for messages, and beside which its weights lie.</param>
    /// <param name="model">Its bytes, kept until they are written.</param>
    /// <param name="needed">The operations that are taken, in their order; null for the others.</param>
    /// <exception cref="FileFormatException">It cannot become part of another graph; says why.</exception>
    internal OnnxPart(string path, byte[] model, string input, string layer, IReadOnlyList<OnnxOperation?> needed)
    {
        (_path, Input, Output) = (path, Prefix + input, Prefix + layer);
        HashSet<string> used = [.. needed.Where(operation => operation is not null).SelectMany(operation => operation!.Inputs)];
        var fields = new ProtoReader(model);
        while (fields.Next())
        {
            switch (fields.Field)
            {
                case ModelFields.IrVersion:
                    IrVersion = fields.Integer;
                    break;
                case ModelFields.OpsetImport:
                    AddOpset(fields.Bytes, fields.Raw);
                    break;
                case ModelFields.Functions:
                    _others.Add(fields.Raw.ToArray());
                    break;
            }
        }

        if (ModelOpset < OldestOpset)
        {
            throw Refused($"its operations are of version {ModelOpset}, before {OldestOpset}");
        }

        int place = 0, number = 0;
        fields = new ProtoReader(model);
        while (fields.Next())
        {
            place += fields.Raw.Length;
            if (fields.Field != ModelFields.Graph)
            {
                continue;
            }

            int inside = place - fields.Bytes.Length;
            var graph = new ProtoReader(fields.Bytes);
            while (graph.Next())
            {
                inside += graph.Raw.Length;
                if (graph.Field == GraphFields.Node && needed[number++] is not null)
                {
                    _nodes.Add(Node(graph.Bytes));
                }
                else if (graph.Field == GraphFields.Initializer)
                {
                    AddWeight(model.AsMemory(inside - graph.Bytes.Length, graph.Bytes.Length), used);
                }
                else if (graph.Field == GraphFields.SparseInitializer)
                {
                    throw Refused("it has sparse weights");
                }
            }
        }
    }

    /// <summary>What its graph takes; nothing of it computes that.</summary>
    public string Input { get; }

    /// <summary>The layer that it gives.</summary>
    public string Output { get; }

    public long IrVersion { get; private set; }

    /// <summary>Of the graph that it goes into: at least that of our own graphs.</summary>
    public long Opset => Math.Max(ModelOpset, OnnxGraph.Opset);

    /// <summary>Messages NodeProto, in an order that can be run.</summary>
    public IReadOnlyList<byte[]> Nodes => _nodes;

    public IReadOnlyList<OnnxPartWeight> Weights => _weights;

    /// <summary>Fields of the model that operations of other domains need, as they stand in the file.</summary>
    public IReadOnlyList<byte[]> Others => _others;

    private long ModelOpset { get; set; } = 1;

    private static string Renamed(string name) => name.Length == 0 ? name : Prefix + name;

    private void AddOpset(ReadOnlySpan<byte> message, ReadOnlySpan<byte> field)
    {
        (string domain, long version) = (string.Empty, 0);
        var opset = new ProtoReader(message);
        while (opset.Next())
        {
            (domain, version) = opset.Field == ModelFields.OpsetDomain ? (opset.Text, version) : (domain, opset.Integer);
        }

        if (IsUsual(domain))
        {
            ModelOpset = version;
        }
        else
        {
            _others.Add(field.ToArray());
        }
    }

    private static bool IsUsual(string domain) => domain is "" or "ai.onnx";

    /// <summary>An operation with other names, written as the version of our graphs wants it.</summary>
    private byte[] Node(ReadOnlySpan<byte> message)
    {
        (string type, string domain) = (string.Empty, string.Empty);
        var fields = new ProtoReader(message);
        while (fields.Next())
        {
            type = fields.Field == NodeFields.OpType ? fields.Text : type;
            domain = fields.Field == NodeFields.Domain ? fields.Text : domain;
        }

        if (IsUsual(domain) && Rewritten.TryGetValue(type, out int version) && ModelOpset < version)
        {
            throw Refused($"its operation {type} is that of version {ModelOpset}, which is written otherwise from {version} on");
        }

        var node = new ProtoWriter();
        fields = new ProtoReader(message);
        while (fields.Next())
        {
            switch (fields.Field)
            {
                case NodeFields.Input or NodeFields.Output or NodeFields.Name:
                    node.Text(fields.Field, Renamed(fields.Text));
                    break;
                case NodeFields.Attribute:
                    AddAttribute(node, fields.Bytes, type);
                    break;
                default:
                    Copy(fields.Raw, node);
                    break;
            }
        }

        return node.From(0).ToArray();
    }

    private void AddAttribute(ProtoWriter node, ReadOnlySpan<byte> message, string type)
    {
        (string name, long value) = (string.Empty, 0);
        var fields = new ProtoReader(message);
        while (fields.Next())
        {
            name = fields.Field == NodeFields.AttributeName ? fields.Text : name;
            value = fields.Field == NodeFields.Integer ? fields.Integer : value;
        }

        // What inference has no use for, and newer versions do not know.
        if ((type == "Dropout" && name == "ratio" && ModelOpset < 12) || (type == "BatchNormalization" && name == "spatial" && value == 1))
        {
            return;
        }

        if (type == "BatchNormalization" && name == "spatial")
        {
            throw Refused("its batch normalisation is of every pixel by itself, which newer versions do not have");
        }

        int begin = node.Begin(NodeFields.Attribute);
        fields = new ProtoReader(message);
        while (fields.Next())
        {
            if (fields.Field is NodeFields.Subgraph or NodeFields.Subgraphs)
            {
                node.Bytes(fields.Field, Subgraph(fields.Bytes));
            }
            else
            {
                Copy(fields.Raw, node);
            }
        }

        node.End(begin);
    }

    /// <summary>The graph of a loop or branch with other names.</summary>
    private byte[] Subgraph(ReadOnlySpan<byte> message)
    {
        var graph = new ProtoWriter();
        var fields = new ProtoReader(message);
        while (fields.Next())
        {
            switch (fields.Field)
            {
                case GraphFields.Node:
                    graph.Bytes(fields.Field, Node(fields.Bytes));
                    break;
                case GraphFields.Input or GraphFields.Output or GraphFields.ValueInfo:
                    graph.Bytes(fields.Field, WithName(fields.Bytes, GraphFields.ValueName));
                    break;
                case GraphFields.Initializer:
                    graph.Bytes(fields.Field, WithName(fields.Bytes, TensorFields.Name));
                    break;
                case GraphFields.SparseInitializer:
                    throw Refused("it has sparse weights");
                default:
                    Copy(fields.Raw, graph);
                    break;
            }
        }

        return graph.From(0).ToArray();
    }

    private static byte[] WithName(ReadOnlySpan<byte> message, int nameField)
    {
        var renamed = new ProtoWriter();
        var fields = new ProtoReader(message);
        while (fields.Next())
        {
            if (fields.Field == nameField)
            {
                renamed.Text(nameField, Renamed(fields.Text));
            }
            else
            {
                Copy(fields.Raw, renamed);
            }
        }

        return renamed.From(0).ToArray();
    }

    private static void Copy(ReadOnlySpan<byte> field, ProtoWriter message) => field.CopyTo(message.Take(field.Length));

    private void AddWeight(ReadOnlyMemory<byte> message, HashSet<string> used)
    {
        string name = string.Empty;
        Dictionary<string, string> external = [];
        List<ReadOnlyMemory<byte>> rest = [];
        int place = 0;
        var fields = new ProtoReader(message.Span);
        while (fields.Next())
        {
            ReadOnlyMemory<byte> field = message.Slice(place, fields.Raw.Length);
            place += fields.Raw.Length;
            if (fields.Field == TensorFields.Name)
            {
                name = fields.Text;
            }
            else if (fields.Field == TensorFields.ExternalData)
            {
                (string key, string value) = OnnxModel.Entry(fields.Bytes);
                external[key] = value;
            }
            else if (fields.Field != TensorFields.DataLocation)
            {
                rest.Add(field);
            }
        }

        if (!used.Contains(name))
        {
            return;
        }

        var head = new ProtoWriter();
        head.Text(TensorFields.Name, Renamed(name));
        string? file = null;
        (long Offset, long Length) there = default;
        if (external.TryGetValue("location", out string? location))
        {
            file = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_path))!, location);
            there = PlaceIn(file, name, external);
        }

        var data = new ProtoWriter();
        if (file is not null)
        {
            data.Announce(TensorFields.RawData, there.Length);
        }

        _weights.Add(new OnnxPartWeight(Renamed(name), head.Length + rest.Sum(field => (long)field.Length) + data.Length + there.Length,
            stream =>
            {
                stream.Write(head.From(0));
                rest.ForEach(field => stream.Write(field.Span));
                stream.Write(data.From(0));
                if (file is not null)
                {
                    using MappedFile bytes = MappedFile.Open(file);
                    stream.Write(bytes.Span(there.Offset, checked((int)there.Length)));
                }
            }));
    }

    private (long Offset, long Length) PlaceIn(string file, string name, Dictionary<string, string> external)
    {
        long bytes = new FileInfo(file).Length, offset = Number("offset", 0);
        long length = Number("length", bytes - offset);
        return offset >= 0 && length >= 0 && offset <= bytes - length && length <= OnnxWriter.MaxBytes
            ? (offset, length)
            : throw new FileFormatException(_path, $"the weight '{name}' is said to lie at {offset} of '{file}', {length} bytes long, " +
                $"and the file has {bytes}", "Put the right file beside it, or export it again.");

        long Number(string key, long otherwise) => !external.TryGetValue(key, out string? text) ? otherwise
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number
            : -1;
    }

    private FileFormatException Refused(string why) => new(_path, $"it cannot be joined with a classifier: {why}",
        $"Export it again with operations of version {OnnxGraph.Opset} (opset), or leave {SettingName.Of("Whole")} out.");
}

/// <summary>A weight of a part.</summary>
/// <param name="Bytes">Of its message TensorProto.</param>
/// <param name="Write">Writes that message.</param>
internal sealed record OnnxPartWeight(string Name, long Bytes, Action<Stream> Write);
