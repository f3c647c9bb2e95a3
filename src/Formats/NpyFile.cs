using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>An array read into memory: <paramref name="Data"/> in row-major order.</summary>
public sealed record NpyArray<T>(long[] Shape, T[] Data);

/// <summary>Reads and writes NumPy <c>.npy</c> files: versions 1 to 3, C order, little-endian.</summary>
/// <remarks>
/// Every reader throws <see cref="FileFormatException"/> for a file that is damaged or of another kind,
/// <see cref="FileNotFoundException"/> or <see cref="UnauthorizedAccessException"/> for one that cannot be opened.
/// </remarks>
public static class NpyFile
{
    /// <summary>Maps the array into memory; nothing is read until it is touched.</summary>
    public static MappedNpy OpenMapped(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        var header = NpyHeader.Read(handle, path);
        return new MappedNpy(MappedFile.Map(handle, path), header);
    }

    /// <summary>The element type and shape, without the data.</summary>
    public static (ElementType Type, long[] Shape) ReadHeader(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        var header = NpyHeader.Read(handle, path);
        return (header.Type, header.Shape);
    }

    /// <summary>Reads an array whose elements are exactly <typeparamref name="T"/>.</summary>
    public static NpyArray<T> Read<T>(string path)
        where T : unmanaged
    {
        using SafeFileHandle handle = InputFile.Open(path);
        var header = NpyHeader.Read(handle, path);
        if (header.Type != ElementTypes.Of<T>())
        {
            throw new FileFormatException(path, $"expected elements of type {ElementTypes.Of<T>()}, found {header.Type}");
        }

        T[] data = Allocate<T>(path, header);
        ReadInBlocks(handle, path, header, (bytes, first) => bytes.CopyTo(MemoryMarshal.AsBytes(data.AsSpan(first))));
        return new NpyArray<T>(header.Shape, data);
    }

    /// <summary>Reads a floating-point array of any width as float.</summary>
    public static NpyArray<float> ReadSingle(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        var header = NpyHeader.Read(handle, path);
        if (!header.Type.IsFloating())
        {
            throw new FileFormatException(path, $"expected floating-point elements, found {header.Type}",
                "Save it with array.astype('float32').");
        }

        float[] data = Allocate<float>(path, header);
        ReadInBlocks(handle, path, header, (bytes, first) =>
            ElementConversion.ToSingle(header.Type, bytes, data.AsSpan(first, bytes.Length / header.Type.Size())));
        return new NpyArray<float>(header.Shape, data);
    }

    /// <summary>Reads an integer or boolean array of any width as long.</summary>
    public static NpyArray<long> ReadInt64(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        var header = NpyHeader.Read(handle, path);
        if (header.Type.IsFloating())
        {
            throw new FileFormatException(path, $"expected integer elements, found {header.Type}", "Save it with array.astype('int64').");
        }

        long[] data = Allocate<long>(path, header);
        try
        {
            ReadInBlocks(handle, path, header, (bytes, first) =>
                ElementConversion.ToInt64(header.Type, bytes, data.AsSpan(first, bytes.Length / header.Type.Size())));
        }
        catch (OverflowException)
        {
            throw new FileFormatException(path, $"an element exceeds {long.MaxValue}", "Save it with array.astype('int64').");
        }

        return new NpyArray<long>(header.Shape, data);
    }

    /// <summary>Writes an array atomically (<see cref="AtomicFile"/>) as version 1.0, data at a multiple of 64 bytes.</summary>
    /// <param name="path">The destination.</param>
    /// <param name="data">The elements in row-major order.</param>
    /// <param name="shape">Dimensions; none for a scalar. Their product is data.Length.</param>
    /// <exception cref="IOException">Writing failed.</exception>
    public static void Write<T>(string path, ReadOnlySpan<T> data, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        using var writer = NpyWriter.Create(path, ElementTypes.Of<T>(), shape);
        writer.Append(data);
        writer.Complete();
    }

    private static T[] Allocate<T>(string path, NpyHeader header)
    {
        long elements = header.DataBytes / header.Type.Size();
        return elements <= Array.MaxLength
            ? GC.AllocateUninitializedArray<T>((int)elements)
            : throw new FileFormatException(path, $"{elements} elements do not fit one array in memory");
    }

    private static void ReadInBlocks(SafeFileHandle handle, string path, NpyHeader header, BlockReader read)
    {
        const int blockBytes = 1 << 20;
        byte[] buffer = new byte[Math.Min(blockBytes, header.DataBytes)];
        for (long offset = 0; offset < header.DataBytes; offset += buffer.Length)
        {
            Span<byte> block = buffer.AsSpan(0, (int)Math.Min(buffer.Length, header.DataBytes - offset));
            InputFile.ReadExactly(handle, path, header.DataOffset + offset, block);
            read(block, (int)(offset / header.Type.Size()));
        }
    }

    private delegate void BlockReader(ReadOnlySpan<byte> bytes, int firstElement);
}
