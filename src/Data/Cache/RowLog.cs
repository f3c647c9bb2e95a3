using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>Why a video has no features.</summary>
/// <param name="Status">A few words for a table, such as <c>zero frames</c>.</param>
/// <param name="Message">The details.</param>
public sealed record ClipFailure(string Status, string Message);

/// <summary>Where a video's features lie.</summary>
/// <param name="File">An open file.</param>
/// <param name="Path">Its path, for messages.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Checksum">CRC-32C of the row.</param>
internal sealed record RowLocation(SafeFileHandle File, string Path, long Offset, uint Checksum);

/// <summary>The features extracted since the last commit: an append-only file that survives being killed at any byte.</summary>
/// <remarks>
/// Layout, everything little-endian and padded to 64 bytes: magic (8), length of the key (u32), its CRC-32C (u32), the key as
/// JSON; then records of a 64-byte head (magic u32, kind u32, payload bytes u32, payload CRC-32C u32, content hash 32 bytes,
/// zeros, head CRC-32C u32) and a payload. A record counts when both checksums hold, so nothing has to be written in a
/// particular order: a record that was cut short does not count, and the rows before it do. One damaged in the middle is
/// skipped by looking for the next valid head.
/// </remarks>
internal sealed class RowLog : IDisposable
{
    public const string Suffix = ".partial";

    private const string Prefix = "rows-";
    private const int Alignment = 64;
    private const int HeadBytes = 64;
    private const int HeadChecksumOffset = HeadBytes - sizeof(uint);
    private const int HashOffset = 16;
    private const int HashBytes = 32;
    private const uint RecordMagic = 0x43525443; // "CTRC"
    private const int MaxKeyBytes = 1 << 16;
    private const int FlushEveryRecords = 64;

    private static readonly TimeSpan s_flushInterval = TimeSpan.FromSeconds(5);

    private readonly CacheDisk _disk;
    private readonly SafeFileHandle _file;
    private readonly int _rowBytes;
    private readonly Lock _lock = new();
    private byte[] _record = [];
    private long _end;
    private int _unflushed;
    private long _lastFlush = Environment.TickCount64;

    private RowLog(CacheDisk disk, string path, SafeFileHandle file, int rowBytes)
    {
        (_disk, Path, _file, _rowBytes) = (disk, path, file, rowBytes);
    }

    private static ReadOnlySpan<byte> FileMagic => "CTROWS\0\x01"u8;

    private enum RecordKind : uint
    {
        Row = 1,
        Failure = 2,

        /// <summary>Whatever is stored for this content is damaged.</summary>
        Damaged = 3,
    }

    public string Path { get; }

    /// <summary>Rows in the file, by content hash.</summary>
    public Dictionary<string, RowLocation> Rows { get; } = new(StringComparer.Ordinal);

    /// <summary>Failures in the file, by content hash.</summary>
    public Dictionary<string, ClipFailure> Failures { get; } = new(StringComparer.Ordinal);

    /// <summary>Contents whose committed row is damaged.</summary>
    public HashSet<string> Damaged { get; } = new(StringComparer.Ordinal);

    /// <summary>Bytes that belong to no valid record: what was being written when the last run was killed, or damage.</summary>
    public long BytesLost { get; private set; }

    public static string PathIn(string directory, IReadOnlyList<KeyValuePair<string, string>> key) =>
        System.IO.Path.Combine(directory, $"{Prefix}{FeatureKey.IdentifierOf(key)}{Suffix}");

    public static bool IsLogName(string fileName) =>
        fileName.StartsWith(Prefix, StringComparison.Ordinal) && fileName.EndsWith(Suffix, StringComparison.Ordinal);

    public static IEnumerable<string> AllIn(string directory) =>
        Directory.EnumerateFiles(directory, $"{Prefix}*{Suffix}").Order(StringComparer.Ordinal);

    /// <summary>Bytes that a row takes in the file.</summary>
    public static long RecordBytes(int rowBytes) => HeadBytes + Align(rowBytes);

    /// <summary>Opens the log of a key for appending, creating it if there is none.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="directory">The cache's folder.</param>
    /// <param name="key">Fields of the key.</param>
    /// <param name="rowBytes">Bytes of a row.</param>
    /// <exception cref="CacheException">A file of that name is something else.</exception>
    public static RowLog Open(CacheDisk disk, string directory, IReadOnlyList<KeyValuePair<string, string>> key, int rowBytes)
    {
        var path = PathIn(directory, key);
        var file = disk.Open(path, FileMode.OpenOrCreate);
        var log = new RowLog(disk, path, file, rowBytes);
        try
        {
            var head = EncodeHead(key);
            if (!log.TryReadHead(head))
            {
                disk.Truncate(file, 0);
                disk.Write(file, 0, head);
            }

            log._end = head.Length;
            log.Scan();
            disk.Truncate(file, log._end);
            return log;
        }
        catch
        {
            log.Dispose();
            throw;
        }
    }

    /// <summary>Whether a file is a log, judged by its beginning.</summary>
    public static bool IsLog(string path)
    {
        using var log = new RowLog(CacheDisk.Real, path, InputFile.Open(path), rowBytes: -1);
        return log.TryReadKey() is not null;
    }

    /// <summary>Reads a log without changing it.</summary>
    /// <returns>The log and the fields of its key; null when the file is not a log.</returns>
    public static (RowLog Log, IReadOnlyList<KeyValuePair<string, string>> Key)? TryRead(string path)
    {
        var file = InputFile.Open(path);
        var log = new RowLog(CacheDisk.Real, path, file, rowBytes: -1);
        if (log.TryReadKey() is not { } key)
        {
            log.Dispose();
            return null;
        }

        log.Scan();
        return (log, key);
    }

    public void AppendRow(string contentHash, ReadOnlySpan<byte> row)
    {
        if (row.Length != _rowBytes)
        {
            throw new ArgumentException($"A row has {_rowBytes} bytes, not {row.Length}.", nameof(row));
        }

        lock (_lock)
        {
            var record = EncodeRecord(RecordKind.Row, contentHash, row);
            var checksum = BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);
            var offset = Append(record);
            Rows[contentHash] = new RowLocation(_file, Path, offset, checksum);
            Failures.Remove(contentHash);
        }
    }

    public void AppendFailure(string contentHash, ClipFailure failure)
    {
        lock (_lock)
        {
            Append(EncodeRecord(RecordKind.Failure, contentHash, Encoding.UTF8.GetBytes($"{failure.Status}\n{failure.Message}")));
            Failures[contentHash] = failure;
        }
    }

    public void AppendDamaged(string contentHash)
    {
        lock (_lock)
        {
            Append(EncodeRecord(RecordKind.Damaged, contentHash, []));
            Rows.Remove(contentHash);
            Damaged.Add(contentHash);
        }
    }

    public void Flush()
    {
        lock (_lock)
        {
            _disk.Flush(_file);
            _unflushed = 0;
            _lastFlush = Environment.TickCount64;
        }
    }

    /// <summary>Closes the file; writes nothing.</summary>
    public void Dispose() => _file.Dispose();

    private long Append(ReadOnlySpan<byte> record)
    {
        // A failed write leaves a torn record behind _end; the next one overwrites it.
        var offset = _end;
        _disk.Write(_file, offset, record);
        _end += record.Length;
        _unflushed++;
        if (_unflushed >= FlushEveryRecords || Environment.TickCount64 - _lastFlush > s_flushInterval.TotalMilliseconds)
        {
            Flush();
        }

        return offset + HeadBytes;
    }

    private bool TryReadHead(byte[] expected)
    {
        var found = new byte[expected.Length];
        var length = Read(0, found);
        if (found.AsSpan().SequenceEqual(expected))
        {
            return true;
        }

        // Killed while it was being created: nothing but a beginning of what we would write.
        return length < expected.Length && found.AsSpan(0, length).SequenceEqual(expected.AsSpan(0, length))
            ? false
            : throw new CacheException(
                $"'{Path}' is not a list of extracted features, or its beginning is damaged. Remove it to extract those features again.");
    }

    private IReadOnlyList<KeyValuePair<string, string>>? TryReadKey()
    {
        var prefix = new byte[16];
        if (Read(0, prefix) < prefix.Length || !prefix.AsSpan().StartsWith(FileMagic))
        {
            return null;
        }

        var length = BinaryPrimitives.ReadUInt32LittleEndian(prefix.AsSpan(8));
        if (length > MaxKeyBytes)
        {
            return null;
        }

        var json = new byte[length];
        if (Read(prefix.Length, json) < length || Crc32C.Of(json) != BinaryPrimitives.ReadUInt32LittleEndian(prefix.AsSpan(12)))
        {
            return null;
        }

        _end = Align(prefix.Length + length);
        return KeyJson.Read(json);
    }

    private static byte[] EncodeHead(IReadOnlyList<KeyValuePair<string, string>> key)
    {
        var json = KeyJson.Write(key);
        var head = new byte[Align(16 + json.Length)];
        FileMagic.CopyTo(head);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(8), (uint)json.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(12), Crc32C.Of(json));
        json.CopyTo(head, 16);
        return head;
    }

    /// <returns>Memory that the next record uses again.</returns>
    private ReadOnlySpan<byte> EncodeRecord(RecordKind kind, string contentHash, ReadOnlySpan<byte> payload)
    {
        var bytes = HeadBytes + Align(payload.Length);
        if (_record.Length < bytes)
        {
            _record = new byte[bytes];
        }

        var record = _record.AsSpan(0, bytes);
        record[..HeadBytes].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(record, RecordMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(record[4..], (uint)kind);
        BinaryPrimitives.WriteUInt32LittleEndian(record[8..], (uint)payload.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record[12..], Crc32C.Of(payload));
        if (Convert.FromHexString(contentHash, record.Slice(HashOffset, HashBytes), out _,
            out var written) != OperationStatus.Done || written != HashBytes)
        {
            throw new ArgumentException($"'{contentHash}' is no content hash.", nameof(contentHash));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(record[HeadChecksumOffset..], Crc32C.Of(record[..HeadChecksumOffset]));
        payload.CopyTo(record[HeadBytes..]);
        record[(HeadBytes + payload.Length)..].Clear();
        return record;
    }

    /// <summary>Collects the valid records from <see cref="_end"/> on, and moves it behind the last.</summary>
    private void Scan()
    {
        var length = RandomAccess.GetLength(_file);
        var head = new byte[HeadBytes];
        var payload = Array.Empty<byte>();
        var position = _end;
        var lost = 0L;
        while (position + HeadBytes <= length)
        {
            if (Read(position, head) < HeadBytes
                || BinaryPrimitives.ReadUInt32LittleEndian(head) != RecordMagic
                || BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(HeadChecksumOffset)) != Crc32C.Of(
                    head.AsSpan(0, HeadChecksumOffset)))
            {
                position += Alignment;
                lost += Alignment;
                continue;
            }

            var bytes = (int)BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(8));
            var next = position + HeadBytes + Align(bytes);
            if (payload.Length != bytes)
            {
                payload = new byte[bytes];
            }

            if (next <= length
                && Read(position + HeadBytes, payload) == bytes
                && BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(12)) == Crc32C.Of(payload))
            {
                Collect(head, payload, position + HeadBytes);
                _end = next;
            }
            else
            {
                lost += Math.Min(next, length) - position;
            }

            position = next;
        }

        BytesLost = lost + Math.Max(0, length - position);
    }

    private void Collect(byte[] head, byte[] payload, long offset)
    {
        var hash = Convert.ToHexStringLower(head.AsSpan(HashOffset, HashBytes));
        switch ((RecordKind)BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(4)))
        {
            case RecordKind.Row when _rowBytes < 0 || payload.Length == _rowBytes:
                Rows[hash] = new RowLocation(_file, Path, offset, BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(12)));
                Failures.Remove(hash);
                break;
            case RecordKind.Failure:
                var text = Encoding.UTF8.GetString(payload).Split('\n', 2);
                Failures[hash] = new ClipFailure(text[0], text.Length > 1 ? text[1] : "");
                break;
            case RecordKind.Damaged:
                Rows.Remove(hash);
                Damaged.Add(hash);
                break;
        }
    }

    private int Read(long offset, Span<byte> destination)
    {
        var total = 0;
        while (total < destination.Length && RandomAccess.Read(_file, destination[total..], offset + total) is var read and > 0)
        {
            total += read;
        }

        return total;
    }

    private static int Align(int bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
