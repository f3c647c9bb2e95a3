using System.Globalization;

namespace CudaTrainer.Formats.Onnx;

/// <summary>An attribute of a node: a number, a text or a list of numbers.</summary>
public sealed record OnnxAttribute
{
    private OnnxAttribute(string name, object value) => (Name, Value) = (name, value);

    public string Name { get; }

    /// <summary>A <see cref="long"/>, a <see cref="string"/> or a <see cref="long"/> array.</summary>
    internal object Value { get; }

    public static OnnxAttribute Of(string name, long value) => new(name, value);

    public static OnnxAttribute Of(string name, string value) => new(name, value);

    public static OnnxAttribute Of(string name, params long[] values) => new(name, (object)values);
}

/// <summary>A length that is fixed, or one that each run may choose, by name.</summary>
public readonly record struct OnnxDimension(long Length, string? Symbol)
{
    public static implicit operator OnnxDimension(long length) => new(length, null);

    public static implicit operator OnnxDimension(string symbol) => new(0, symbol);

    public override string ToString() => Symbol ?? Length.ToString(CultureInfo.InvariantCulture);
}

/// <summary>An input or output of a graph.</summary>
public sealed record OnnxValue(string Name, ElementType Type, IReadOnlyList<OnnxDimension> Shape);

/// <summary>An operation with one output, after which it is named.</summary>
public sealed record OnnxNode(string Operation, string Output, IReadOnlyList<string> Inputs, IReadOnlyList<OnnxAttribute> Attributes)
{
    /// <summary>Of a part of another model, the message as it is written; null for our own.</summary>
    internal byte[]? Message { get; init; }
}

/// <summary>
/// A graph of ONNX operations while it is put together, in operations of <see cref="Opset"/>. Every value has a name of its own and is
/// there before it is used, so nodes are in topological order. A part of another model may go into it, which raises the version.
/// </summary>
public sealed class OnnxGraph(string name)
{
    /// <summary>From this version on means over axes get these as an input.</summary>
    private const int AxesAreInputs = 18;

    /// <summary>Version of the operator set: that of ONNX 1.10, which ONNX Runtime reads from 1.10 on.</summary>
    public const int Opset = 15;

    /// <summary>Version of the file format, of the same release.</summary>
    public const int IrVersion = 8;

    private readonly List<OnnxValue> _inputs = [];
    private readonly List<OnnxValue> _outputs = [];
    private readonly List<OnnxNode> _nodes = [];
    private readonly List<NamedTensor> _initializers = [];
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    public string Name => name;

    /// <summary>Version of the operator set that the graph needs.</summary>
    public long OpsetVersion => Part?.Opset ?? Opset;

    /// <summary>The part of another model in it; null for none.</summary>
    internal OnnxPart? Part { get; private set; }

    public IReadOnlyList<OnnxValue> Inputs => _inputs;

    public IReadOnlyList<OnnxValue> Outputs => _outputs;

    public IReadOnlyList<OnnxNode> Nodes => _nodes;

    /// <summary>The weights, each delivered when it is written.</summary>
    public IReadOnlyList<NamedTensor> Initializers => _initializers;

    /// <returns>The input's name, as for every value.</returns>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public string Input(string value, ElementType type, params OnnxDimension[] shape)
    {
        Define(value);
        _inputs.Add(new OnnxValue(value, type, shape));
        return value;
    }

    /// <summary>Declares a value an output.</summary>
    /// <exception cref="ArgumentException">There is no such value.</exception>
    public void Output(string value, ElementType type, params OnnxDimension[] shape)
    {
        Require(value);
        _outputs.Add(new OnnxValue(value, type, shape));
    }

    /// <summary>Adds a weight.</summary>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public string Constant(NamedTensor tensor)
    {
        Define(tensor.Name);
        _initializers.Add(tensor);
        return tensor.Name;
    }

    /// <inheritdoc cref="Constant(NamedTensor)"/>
    public string Constant<T>(string value, T[] elements, params long[] shape)
        where T : unmanaged => Constant(NamedTensor.Of<T>(value, elements, shape));

    /// <summary>Adds an operation.</summary>
    /// <param name="operation">ONNX's name for it.</param>
    /// <param name="output">The name of its only output used.</param>
    /// <param name="inputs">Values; an empty name for one that is left out.</param>
    /// <exception cref="ArgumentException">An input is unknown, or the output's name is taken.</exception>
    public string Add(string operation, string output, IReadOnlyList<string> inputs, params OnnxAttribute[] attributes)
    {
        if (operation == "ReduceMean" && OpsetVersion >= AxesAreInputs
            && attributes.FirstOrDefault(attribute => attribute.Name == "axes") is { Value: long[] axes } given)
        {
            inputs = [.. inputs, Constant<long>($"{output}/axes", axes, axes.Length)];
            attributes = [.. attributes.Where(attribute => attribute != given)];
        }

        foreach (string input in inputs)
        {
            Require(input);
        }

        Define(output);
        _nodes.Add(new OnnxNode(operation, output, inputs, attributes));
        return output;
    }

    /// <summary>Announces a part of another model, before anything else, since what follows is written in its version.</summary>
    internal void Use(OnnxPart part) => Part = part;

    /// <summary>Adds the operations of the part.</summary>
    /// <param name="input">What goes into it, of the type and shape that it takes.</param>
    /// <returns>The name of what it gives.</returns>
    internal string AddPart(string input)
    {
        Add("Identity", Part!.Input, [input]);
        foreach (byte[] message in Part.Nodes)
        {
            OnnxOperation operation = OnnxOperation.Read(message);
            _nodes.Add(new OnnxNode(operation.Type, operation.Outputs[0], operation.Inputs, []) { Message = message });
        }

        Define(Part.Output);
        return Part.Output;
    }

    private void Define(string value)
    {
        if (value.Length == 0 || !_known.Add(value))
        {
            throw new ArgumentException($"Two values of the graph are called '{value}'.", nameof(value));
        }
    }

    private void Require(string value)
    {
        if (!_known.Contains(value))
        {
            throw new ArgumentException($"The graph has no value '{value}' yet.", nameof(value));
        }
    }
}
