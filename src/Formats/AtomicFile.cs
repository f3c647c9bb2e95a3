using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>A file that appears whole or not at all, even when the machine loses power while it is written.</summary>
/// <remarks>
/// The bytes go to <c>.NAME.PID-N.tmp</c> in the same folder; <see cref="Commit"/> flushes them to the disk, renames over the destination
/// and flushes the folder. Until then the old file stands untouched, and a failure or a missing <see cref="Commit"/> leaves only the old
/// file. A killed process may leave its temporary file behind: see <see cref="DeleteStale"/>.
/// </remarks>
internal sealed class AtomicFile : IDisposable
{
    private const string TemporarySuffix = ".tmp";
    private const int BufferSize = 64 << 10;

    private static int _counter;

    private readonly string _temporaryPath;
    private readonly FileStream _stream;
    private bool _finished;

    private AtomicFile(string path, string temporaryPath, FileStream stream)
    {
        Path = path;
        _temporaryPath = temporaryPath;
        _stream = stream;
    }

    /// <summary>The destination, absolute.</summary>
    public string Path { get; }

    /// <summary>The unfinished file, for writers that open files themselves.</summary>
    public string TemporaryPath => _temporaryPath;

    /// <summary>Where the content is written; seekable, so that a header can be completed at the end.</summary>
    public Stream Stream => _stream;

    /// <summary>Opens the temporary file beside <paramref name="path"/>.</summary>
    /// <exception cref="IOException">The folder is missing or not writable, or the path is a folder; the message says which.</exception>
    public static AtomicFile Create(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        string temporaryPath = TemporaryPathFor(path);
        try
        {
            if (Directory.Exists(path))
            {
                throw new IOException("a folder of that name exists");
            }

            // Not FileShare.Read: the exclusive lock tells DeleteStale that the writer is alive. Not always FileMode.Create, which
            // truncates: ext4 takes that for an update in place and starts writing to the disk when the file is closed.
            FileMode mode = File.Exists(temporaryPath) ? FileMode.Create : FileMode.CreateNew;
            var stream = new FileStream(temporaryPath, mode, FileAccess.ReadWrite, FileShare.None, BufferSize);
            return new AtomicFile(path, temporaryPath, stream);
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            throw CannotWrite(path, exception);
        }
    }

    /// <summary>Makes what <paramref name="write"/> writes the content of <paramref name="path"/>.</summary>
    /// <remarks>An exception of <paramref name="write"/> other than an input/output error passes through unchanged.</remarks>
    /// <exception cref="IOException">Writing failed; the message names the path and the reason, and the old file is intact.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        using AtomicFile file = Create(path);
        try
        {
            write(file.Stream);
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            throw CannotWrite(file.Path, exception);
        }

        file.Commit();
    }

    /// <inheritdoc cref="Write"/>
    /// <summary>Makes <paramref name="text"/>, as UTF-8 without a byte-order mark, the content of <paramref name="path"/>.</summary>
    public static void WriteAllText(string path, string text) => WriteAllBytes(path, Encoding.UTF8.GetBytes(text));

    /// <inheritdoc cref="Write"/>
    /// <summary>Makes <paramref name="bytes"/> the content of <paramref name="path"/>.</summary>
    public static void WriteAllBytes(string path, ReadOnlySpan<byte> bytes)
    {
        using AtomicFile file = Create(path);
        file.Append(bytes);
        file.Commit();
    }

    /// <summary>Deletes the temporary files that killed processes left in <paramref name="directory"/>.</summary>
    /// <remarks>A file whose writer is still alive is locked and stays.</remarks>
    /// <returns>The paths deleted.</returns>
    public static IReadOnlyList<string> DeleteStale(string directory)
    {
        var deleted = new List<string>();
        foreach (string path in Directory.EnumerateFiles(directory, ".*" + TemporarySuffix))
        {
            if (!IsTemporaryName(System.IO.Path.GetFileName(path)))
            {
                continue;
            }

            try
            {
                using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                    File.Delete(path);
                }

                deleted.Add(path);
            }
            catch (Exception exception) when (IsInputOutput(exception))
            {
                // Locked by its writer, gone meanwhile, or not ours to delete: harmless where it is.
            }
        }

        return deleted;
    }

    /// <summary>Whether a file name (without folder) is one that this class gives to unfinished files.</summary>
    public static bool IsTemporaryName(string fileName)
    {
        if (!fileName.StartsWith('.') || !fileName.EndsWith(TemporarySuffix, StringComparison.Ordinal))
        {
            return false;
        }

        ReadOnlySpan<char> stem = fileName.AsSpan(0, fileName.Length - TemporarySuffix.Length);
        ReadOnlySpan<char> writer = stem[(stem.LastIndexOf('.') + 1)..];
        int dash = writer.IndexOf('-');
        return dash > 0 && IsNumber(writer[..dash]) && IsNumber(writer[(dash + 1)..]);

        static bool IsNumber(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExceptInRange('0', '9');
    }

    /// <summary>Writes at the stream's position.</summary>
    /// <exception cref="IOException">Writing failed; the message names the path and the reason.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _stream.Write(bytes);
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            throw CannotWrite(Path, exception);
        }
    }

    /// <summary>Flushes to the disk and takes the destination's place.</summary>
    /// <param name="isDurable">False leaves flushing to the system: whole after a kill, but perhaps not after a power failure.</param>
    /// <exception cref="IOException">The message names the path and the reason; the old file is intact.</exception>
    public void Commit(bool isDurable = true)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        try
        {
            if (isDurable)
            {
                FlushToDisk();
            }
            else
            {
                _stream.Flush();
            }

            File.Move(_temporaryPath, Path, overwrite: true);
            _finished = true;
            _stream.Dispose();
            if (isDurable && !OperatingSystem.IsWindows())
            {
                Posix.SynchroniseDirectory(System.IO.Path.GetDirectoryName(Path)!);
            }
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            throw CannotWrite(Path, exception);
        }
    }

    /// <summary>Discards the temporary file unless it was committed.</summary>
    public void Dispose()
    {
        if (_finished)
        {
            return;
        }

        _finished = true;
        try
        {
            _stream.Dispose();
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            // Buffered bytes that a full disk refuses: they are being thrown away anyway.
        }

        try
        {
            File.Delete(_temporaryPath);
        }
        catch (Exception exception) when (IsInputOutput(exception))
        {
            // The error that led here matters more than a file left behind; DeleteStale finds it later.
        }
    }

    private void FlushToDisk()
    {
        if (_stream.CanWrite)
        {
            _stream.Flush(flushToDisk: true);
            return;
        }

        // The caller's writer closed the stream with itself, as StreamWriter does.
        using SafeFileHandle handle = File.OpenHandle(_temporaryPath, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        RandomAccess.FlushToDisk(handle);
    }

    private static string TemporaryPathFor(string path)
    {
        string directory = System.IO.Path.GetDirectoryName(path)
            ?? throw new IOException($"Cannot write '{path}': it is not a file name.");
        string unique = $"{Environment.ProcessId}-{Interlocked.Increment(ref _counter)}";
        return System.IO.Path.Combine(directory, $".{System.IO.Path.GetFileName(path)}.{unique}{TemporarySuffix}");
    }

    private static bool IsInputOutput(Exception exception) => exception is IOException or UnauthorizedAccessException
        || Posix.IsFileTooLarge(exception);

    private static IOException CannotWrite(string path, Exception cause)
    {
        string reason = cause switch
        {
            { HResult: Posix.NoSpaceLeft } => "the disk is full. Free some space or choose another folder",
            { HResult: Posix.QuotaExceeded } => "the disk quota is used up. Free some space or choose another folder",
            _ when Posix.IsFileTooLarge(cause) => "the file is larger than the file system or a limit allows",
            { HResult: Posix.ReadOnlyFileSystem } => "the file system is read-only",
            DirectoryNotFoundException => $"the folder '{System.IO.Path.GetDirectoryName(path)}' does not exist",
            UnauthorizedAccessException => "permission denied",
            _ => cause.Message.TrimEnd('.'),
        };
        return new IOException($"Cannot write '{path}': {reason}.", cause) { HResult = cause.HResult };
    }
}
