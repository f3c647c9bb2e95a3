using System.Buffers.Binary;
using System.Globalization;

namespace CudaTrainer.Formats.TensorBoard;

/// <summary>
/// One of TensorBoard's event files (tensorboard/compat/proto/event.proto in the framing of TFRecord). Events wait in memory until
/// <see cref="Flush"/>, which makes the file if there is none yet; what was not written is lost on purpose when the writer is disposed.
/// </summary>
internal sealed class EventFileWriter : IDisposable
{
    public const string NamePrefix = "events.out.tfevents.";

    /// <summary>8 bytes of length and 4 of their checksum.</summary>
    private const int HeadBytes = sizeof(long) + sizeof(uint);

    private const uint MaskDelta = 0xA282EAD8;

    private static int _filesOfProcess;

    private readonly string _folder;
    private readonly TimeProvider _clock;
    private readonly ProtoWriter _pending = new();
    private FileStream? _file;
    private int _record;
    private int _summary;

    /// <param name="folder">Made when needed. Its name is the run's name in TensorBoard.</param>
    /// <param name="clock">What time events are of.</param>
    public EventFileWriter(string folder, TimeProvider clock)
    {
        (_folder, _clock) = (folder, clock);
        BeginRecord();
        _pending.Text(EventFields.FileVersion, "brain.Event:2");
        EndRecord();
    }

    /// <summary>
    /// An event file's checksum: CRC-32C, rotated and shifted so that a checksum over data with checksums in them is no special case.
    /// </summary>
    public static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = Crc32C.Of(data);
        return ((crc >> 15) | (crc << 17)) + MaskDelta;
    }

    /// <summary>Tells readers that the run goes on at this step: what older files say of it and later ones no longer counts.</summary>
    public void SessionStart(long step)
    {
        BeginRecord();
        _pending.Integer(EventFields.Step, step);
        int session = _pending.Begin(EventFields.SessionLog);
        _pending.Integer(SessionFields.Status, SessionFields.Start);
        _pending.End(session);
        EndRecord();
    }

    /// <summary>Begins an event, to be filled by <see cref="SummaryValues"/>.</summary>
    public ProtoWriter BeginSummary(long step)
    {
        BeginRecord();
        _pending.Integer(EventFields.Step, step);
        _summary = _pending.Begin(EventFields.Summary);
        return _pending;
    }

    public void EndSummary()
    {
        _pending.End(_summary);
        EndRecord();
    }

    /// <summary>Writes what waits and hands it to the operating system.</summary>
    /// <inheritdoc cref="Write"/>
    public void Flush() => Write(Take());

    /// <summary>Takes what waits, for <see cref="Write"/> while others wait anew.</summary>
    public byte[] Take()
    {
        byte[] events = _pending.From(0).ToArray();
        _pending.Clear();
        return events;
    }

    /// <summary>Writes events and hands them to the operating system.</summary>
    /// <exception cref="IOException">The file cannot be made or written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public void Write(ReadOnlySpan<byte> events)
    {
        _file ??= Create();
        _file.Write(events);
        _file.Flush();
    }

    public void Dispose() => _file?.Dispose();

    /// <summary>
    /// Readers take the files of a folder in the order of their names, so that a later file needs a later second, even if a run is resumed
    /// within the same one or the clock was set back.
    /// </summary>
    private static long SecondAfter(string folder, long now)
    {
        foreach (string path in Directory.EnumerateFiles(folder, NamePrefix + "*"))
        {
            ReadOnlySpan<char> rest = Path.GetFileName(path.AsSpan())[NamePrefix.Length..];
            int dot = rest.IndexOf('.');
            if (dot > 0 && long.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out long second))
            {
                now = Math.Max(now, second + 1);
            }
        }

        return now;
    }

    private FileStream Create()
    {
        Directory.CreateDirectory(_folder);
        long second = SecondAfter(_folder, _clock.GetUtcNow().ToUnixTimeSeconds());
        string name = string.Create(
            CultureInfo.InvariantCulture,
                $"{NamePrefix}{second:D10}.{Environment.MachineName}.{Environment.ProcessId}.{Interlocked.Increment(ref _filesOfProcess) - 1}");

        // No buffer of its own: what is flushed has one already.
        return new FileStream(Path.Combine(_folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.Read | FileShare.Delete,
            bufferSize: 0);
    }

    private void BeginRecord()
    {
        _record = _pending.Length;
        _pending.Take(HeadBytes);
        _pending.Double(EventFields.WallTime, (_clock.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds);
    }

    private void EndRecord()
    {
        Span<byte> record = _pending.From(_record);
        BinaryPrimitives.WriteInt64LittleEndian(record, record.Length - HeadBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(record[sizeof(long)..], MaskedCrc(record[..sizeof(long)]));
        uint crc = MaskedCrc(record[HeadBytes..]);
        BinaryPrimitives.WriteUInt32LittleEndian(_pending.Take(sizeof(uint)), crc);
    }
}
