using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>One file of a ZIP archive; <paramref name="Offset"/> is where its bytes start in the archive.</summary>
internal readonly record struct ZipMember(long Offset, long StoredLength, long Length, bool IsDeflated);

/// <summary>The directory of a mapped ZIP archive, ZIP64 included (PKWARE APPNOTE 6.3, sections 4.3 and 4.5.3).</summary>
/// <remarks>
/// System.IO.Compression.ZipArchive hides where a stored member lies; with the position known, weights are read in place and
/// from several threads.
/// </remarks>
internal sealed class MappedZip
{
    private const uint LocalSignature = 0x04034b50;
    private const uint CentralSignature = 0x02014b50;
    private const uint EndSignature = 0x06054b50;
    private const uint Zip64LocatorSignature = 0x07064b50;
    private const uint Zip64EndSignature = 0x06064b50;
    private const int LocalBytes = 30;
    private const int CentralBytes = 46;
    private const int EndBytes = 22;
    private const int Zip64LocatorBytes = 20;
    private const int Zip64EndBytes = 56;
    private const ushort Zip64ExtraField = 1;
    private const ushort Deflated = 8;

    /// <summary>What deflate can achieve at best (zlib's technical notes); a higher ratio is a forged length.</summary>
    private const int MaxDeflateRatio = 1032;

    private readonly MappedFile _file;
    private readonly Dictionary<string, ZipMember> _members = new(StringComparer.Ordinal);

    /// <exception cref="FileFormatException">The directory is missing, damaged or points outside the file.</exception>
    public MappedZip(MappedFile file)
    {
        _file = file;
        (long offset, long length, ulong count) = FindDirectory();
        if (offset < 0 || length < 0 || offset > file.Length - length || length > int.MaxValue)
        {
            throw Damaged($"its directory of {length} bytes at {offset} lies outside the {file.Length} bytes of the file");
        }

        ReadDirectory(file.Span(offset, (int)length), count);
    }

    public IReadOnlyDictionary<string, ZipMember> Members => _members;

    /// <summary>A member's content, inflated if need be.</summary>
    /// <exception cref="FileFormatException">Longer than <paramref name="limit"/>, or the compressed data is damaged.</exception>
    public ReadOnlySpan<byte> Read(string name, int limit)
    {
        ZipMember member = _members[name];
        if (member.Length > limit)
        {
            throw Damaged($"'{name}' has {member.Length} bytes, more than the {limit} expected at most");
        }

        return member.IsDeflated ? Inflate(name) : _file.Span(member.Offset, (int)member.Length);
    }

    /// <summary>Inflates a member into memory that does not move, so that pointers into it stay good.</summary>
    public unsafe byte[] Inflate(string name)
    {
        ZipMember member = _members[name];
        if (member.Length > Array.MaxLength || member.Length > (member.StoredLength + 1) * MaxDeflateRatio)
        {
            throw Damaged($"'{name}' claims to inflate from {member.StoredLength} to {member.Length} bytes");
        }

        byte[] content = GC.AllocateUninitializedArray<byte>((int)member.Length, pinned: true);
        using var stored = new UnmanagedMemoryStream(_file.Start + member.Offset, member.StoredLength);
        using var inflater = new DeflateStream(stored, CompressionMode.Decompress);
        try
        {
            inflater.ReadExactly(content);
            if (inflater.ReadByte() < 0)
            {
                return content;
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException)
        {
            throw Damaged($"the compressed data of '{name}' is damaged", exception);
        }

        throw Damaged($"'{name}' inflates to more than its declared {member.Length} bytes");
    }

    private (long Offset, long Length, ulong Count) FindDirectory()
    {
        int tailBytes = (int)Math.Min(_file.Length, EndBytes + ushort.MaxValue);
        ReadOnlySpan<byte> tail = _file.Span(_file.Length - tailBytes, tailBytes);
        for (int start = tailBytes - EndBytes; start >= 0; start--)
        {
            ReadOnlySpan<byte> end = tail[start..];
            if (UInt32(end) == EndSignature && UInt16(end[20..]) == end.Length - EndBytes)
            {
                ushort count = UInt16(end[10..]);
                uint length = UInt32(end[12..]);
                uint offset = UInt32(end[16..]);
                return count == ushort.MaxValue || length == uint.MaxValue || offset == uint.MaxValue
                    ? FindZip64Directory(_file.Length - tailBytes + start)
                    : (offset, length, count);
            }
        }

        throw Damaged("its directory, which stands at the end, is missing", hint: "The file is truncated: copy or download it again.");
    }

    private (long Offset, long Length, ulong Count) FindZip64Directory(long endOffset)
    {
        if (endOffset >= Zip64LocatorBytes)
        {
            ReadOnlySpan<byte> locator = _file.Span(endOffset - Zip64LocatorBytes, Zip64LocatorBytes);
            long recordOffset = Int64(locator[8..]);
            if (UInt32(locator) == Zip64LocatorSignature && recordOffset >= 0 && recordOffset <= endOffset - Zip64EndBytes)
            {
                ReadOnlySpan<byte> record = _file.Span(recordOffset, Zip64EndBytes);
                if (UInt32(record) == Zip64EndSignature)
                {
                    return (Int64(record[48..]), Int64(record[40..]), (ulong)Int64(record[32..]));
                }
            }
        }

        throw Damaged("its ZIP64 directory is missing");
    }

    private void ReadDirectory(ReadOnlySpan<byte> directory, ulong count)
    {
        ulong read = 0UL;
        while (directory.Length >= CentralBytes && UInt32(directory) == CentralSignature)
        {
            ushort nameBytes = UInt16(directory[28..]);
            ushort extraBytes = UInt16(directory[30..]);
            int total = CentralBytes + nameBytes + extraBytes + UInt16(directory[32..]);
            if (total > directory.Length)
            {
                break;
            }

            string name = Encoding.UTF8.GetString(directory.Slice(CentralBytes, nameBytes));
            if (!_members.TryAdd(name, ReadMember(name, directory, directory.Slice(CentralBytes + nameBytes, extraBytes))))
            {
                throw Damaged($"'{name}' occurs twice");
            }

            directory = directory[total..];
            read++;
        }

        if (read != count)
        {
            throw Damaged($"its directory should list {count} files, {read} are readable");
        }
    }

    private ZipMember ReadMember(string name, ReadOnlySpan<byte> central, ReadOnlySpan<byte> extra)
    {
        ushort flags = UInt16(central[8..]);
        ushort method = UInt16(central[10..]);
        if ((flags & 1) != 0 || method is not (0 or Deflated))
        {
            throw Damaged($"'{name}' is encrypted or compressed in an unusual way (method {method})");
        }

        long storedLength = UInt32(central[20..]);
        long length = UInt32(central[24..]);
        long localOffset = UInt32(central[42..]);
        ReadOnlySpan<byte> wide = Zip64Fields(extra);
        Widen(ref length, ref wide);
        Widen(ref storedLength, ref wide);
        Widen(ref localOffset, ref wide);

        if (localOffset < 0 || localOffset > _file.Length - LocalBytes)
        {
            throw Damaged($"'{name}' lies outside the file");
        }

        ReadOnlySpan<byte> local = _file.Span(localOffset, LocalBytes);
        long offset = localOffset + LocalBytes + UInt16(local[26..]) + UInt16(local[28..]);
        if (UInt32(local) != LocalSignature || storedLength < 0 || length < 0 || offset > _file.Length - storedLength)
        {
            throw Damaged($"'{name}' lies outside the file");
        }

        return method == Deflated || storedLength == length
            ? new ZipMember(offset, storedLength, length, method == Deflated)
            : throw Damaged($"'{name}' is stored, but in {storedLength} instead of {length} bytes");
    }

    /// <summary>A 32-bit field full of ones stands for the next 64-bit value of the ZIP64 extra field.</summary>
    private static void Widen(ref long value, ref ReadOnlySpan<byte> wide)
    {
        if (value == uint.MaxValue && wide.Length >= sizeof(long))
        {
            value = Int64(wide);
            wide = wide[sizeof(long)..];
        }
    }

    private static ReadOnlySpan<byte> Zip64Fields(ReadOnlySpan<byte> extra)
    {
        while (extra.Length >= 4)
        {
            int length = Math.Min(UInt16(extra[2..]), extra.Length - 4);
            if (UInt16(extra) == Zip64ExtraField)
            {
                return extra.Slice(4, length);
            }

            extra = extra[(4 + length)..];
        }

        return [];
    }

    private static ushort UInt16(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static uint UInt32(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    private static long Int64(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadInt64LittleEndian(bytes);

    private FileFormatException Damaged(string message, Exception? inner = null, string? hint = null) =>
        new(_file.Path, $"damaged ZIP archive: {message}", hint ?? "Copy or download it again.", inner);
}
