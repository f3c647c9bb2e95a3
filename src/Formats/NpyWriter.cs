using System.Runtime.InteropServices;

namespace CudaTrainer.Formats;

/// <summary>Writes one <c>.npy</c> file row by row; it appears under its name only when <see cref="Complete"/> succeeds.</summary>
public sealed class NpyWriter : IDisposable
{
    private readonly AtomicFile _file;
    private readonly ElementType _type;
    private readonly long _expectedBytes;
    private long _writtenBytes;

    private NpyWriter(AtomicFile file, ElementType type, long expectedBytes)
    {
        _file = file;
        _type = type;
        _expectedBytes = expectedBytes;
    }

    /// <summary>Starts a file of a known shape.</summary>
    /// <param name="path">The destination.</param>
    /// <param name="type">Any type but BF16, which NumPy lacks.</param>
    /// <param name="shape">Dimensions; none for a scalar.</param>
    /// <exception cref="IOException">The file cannot be created.</exception>
    public static NpyWriter Create(string path, ElementType type, params ReadOnlySpan<long> shape)
    {
        if (!ElementTypes.TryCountBytes(shape, type, out _, out long bytes))
        {
            throw new ArgumentException($"Shape {ElementTypes.Format(shape)} is negative or too large.", nameof(shape));
        }

        byte[] header = NpyHeader.Build(type, shape);
        var file = AtomicFile.Create(path);
        var writer = new NpyWriter(file, type, bytes);
        try
        {
            file.Append(header);
            return writer;
        }
        catch
        {
            writer.Dispose();
            throw;
        }
    }

    /// <summary>Appends elements, in row-major order.</summary>
    public void Append<T>(ReadOnlySpan<T> elements)
        where T : unmanaged
    {
        if (ElementTypes.Of<T>() != _type)
        {
            throw new ArgumentException($"{_file.Path} holds {_type}, not {ElementTypes.Of<T>()}.", nameof(elements));
        }

        AppendBytes(MemoryMarshal.AsBytes(elements));
    }

    /// <summary>Appends elements as they are stored: little-endian, row-major.</summary>
    public void AppendBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _expectedBytes - _writtenBytes)
        {
            throw new ArgumentException($"{_file.Path} holds {_expectedBytes} bytes of data; {bytes.Length} more would exceed them.",
                nameof(bytes));
        }

        _file.Append(bytes);
        _writtenBytes += bytes.Length;
    }

    /// <summary>Makes the file durable and visible.</summary>
    /// <exception cref="InvalidOperationException">Fewer elements were appended than the shape has.</exception>
    /// <exception cref="IOException">Writing failed.</exception>
    public void Complete()
    {
        if (_writtenBytes != _expectedBytes)
        {
            throw new InvalidOperationException($"{_file.Path} needs {_expectedBytes} bytes of data, {_writtenBytes} were appended.");
        }

        _file.Commit();
    }

    /// <summary>Discards an uncompleted file.</summary>
    public void Dispose() => _file.Dispose();
}
