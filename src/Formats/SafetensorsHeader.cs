using System.Text.Json;

namespace CudaTrainer.Formats;

/// <summary>Where a tensor's bytes lie, counted from the start of the data.</summary>
internal readonly record struct Extent(long Begin, long End)
{
    public long Length => End - Begin;
}

/// <summary>The parsed and validated JSON header of a <c>.safetensors</c> file.</summary>
internal sealed class SafetensorsHeader
{
    private const int MaxRank = 64;

    private readonly string _path;
    private readonly Dictionary<string, TensorEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Extent> _extents = new(StringComparer.Ordinal);
    private Dictionary<string, string>? _metadata;

    private SafetensorsHeader(string path) => _path = path;

    public IReadOnlyDictionary<string, TensorEntry> Entries => _entries;

    public Dictionary<string, Extent> Extents => _extents;

    public IReadOnlyDictionary<string, string> Metadata => _metadata ?? [];

    /// <param name="path">The file, for messages.</param>
    /// <param name="json">The header, trailing spaces included.</param>
    /// <param name="dataBytes">Bytes that follow the header.</param>
    /// <exception cref="FileFormatException">Any rule of the format is broken.</exception>
    public static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataBytes)
    {
        var header = new SafetensorsHeader(path);
        try
        {
            header.ParseObject(new Utf8JsonReader(json));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text that is not valid UTF-8 or holds half a surrogate pair.
            throw new FileFormatException(path, $"the header is not valid JSON ({exception.Message.TrimEnd('.')})", inner: exception);
        }

        header.CheckCoverage(dataBytes);
        return header;
    }

    private void ParseObject(Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject, "the header must be a JSON object");
        while (NextKey(ref reader, "the header") is { } name)
        {
            if (name == Safetensors.MetadataKey)
            {
                ParseMetadata(ref reader);
            }
            else
            {
                ParseTensor(ref reader, name);
            }
        }

        // Consumes the padding, and fails on anything that is not padding.
        while (reader.Read())
        {
        }
    }

    private void ParseMetadata(ref Utf8JsonReader reader)
    {
        if (_metadata is not null)
        {
            throw Broken($"key '{Safetensors.MetadataKey}' is repeated");
        }

        _metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        Expect(ref reader, JsonTokenType.StartObject, $"'{Safetensors.MetadataKey}' must be an object");
        while (NextKey(ref reader, Safetensors.MetadataKey) is { } key)
        {
            Expect(ref reader, JsonTokenType.String, $"'{Safetensors.MetadataKey}' must hold only texts, not so '{key}'");
            if (!_metadata.TryAdd(key, reader.GetString()!))
            {
                throw Broken($"key '{key}' of '{Safetensors.MetadataKey}' is repeated");
            }
        }
    }

    private void ParseTensor(ref Utf8JsonReader reader, string name)
    {
        string? typeName = null;
        long[]? shape = null;
        long[]? offsets = null;

        Expect(ref reader, JsonTokenType.StartObject, $"tensor '{name}' must be an object");
        while (NextKey(ref reader, $"tensor '{name}'") is { } key)
        {
            switch (key)
            {
                case "dtype" when typeName is null:
                    Expect(ref reader, JsonTokenType.String, $"tensor '{name}': dtype must be a text");
                    typeName = reader.GetString();
                    break;
                case "shape" when shape is null:
                    shape = ParseNumbers(ref reader, $"tensor '{name}': shape", MaxRank);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ParseNumbers(ref reader, $"tensor '{name}': data_offsets", 2);
                    break;
                default:
                    throw Broken($"tensor '{name}': key '{key}' is unknown or repeated");
            }
        }

        if (typeName is null || shape is null || offsets is not [var begin, var end])
        {
            throw Broken($"tensor '{name}' lacks dtype, shape or two data_offsets");
        }

        if (!SafetensorsTypes.TryParse(typeName, out ElementType type))
        {
            throw new FileFormatException(
                _path, $"tensor '{name}' has elements of type '{typeName}', which is not supported", "Convert it to F32, F16 or BF16.");
        }

        if (begin > end)
        {
            throw Broken($"tensor '{name}' ends at {end}, before its begin {begin}");
        }

        if (!ElementTypes.TryCountBytes(shape, type, out _, out long bytes) || bytes != end - begin)
        {
            throw Broken($"tensor '{name}': {type} {ElementTypes.Format(shape)} does not take the {end - begin} bytes from {begin} to {end}");
        }

        if (!_entries.TryAdd(name, new TensorEntry(type, shape)))
        {
            throw Broken($"tensor '{name}' is repeated");
        }

        _extents.Add(name, new Extent(begin, end));
    }

    private long[] ParseNumbers(ref Utf8JsonReader reader, string what, int limit)
    {
        Expect(ref reader, JsonTokenType.StartArray, $"{what} must be an array");
        var numbers = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
            {
                throw Broken($"{what} must hold only integers from 0 to {long.MaxValue}");
            }

            if (numbers.Count == limit)
            {
                throw Broken($"{what} has more than {limit} numbers");
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }

    private void CheckCoverage(long dataBytes)
    {
        long position = 0L;
        string previous = "the header";
        foreach ((string name, Extent extent) in _extents.OrderBy(pair => pair.Value.Begin).ThenBy(pair => pair.Value.End))
        {
            if (extent.Begin != position)
            {
                throw Broken($"tensor '{name}' begins at {extent.Begin}, {(extent.Begin < position ? "inside" : "not right after")} '{previous}', which ends at {position}");
            }

            position = extent.End;
            previous = name;
        }

        if (position != dataBytes)
        {
            throw new FileFormatException(
                _path,
                $"the header describes {position} bytes of data, found {dataBytes}",
                position > dataBytes ? "The file is truncated: copy or download it again." : null);
        }
    }

    private string? NextKey(ref Utf8JsonReader reader, string what)
    {
        reader.Read();
        return reader.TokenType switch
        {
            JsonTokenType.EndObject => null,
            JsonTokenType.PropertyName => reader.GetString(),
            _ => throw Broken($"{what} is not a complete object"),
        };
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType token, string rule)
    {
        if (!reader.Read() || reader.TokenType != token)
        {
            throw Broken(rule);
        }
    }

    private FileFormatException Broken(string message) => new(_path, $"malformed .safetensors header: {message}");
}
