namespace CudaTrainer.Formats;

/// <summary>A stored tensor: its element type in the file and its dimensions, outermost first, empty for a scalar.</summary>
public sealed record TensorEntry(ElementType Type, long[] Shape)
{
    /// <summary>Product of the dimensions.</summary>
    public long ElementCount => ElementTypes.TryCountBytes(Shape, Type, out long elements, out _)
        ? elements
        : throw new OverflowException($"Shape {ElementTypes.Format(Shape)} of {Type} is too large.");

    public override string ToString() => $"{Type} {ElementTypes.Format(Shape)}";
}

/// <summary>A file of named tensors, whatever its format. Safe for concurrent readers.</summary>
public interface ITensorArchive : IDisposable
{
    string Path { get; }

    /// <summary>Tensors by name, in the order of the file.</summary>
    IReadOnlyDictionary<string, TensorEntry> Entries { get; }

    /// <summary>Free text stored beside the tensors; empty for formats without any.</summary>
    IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads a floating-point tensor in row-major order, converted to float.</summary>
    /// <param name="name">A key of <see cref="Entries"/>.</param>
    /// <param name="destination">As many floats as the tensor has elements.</param>
    /// <exception cref="FileFormatException">No such tensor, or its elements are integers; names file and tensor.</exception>
    /// <exception cref="ArgumentException">destination has another length.</exception>
    void Read(string name, Span<float> destination);
}
