using System.Buffers.Binary;

namespace CudaTrainer.Formats;

/// <summary>A memory-mapped <c>.safetensors</c> file, fully validated on opening.</summary>
/// <remarks>
/// Format (huggingface/safetensors): u64 little-endian header length N, N bytes of JSON
/// <c>{"name":{"dtype":"F32","shape":[2,3],"data_offsets":[begin,end]},…,"__metadata__":{"key":"text"}}</c>, then the data,
/// row-major and little-endian; offsets count from the data's start and cover it without holes or overlaps.
/// </remarks>
public sealed class Safetensors : ITensorArchive
{
    /// <summary>The format's limit for the JSON header.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    internal const int LengthBytes = 8;
    internal const string MetadataKey = "__metadata__";

    private readonly MappedFile _file;
    private readonly long _dataOffset;
    private readonly SafetensorsHeader _header;

    private Safetensors(MappedFile file, long dataOffset, SafetensorsHeader header)
    {
        _file = file;
        _dataOffset = dataOffset;
        _header = header;
    }

    public string Path => _file.Path;

    public IReadOnlyDictionary<string, TensorEntry> Entries => _header.Entries;

    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Maps and validates a file.</summary>
    /// <exception cref="FileFormatException">The file breaks a rule of the format; the message names the tensor and the rule.</exception>
    public static Safetensors Open(string path)
    {
        var file = MappedFile.Open(path);
        try
        {
            if (file.Length < LengthBytes)
            {
                throw new FileFormatException(path,
                    $"not a .safetensors file: {file.Length} bytes, the header's length alone takes {LengthBytes}");
            }

            ulong declared = BinaryPrimitives.ReadUInt64LittleEndian(file.Span(0, LengthBytes));
            long available = file.Length - LengthBytes;
            if (declared > MaxHeaderBytes)
            {
                throw new FileFormatException(path,
                    $"not a .safetensors file: a header of {declared} bytes is declared, the limit is {MaxHeaderBytes}");
            }

            if ((long)declared > available)
            {
                throw new FileFormatException(
                    path, $"a header of {declared} bytes is declared, only {available} follow",
                        "The file is truncated: copy or download it again.");
            }

            long dataOffset = LengthBytes + (long)declared;
            var header = SafetensorsHeader.Parse(path, file.Span(LengthBytes, (int)declared), file.Length - dataOffset);
            return new Safetensors(file, dataOffset, header);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A tensor's bytes as stored, valid until <see cref="Dispose"/>.</summary>
    /// <exception cref="FileFormatException">No such tensor, or it has 2 GiB or more.</exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        if (!_header.Extents.TryGetValue(name, out Extent extent))
        {
            throw new FileFormatException(Path, $"there is no tensor '{name}'");
        }

        return extent.Length <= int.MaxValue
            ? _file.Span(_dataOffset + extent.Begin, (int)extent.Length)
            : throw new FileFormatException(Path, $"tensor '{name}' of {extent.Length} bytes is too large to be read at once");
    }

    public unsafe void Read(string name, Span<float> destination)
    {
        TensorEntry entry = TensorArchive.CheckRead(this, name, destination.Length);
        Extent extent = _header.Extents[name];
        _file.WillNeed(_dataOffset + extent.Begin, extent.Length);
        ElementConversion.ToSingle(entry.Type, _file.Start + _dataOffset + extent.Begin, destination);
    }

    public void Dispose() => _file.Dispose();
}
