namespace CudaTrainer.Formats;

/// <summary>What one element of a stored array is; little-endian. Files know more types than the engine computes in.</summary>
public enum ElementType
{
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

public static class ElementTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        ElementType.F64 or ElementType.I64 or ElementType.U64 => 8,
        ElementType.F32 or ElementType.I32 or ElementType.U32 => 4,
        ElementType.F16 or ElementType.BF16 or ElementType.I16 or ElementType.U16 => 2,
        ElementType.I8 or ElementType.U8 or ElementType.Bool => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
    };

    /// <summary>
    /// Whether the elements are real numbers, which <see cref="ElementConversion.ToSingle(ElementType, ReadOnlySpan{byte}, Span{float})"/>
    /// converts.
    /// </summary>
    public static bool IsFloating(this ElementType type) =>
        type is ElementType.F64 or ElementType.F32 or ElementType.F16 or ElementType.BF16;

    /// <summary>The element type that <typeparamref name="T"/> has in a file.</summary>
    /// <exception cref="NotSupportedException">No file type has this representation.</exception>
    public static ElementType Of<T>()
        where T : unmanaged => default(T) switch
        {
            double => ElementType.F64,
            float => ElementType.F32,
            Half => ElementType.F16,
            long => ElementType.I64,
            int => ElementType.I32,
            short => ElementType.I16,
            sbyte => ElementType.I8,
            ulong => ElementType.U64,
            uint => ElementType.U32,
            ushort => ElementType.U16,
            byte => ElementType.U8,
            bool => ElementType.Bool,
            _ => throw new NotSupportedException($"{typeof(T).Name} is not an element type of a stored array."),
        };

    /// <summary>Elements of an array of this shape; 1 for a scalar.</summary>
    /// <returns>False when a dimension is negative or the size in bytes exceeds <see cref="long.MaxValue"/>.</returns>
    public static bool TryCountBytes(ReadOnlySpan<long> shape, ElementType type, out long elements, out long bytes)
    {
        elements = 0;
        bytes = 0;
        UInt128 total = (UInt128)type.Size();
        bool empty = false;
        foreach (long dimension in shape)
        {
            if (dimension < 0)
            {
                return false;
            }

            // A zero makes the array empty, but the other dimensions must still be sane.
            empty |= dimension == 0;
            total *= (UInt128)Math.Max(dimension, 1);
            if (total > long.MaxValue)
            {
                return false;
            }
        }

        bytes = empty ? 0 : (long)total;
        elements = bytes / type.Size();
        return true;
    }

    /// <summary>A shape as it is shown to people: <c>[2, 3]</c>, <c>[]</c> for a scalar.</summary>
    public static string Format(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
