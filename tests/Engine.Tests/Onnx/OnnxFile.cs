using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tests.Formats;

namespace CudaTrainer.Engine.Tests.Onnx;

/// <param name="Type">0 for a value without one.</param>
/// <param name="Shape">Lengths; -1 for one that has a name instead.</param>
internal sealed record FileValue(string Name, int Type, long[] Shape, string?[] Symbols);

/// <param name="Integers">Attributes that are numbers or lists of them.</param>
/// <param name="Texts">Attributes that are text.</param>
internal sealed record FileNode(string Name, string Operation, string[] Inputs, string[] Outputs, Dictionary<string, long[]> Integers,
    Dictionary<string, string> Texts);

internal sealed record FileTensor(string Name, int Type, long[] Shape, ReadOnlyMemory<byte> Data)
{
    public ReadOnlySpan<float> Floats => MemoryMarshal.Cast<byte, float>(Data.Span);
}

/// <summary>
/// An ONNX file, read by the letter of onnx.proto: unknown fields, repeated single fields and wrong wire types fail. Written apart from the
/// writer: no code or table of it is used.
/// </summary>
internal sealed class OnnxFile
{
    public const int Float = 1, UInt8 = 2, Int64 = 7;

    private static readonly Dictionary<int, int> Sizes = new() { [Float] = 4, [UInt8] = 1, [Int64] = 8 };

    public OnnxFile(ReadOnlyMemory<byte> bytes)
    {
        WireMessage model = new WireMessage(bytes)
            .With((1, 0, false), (2, 2, false), (3, 2, false), (7, 2, false), (8, 2, true), (14, 2, true));
        IrVersion = model.Integer(1);
        Producer = $"{model.Text(2)} {model.Text(3)}";
        Opset = model.Messages(8).ShouldHaveSingleItem().With((2, 0, false)).Integer(2);
        Metadata = model.Messages(14).ToDictionary(entry => entry.With((1, 2, false), (2, 2, false)).Text(1), entry => entry.Text(2));
        WireMessage graph = model.Message(7).With((1, 2, true), (2, 2, false), (5, 2, true), (11, 2, true), (12, 2, true));
        Nodes = [.. graph.Messages(1).Select(Node)];
        Tensors = graph.Messages(5).Select(Tensor).ToDictionary(tensor => tensor.Name);
        Inputs = [.. graph.Messages(11).Select(Value)];
        Outputs = [.. graph.Messages(12).Select(Value)];
    }

    public long IrVersion { get; }

    public long Opset { get; }

    public string Producer { get; }

    public Dictionary<string, string> Metadata { get; }

    public FileNode[] Nodes { get; }

    public Dictionary<string, FileTensor> Tensors { get; }

    public FileValue[] Inputs { get; }

    public FileValue[] Outputs { get; }

    private static FileNode Node(WireMessage node)
    {
        node.With((1, 2, true), (2, 2, true), (3, 2, false), (4, 2, false), (5, 2, true));
        Dictionary<string, long[]> integers = [];
        Dictionary<string, string> texts = [];
        foreach (WireMessage attribute in node.Messages(5))
        {
            attribute.With((1, 2, false), (3, 0, false), (4, 2, false), (8, 0, true), (20, 0, false));
            string name = attribute.Text(1);
            switch (attribute.Integer(20))
            {
                case 2:
                    integers.Add(name, [attribute.Integer(3)]);
                    break;
                case 3:
                    texts.Add(name, attribute.Text(4));
                    break;
                case 7:
                    integers.Add(name, [.. attribute.Integers(8)]);
                    break;
                default:
                    throw new InvalidDataException($"attribute {name} of type {attribute.Integer(20)}");
            }
        }

        return new FileNode(node.Text(3), node.Text(4), [.. node.Texts(1)], [.. node.Texts(2)], integers, texts);
    }

    private static FileTensor Tensor(WireMessage tensor)
    {
        tensor.With((1, 0, true), (2, 0, false), (8, 2, false), (9, 2, false));
        var read = new FileTensor(tensor.Text(8), (int)tensor.Integer(2), [.. tensor.Integers(1)], tensor.Memory(9));
        read.Data.Length.ShouldBe((int)read.Shape.Aggregate(1L, (product, length) => product * length) * Sizes[read.Type], read.Name);
        return read;
    }

    private static FileValue Value(WireMessage value)
    {
        if (!value.With((1, 2, false), (2, 2, false)).Has(2))
        {
            return new FileValue(value.Text(1), 0, [], []);
        }

        WireMessage tensor = value.Message(2).With((1, 2, false)).Message(1)
            .With((1, 0, false), (2, 2, false));
        WireMessage[] lengths = [.. tensor.Message(2).With((1, 2, true)).Messages(1)
            .Select(length => length.With((1, 0, false), (2, 2, false)))];
        return new FileValue(
            value.Text(1), (int)tensor.Integer(1), [.. lengths.Select(length => length.Has(1) ? length.Integer(1) : -1)],
                [.. lengths.Select(length => length.Has(2) ? length.Text(2) : null)]);
    }
}
