using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>A <c>.npy</c> array as read-only memory, larger than RAM if need be.</summary>
/// <remarks>
/// A row is everything below the first dimension: [N, T, D] has N rows of T·D elements; a scalar is one row of one element.
/// Spans and pointers are valid until <see cref="Dispose"/>. Safe for concurrent readers.
/// </remarks>
public sealed unsafe class MappedNpy : IDisposable
{
    private readonly MappedFile _file;
    private readonly long _dataOffset;

    internal MappedNpy(MappedFile file, NpyHeader header)
    {
        _file = file;
        _dataOffset = header.DataOffset;
        ElementType = header.Type;
        Shape = header.Shape;
        RowCount = header.Shape.Length == 0 ? 1 : header.Shape[0];
        RowLength = RowCount == 0 ? 0 : header.DataBytes / header.Type.Size() / RowCount;
        RowBytes = RowLength * header.Type.Size();
    }

    public string Path => _file.Path;

    public ElementType ElementType { get; }

    /// <summary>Dimensions, outermost first; empty for a scalar. Not to be modified.</summary>
    public long[] Shape { get; }

    /// <summary>The first dimension.</summary>
    public long RowCount { get; }

    /// <summary>Elements of a row; 0 when there are no rows.</summary>
    public long RowLength { get; }

    /// <summary>Bytes of a row.</summary>
    public long RowBytes { get; }

    /// <summary>The first element; aligned to 64 bytes in files that NumPy ≥ 1.14 or we wrote.</summary>
    public byte* Data => _file.Start + _dataOffset;

    /// <summary>The first element of a row.</summary>
    public byte* RowPointer(long row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, RowCount);
        return Data + (row * RowBytes);
    }

    /// <summary>A row as it is stored.</summary>
    /// <exception cref="OverflowException">A row of 2 GiB or more; use <see cref="RowPointer"/>.</exception>
    public ReadOnlySpan<byte> Row(long row) => new(RowPointer(row), checked((int)RowBytes));

    /// <summary>A row as elements of exactly the stored type.</summary>
    /// <exception cref="FileFormatException">The file holds another type.</exception>
    public ReadOnlySpan<T> Row<T>(long row)
        where T : unmanaged => ElementTypes.Of<T>() == ElementType
            ? MemoryMarshal.Cast<byte, T>(Row(row))
            : throw new FileFormatException(Path, $"expected elements of type {ElementTypes.Of<T>()}, found {ElementType}");

    /// <summary>Copies a row of a floating-point array, widened or rounded to float.</summary>
    /// <param name="row">Its index.</param>
    /// <param name="destination">RowLength floats.</param>
    /// <exception cref="FileFormatException">The file holds integers.</exception>
    public void ReadRow(long row, Span<float> destination)
    {
        if (!ElementType.IsFloating())
        {
            throw new FileFormatException(Path, $"expected floating-point elements, found {ElementType}");
        }

        ElementConversion.ToSingle(ElementType, Row(row), destination);
    }

    /// <summary>Asks the operating system to read rows ahead of their use; returns at once.</summary>
    public void WillNeed(long firstRow, long rowCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rowCount, RowCount - firstRow);
        _file.WillNeed(_dataOffset + (firstRow * RowBytes), rowCount * RowBytes);
    }

    public void Dispose() => _file.Dispose();
}
