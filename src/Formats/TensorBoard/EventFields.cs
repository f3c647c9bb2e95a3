namespace CudaTrainer.Formats.TensorBoard;

/// <summary>Field numbers of message Event (tensorboard/compat/proto/event.proto).</summary>
internal static class EventFields
{
    public const int WallTime = 1;
    public const int Step = 2;
    public const int FileVersion = 3;
    public const int Summary = 5;
    public const int SessionLog = 7;
}

/// <summary>Field numbers of message SessionLog (the same file).</summary>
internal static class SessionFields
{
    public const int Status = 1;

    /// <summary>A value of <see cref="Status"/>.</summary>
    public const int Start = 1;
}

/// <summary>Field numbers of messages Summary, Summary.Value, SummaryMetadata and SummaryMetadata.PluginData (summary.proto).</summary>
internal static class SummaryFields
{
    public const int Value = 1;

    public const int Tag = 1;
    public const int Tensor = 8;
    public const int Metadata = 9;

    public const int PluginData = 1;
    public const int DataClass = 4;

    public const int PluginName = 1;
    public const int PluginContent = 2;
}

/// <summary>Field numbers of messages TensorProto, TensorShapeProto and its Dim (tensor.proto, tensor_shape.proto).</summary>
internal static class TensorFields
{
    public const int Type = 1;
    public const int Shape = 2;
    public const int Content = 4;
    public const int Floats = 5;
    public const int Strings = 8;

    public const int Dimension = 2;

    public const int Size = 1;
}

/// <summary>Field numbers of the hparams plugin's messages (plugins/hparams/plugin_data.proto) and of google.protobuf.Value.</summary>
internal static class HParamsFields
{
    public const int SessionStart = 3;
    public const int SessionEnd = 4;

    public const int Parameters = 1;
    public const int StartSeconds = 5;

    public const int Status = 1;
    public const int EndSeconds = 2;

    /// <summary>A value of <see cref="Status"/>.</summary>
    public const int Success = 1;

    public const int Key = 1;
    public const int MapValue = 2;

    public const int Number = 2;
    public const int String = 3;
    public const int Bool = 4;
}

/// <summary>TensorBoard's classes of data (summary.proto).</summary>
internal enum DataClass
{
    /// <summary>Left for the reader to tell by the plugin.</summary>
    Unknown = 0,
    Tensor = 2,
    BlobSequence = 3,
}

/// <summary>Types of tensors (types.proto).</summary>
internal enum TensorType
{
    Float = 1,
    Double = 2,
    String = 7,
}
