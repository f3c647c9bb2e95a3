namespace CudaTrainer.Formats.Onnx;

/// <summary>Field numbers of message ModelProto (onnx/onnx.proto), of OperatorSetIdProto and of StringStringEntryProto.</summary>
internal static class ModelFields
{
    public const int IrVersion = 1;
    public const int ProducerName = 2;
    public const int ProducerVersion = 3;
    public const int Graph = 7;
    public const int OpsetImport = 8;
    public const int Metadata = 14;
    public const int Functions = 25;

    public const int OpsetDomain = 1;
    public const int OpsetVersion = 2;

    public const int Key = 1;
    public const int Value = 2;
}

/// <summary>Field numbers of messages GraphProto and ValueInfoProto.</summary>
internal static class GraphFields
{
    public const int Node = 1;
    public const int Name = 2;
    public const int Initializer = 5;
    public const int Input = 11;
    public const int Output = 12;
    public const int ValueInfo = 13;
    public const int SparseInitializer = 15;

    public const int ValueName = 1;
    public const int ValueType = 2;
}

/// <summary>Field numbers of messages NodeProto and AttributeProto.</summary>
internal static class NodeFields
{
    public const int Input = 1;
    public const int Output = 2;
    public const int Name = 3;
    public const int OpType = 4;
    public const int Attribute = 5;
    public const int Domain = 7;

    public const int AttributeName = 1;
    public const int Integer = 3;
    public const int Text = 4;
    public const int Subgraph = 6;
    public const int Integers = 8;
    public const int Subgraphs = 11;
    public const int AttributeType = 20;
}

/// <summary>Field numbers of messages TensorProto, TypeProto with its Tensor, and TensorShapeProto with its Dimension.</summary>
internal static class TensorFields
{
    public const int Dimensions = 1;
    public const int DataType = 2;
    public const int Name = 8;
    public const int RawData = 9;
    public const int ExternalData = 13;
    public const int DataLocation = 14;

    public const int TensorType = 1;
    public const int ElementType = 1;
    public const int Shape = 2;

    public const int Dimension = 1;
    public const int Length = 1;
    public const int Symbol = 2;
}

/// <summary>AttributeProto.AttributeType.</summary>
internal enum OnnxAttributeType
{
    Integer = 2,
    Text = 3,
    Integers = 7,
}

/// <summary>TensorProto.DataType.</summary>
internal static class OnnxDataType
{
    private static readonly Dictionary<ElementType, int> Codes =
        new() { [ElementType.F32] = 1, [ElementType.U8] = 2, [ElementType.I64] = 7 };

    /// <exception cref="ArgumentException">No export uses this type.</exception>
    public static int Of(ElementType type) => Codes.TryGetValue(type, out int code)
        ? code
        : throw new ArgumentException($"{type} is no type of a tensor in ONNX files of ours.", nameof(type));

    /// <summary>The type of a code; null for types that no export uses.</summary>
    public static ElementType? From(long code) => Codes.FirstOrDefault(pair => pair.Value == code) is { Value: > 0 } found
        ? found.Key
        : null;
}
