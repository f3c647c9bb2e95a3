using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace CudaTrainer.Formats;

/// <summary>Delivers a tensor's bytes, row-major and little-endian; valid until the next call on any tensor.</summary>
/// <remarks>Called once, when the tensor's turn comes, so that one staging buffer can serve all tensors of a device.</remarks>
public delegate ReadOnlySpan<byte> TensorBytes();

/// <summary>A tensor to be written.</summary>
public sealed record NamedTensor(string Name, ElementType Type, long[] Shape, TensorBytes Data)
{
    /// <summary>A tensor in managed memory.</summary>
    public static NamedTensor Of<T>(string name, ReadOnlyMemory<T> data, params long[] shape)
        where T : unmanaged => new(name, ElementTypes.Of<T>(), shape, () => MemoryMarshal.AsBytes(data.Span));

    /// <summary>A tensor in native memory, which must live until it is written.</summary>
    public static unsafe NamedTensor Of(string name, ElementType type, void* data, params long[] shape)
    {
        int bytes = checked((int)(new TensorEntry(type, shape).ElementCount * type.Size()));
        return new NamedTensor(name, type, shape, () => new ReadOnlySpan<byte>(data, bytes));
    }
}

/// <summary>Writes <c>.safetensors</c> files; the same tensors and metadata give the same bytes.</summary>
public static class SafetensorsWriter
{
    private const int HeaderAlignment = 8;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Writes a file atomically (<see cref="AtomicFile"/>), streaming: no copy of the tensors is made.</summary>
    /// <param name="path">The destination.</param>
    /// <param name="tensors">Any order; written by descending alignment, then by name.</param>
    /// <param name="metadata">Free text.</param>
    /// <exception cref="ArgumentException">A name is repeated or reserved, or data and shape disagree.</exception>
    /// <exception cref="IOException">Writing failed; the old file is intact.</exception>
    public static void Write(string path, IEnumerable<NamedTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        AtomicFile.Write(path, stream => WriteTo(stream, tensors, metadata));

    /// <inheritdoc cref="Write"/>
    /// <summary>Writes the content of a file to a stream.</summary>
    public static void WriteTo(Stream stream, IEnumerable<NamedTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        NamedTensor[] ordered = tensors.ToArray();
        Array.Sort(ordered, CompareInFile);

        long[] lengths = new long[ordered.Length];
        for (int i = 0; i < ordered.Length; i++)
        {
            lengths[i] = CheckedLength(ordered[i]);
        }

        stream.Write(BuildHeader(ordered, lengths, metadata));
        for (int i = 0; i < ordered.Length; i++)
        {
            ReadOnlySpan<byte> bytes = ordered[i].Data();
            if (bytes.Length != lengths[i])
            {
                throw new ArgumentException(
                    $"Tensor '{ordered[i].Name}' {ordered[i].Type} {ElementTypes.Format(ordered[i].Shape)} takes {lengths[i]} bytes, " +
                        $"got {bytes.Length}.",
                    nameof(tensors));
            }

            stream.Write(bytes);
        }
    }

    private static int CompareInFile(NamedTensor left, NamedTensor right)
    {
        int byAlignment = SafetensorsTypes.Rank(left.Type).CompareTo(SafetensorsTypes.Rank(right.Type));
        return byAlignment != 0 ? byAlignment : string.CompareOrdinal(left.Name, right.Name);
    }

    private static long CheckedLength(NamedTensor tensor)
    {
        CheckText(tensor.Name);
        if (tensor.Name == Safetensors.MetadataKey)
        {
            throw new ArgumentException($"'{tensor.Name}' is reserved and cannot name a tensor.", nameof(tensor));
        }

        return ElementTypes.TryCountBytes(tensor.Shape, tensor.Type, out _, out long bytes)
            ? bytes
            : throw new ArgumentException($"Tensor '{tensor.Name}' has the impossible shape {ElementTypes.Format(tensor.Shape)}.",
                nameof(tensor));
    }

    private static ReadOnlySpan<byte> BuildHeader(NamedTensor[] tensors, long[] lengths, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        buffer.Advance(WriteLength(buffer.GetSpan(Safetensors.LengthBytes), 0));

        // The relaxed encoder leaves letters of all languages as they are, as the reference implementation does.
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            var names = new HashSet<string>(tensors.Length, StringComparer.Ordinal);
            long offset = 0L;
            for (int i = 0; i < tensors.Length; i++)
            {
                if (!names.Add(tensors[i].Name))
                {
                    throw new ArgumentException($"Two tensors are named '{tensors[i].Name}'.", nameof(tensors));
                }

                WriteTensor(json, tensors[i], offset, offset += lengths[i]);
            }

            json.WriteEndObject();
        }

        int padding = -buffer.WrittenCount & (HeaderAlignment - 1);
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);

        int headerBytes = buffer.WrittenCount - Safetensors.LengthBytes;
        if (headerBytes > Safetensors.MaxHeaderBytes)
        {
            throw new ArgumentException($"The header takes {headerBytes} bytes; the format allows {Safetensors.MaxHeaderBytes}.",
                nameof(tensors));
        }

        Span<byte> header = MemoryMarshal.AsMemory(buffer.WrittenMemory).Span;
        WriteLength(header, headerBytes);
        return header;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is not { Count: > 0 })
        {
            return;
        }

        json.WriteStartObject(Safetensors.MetadataKey);
        foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            CheckText(key);
            CheckText(value);
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteTensor(Utf8JsonWriter json, NamedTensor tensor, long begin, long end)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype"u8, SafetensorsTypes.NameOf(tensor.Type));
        json.WriteStartArray("shape"u8);
        foreach (long dimension in tensor.Shape)
        {
            json.WriteNumberValue(dimension);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets"u8);
        json.WriteNumberValue(begin);
        json.WriteNumberValue(end);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static int WriteLength(Span<byte> destination, int length)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(destination, (ulong)length);
        return Safetensors.LengthBytes;
    }

    /// <summary>JSON cannot carry half a surrogate pair; the writer would replace it in silence.</summary>
    private static void CheckText(string text)
    {
        try
        {
            StrictUtf8.GetByteCount(text);
        }
        catch (EncoderFallbackException exception)
        {
            throw new ArgumentException($"'{text}' is not valid Unicode text.", nameof(text), exception);
        }
    }
}
