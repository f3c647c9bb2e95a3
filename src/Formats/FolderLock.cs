using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>Who writes to a folder.</summary>
/// <param name="Process">Its number.</param>
/// <param name="Host">The machine it runs on.</param>
/// <param name="Since">When it began.</param>
public sealed record FolderWriter(int Process, string Host, DateTime Since)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"process {Process}{(Host == Environment.MachineName ? "" : $" on {Host}")}, since {Since:yyyy-MM-dd HH:mm:ss} UTC");

    internal static FolderWriter Current() => new(Environment.ProcessId, Environment.MachineName, DateTime.UtcNow);

    internal string ToLine() => string.Create(CultureInfo.InvariantCulture, $"{Process} {Host} {Since:O}\n");

    /// <returns>Null for anything but <see cref="ToLine"/>.</returns>
    internal static FolderWriter? Parse(string line) =>
        line.Trim().Split(' ') is [var process, var host, var since]
        && int.TryParse(process, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
        && DateTime.TryParse(since, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal, out DateTime time)
            ? new FolderWriter(id, host, time)
            : null;
}

/// <summary>Somebody else writes to the folder.</summary>
public sealed class FolderLockedException(string directory, FolderWriter? writer)
    : IOException($"'{directory}' is being written by {writer?.ToString() ?? "another process"}")
{
    /// <summary>Null where it could not be read.</summary>
    public FolderWriter? Writer { get; } = writer;
}

/// <summary>Lets one process at a time write to a folder, on one machine or on several that share it.</summary>
/// <remarks>
/// The lock is the operating system's (flock, through <see cref="FileShare.None"/>), so it ends with its process, however that ends, and
/// its file, which says who holds it, is empty when nobody does. Some network file systems keep flock to one machine: the holder
/// therefore touches the file every <see cref="Beat"/>, and whoever finds the lock free but another machine's name in the file waits
/// whether it is touched before taking that for what a killed process left.
/// </remarks>
internal sealed class FolderLock : IDisposable
{
    private const int WouldBlock = 11; // EWOULDBLOCK of Linux
    private const int SharingViolation = unchecked((int)0x80070020); // of Windows

    private readonly FileStream _stream;
    private readonly Timer _beat;
    private readonly Lock _ending = new();

    private FolderLock(FileStream stream)
    {
        _stream = stream;
        _beat = new Timer(_ => Touch(), null, Beat, Beat);
    }

    internal static TimeSpan Beat { get; } = TimeSpan.FromSeconds(1);

    /// <summary>Takes the lock.</summary>
    /// <param name="directory">The folder, which exists.</param>
    /// <param name="fileName">The file in it that is locked.</param>
    /// <exception cref="FolderLockedException">Another holder is alive.</exception>
    /// <exception cref="IOException">The folder is not writable.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder is not writable.</exception>
    public static FolderLock Take(string directory, string fileName)
    {
        string path = Path.Combine(directory, fileName);
        FileStream stream;
        try
        {
            // Without a buffer: what a full disk did not take would be tried again, and fail, with every later use of the stream.
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
        }
        catch (IOException exception) when (exception.HResult is WouldBlock or SharingViolation)
        {
            throw new FolderLockedException(directory, Read(path));
        }

        try
        {
            if (Read(path) is { } left && left.Host != Environment.MachineName && IsTouched(path))
            {
                throw new FolderLockedException(directory, left);
            }

            WriteHolder(stream);
            return new FolderLock(stream);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Who holds the lock of a folder now; null when nobody does or it cannot be told.</summary>
    public static FolderWriter? HolderOf(string directory, string fileName)
    {
        string path = Path.Combine(directory, fileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return Read(path) is { } other && other.Host != Environment.MachineName && IsTouched(path) ? other : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Read(path);
        }
    }

    /// <summary>
    /// When whoever writes to a folder last said so; null when nobody has since the last one left in order. Unlike
    /// <see cref="HolderOf"/> it neither waits nor touches the lock, which another process may be about to take.
    /// </summary>
    public static DateTime? LastBeat(string directory, string fileName)
    {
        string path = Path.Combine(directory, fileName);
        return Read(path) is null ? null : File.GetLastWriteTimeUtc(path);
    }

    public void Dispose()
    {
        lock (_ending)
        {
            _beat.Dispose();
            try
            {
                // Whoever looks at it later should not take the number for a process that still writes.
                _stream.SetLength(0);
            }
            catch (IOException)
            {
                // The lock ends all the same, and a number that no process has is known to be left over.
            }

            _stream.Dispose();
        }
    }

    private static void WriteHolder(FileStream stream)
    {
        try
        {
            stream.SetLength(0);
            stream.Write(Encoding.UTF8.GetBytes(FolderWriter.Current().ToLine()));
            stream.Flush();
        }
        catch (Exception exception) when (exception is IOException || Posix.IsFileTooLarge(exception))
        {
            // On a full disk only a message would be poorer; the lock itself is held.
        }
    }

    /// <summary>Looks for two beats and a half: clocks of two machines cannot be compared, but a change can be seen.</summary>
    private static bool IsTouched(string path)
    {
        DateTime before = File.GetLastWriteTimeUtc(path);
        Thread.Sleep(2.5 * Beat);
        return File.GetLastWriteTimeUtc(path) != before;
    }

    private static FolderWriter? Read(string path)
    {
        try
        {
            // Not through .NET's streams, which do not open a locked file.
            using SafeFileHandle file = InputFile.Open(path);
            byte[] text = new byte[512];
            return FolderWriter.Parse(Encoding.UTF8.GetString(text, 0, RandomAccess.Read(file, text, 0)));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            return null;
        }
    }

    private void Touch()
    {
        lock (_ending)
        {
            if (_stream.SafeFileHandle.IsClosed)
            {
                return;
            }

            try
            {
                File.SetLastWriteTimeUtc(_stream.SafeFileHandle, DateTime.UtcNow);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // A beat that is missed makes nobody but another machine doubt, and the next one follows.
            }
        }
    }
}
