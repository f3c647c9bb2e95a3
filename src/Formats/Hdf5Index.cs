using System.Buffers.Binary;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>A dataset of floating-point numbers.</summary>
/// <param name="Entry">Element type and shape; null when they are none that can be read.</param>
/// <param name="Offset">Where the elements lie in the file; <see cref="ReadByLibrary"/> or <see cref="NotReadable"/>.</param>
internal sealed record Hdf5Dataset(TensorEntry? Entry, long Offset)
{
    public const long ReadByLibrary = -1;
    public const long NotReadable = -2;
}

/// <summary>Fills the destination as far as there are bytes, and returns how many.</summary>
internal delegate int ByteSource(Span<byte> destination);

/// <summary>Everything in an HDF5 file but its numbers. Paths begin with a slash.</summary>
internal sealed class Hdf5Index
{
    /// <summary>As in <c>native/hdf5/internal.h</c>.</summary>
    private const int MaxTextBytes = 64 << 20, MaxTexts = 65536, MaxRank = 8;

    private readonly Dictionary<(string Path, string Name), string[]> _attributes = [];
    private readonly Dictionary<string, Hdf5Dataset> _datasets = new(StringComparer.Ordinal);
    private readonly HashSet<string> _groups = new(StringComparer.Ordinal);
    private readonly HashSet<string> _links = new(StringComparer.Ordinal);

    private Hdf5Index()
    {
    }

    /// <summary>By path, in alphabetical order within each group.</summary>
    public IReadOnlyDictionary<string, Hdf5Dataset> Datasets => _datasets;

    /// <summary>Soft and external links, which are never followed.</summary>
    public IReadOnlySet<string> Links => _links;

    public bool HasGroup(string path) => _groups.Contains(path);

    /// <summary>The texts of an attribute; empty for an empty attribute of any type, null if there is none.</summary>
    public string[]? Texts(string path, string name) => _attributes.GetValueOrDefault((path, name));

    /// <summary>Attributes of texts that an object has.</summary>
    public IEnumerable<(string Name, string[] Texts)> AttributesOf(string path) =>
        _attributes.Where(pair => pair.Key.Path == path).Select(pair => (pair.Key.Name, pair.Value));

    /// <exception cref="FileFormatException">libhdf5 does not open it, or it exceeds a limit.</exception>
    public static Hdf5Index Read(NativeHdf5 native, string path)
    {
        using var stream = Hdf5Stream.OpenIndex(native, path);
        return Parse(path, stream.Read);
    }

    /// <summary>
    /// Reads what the child process sends, and believes none of it: whatever a hostile file makes of libhdf5, it shall not get at this
    /// process.
    /// </summary>
    /// <exception cref="FileFormatException">It is no index.</exception>
    internal static Hdf5Index Parse(string path, ByteSource source)
    {
        var reader = new Reader(path, source);
        var index = new Hdf5Index();
        while (reader.TryReadByte(out byte kind))
        {
            string name = reader.ReadText();
            switch ((char)kind)
            {
                case 'G':
                    index._groups.Add(name);
                    break;
                case 'L':
                    index._links.Add(name);
                    break;
                case 'A':
                    string attribute = reader.ReadText();
                    string[] texts = new string[reader.ReadCount(MaxTexts)];
                    for (int i = 0; i < texts.Length; i++)
                    {
                        texts[i] = reader.ReadText();
                    }

                    index._attributes[(name, attribute)] = texts;
                    break;
                case 'D':
                    index._datasets[name] = reader.ReadDataset();
                    break;
                default:
                    throw Nonsense(path, $"a record of kind {kind}");
            }
        }

        return index;
    }

    private static FileFormatException Nonsense(string path, string what) =>
        new(path, $"HDF5: the library sent {what}", "The file is damaged: copy or download it again.");

    private sealed class Reader(string path, ByteSource source)
    {
        private readonly byte[] _buffer = new byte[64 << 10];
        private int _next;
        private int _end;

        public bool TryReadByte(out byte value)
        {
            if (_next == _end && (_end = source(_buffer)) == (_next = 0))
            {
                value = 0;
                return false;
            }

            value = _buffer[_next++];
            return true;
        }

        public int ReadCount(int most) =>
            BinaryPrimitives.ReadUInt32LittleEndian(ReadBytes(stackalloc byte[4])) is var count && count <= most
            ? (int)count
            : throw Nonsense(path, $"a length of {count}");

        /// <summary>Texts that are not valid UTF-8 keep their length, with replacement characters.</summary>
        public string ReadText() => Encoding.UTF8.GetString(ReadBytes(new byte[ReadCount(MaxTextBytes)]));

        public Hdf5Dataset ReadDataset()
        {
            ElementType? type = ReadByte() switch
            {
                1 => ElementType.F16,
                2 => ElementType.F32,
                3 => ElementType.F64,
                _ => null,
            };
            byte rank = ReadByte();
            long[] shape = rank <= MaxRank ? new long[rank] : throw Nonsense(path, $"an array of {rank} dimensions");
            for (int i = 0; i < shape.Length; i++)
            {
                shape[i] = ReadInt64();
            }

            long offset = ReadInt64();
            return type is { } known && offset >= Hdf5Dataset.NotReadable && ElementTypes.TryCountBytes(shape, known, out _, out _)
                ? new Hdf5Dataset(new TensorEntry(known, shape), offset)
                : new Hdf5Dataset(null, Hdf5Dataset.NotReadable);
        }

        private long ReadInt64() => BinaryPrimitives.ReadInt64LittleEndian(ReadBytes(stackalloc byte[8]));

        private byte ReadByte() => TryReadByte(out byte value)
            ? value
            : throw Nonsense(path, "the beginning of a record");

        private ReadOnlySpan<byte> ReadBytes(Span<byte> destination)
        {
            int done = 0;
            while (done < destination.Length)
            {
                if (_next == _end)
                {
                    destination[done++] = ReadByte();
                    continue;
                }

                int part = Math.Min(destination.Length - done, _end - _next);
                _buffer.AsSpan(_next, part).CopyTo(destination[done..]);
                _next += part;
                done += part;
            }

            return destination;
        }
    }
}
