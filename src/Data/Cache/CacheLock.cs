using System.Globalization;
using System.Text;
using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>Lets one process at a time write to a cache.</summary>
/// <remarks>
/// The lock is the operating system's (flock, through <see cref="FileShare.None"/>), so it ends with its process, however that
/// ends. The holder's number stands in the file.
/// </remarks>
internal sealed class CacheLock : IDisposable
{
    public const string FileName = "writer.lock";

    private const int WouldBlock = 11; // EWOULDBLOCK of Linux
    private const int SharingViolation = unchecked((int)0x80070020); // of Windows

    private readonly FileStream _stream;

    private CacheLock(FileStream stream) => _stream = stream;

    /// <summary>Takes the lock of a folder.</summary>
    /// <exception cref="CacheLockedException">Another holder is alive.</exception>
    /// <exception cref="CacheException">The folder is not writable.</exception>
    public static CacheLock Take(string directory)
    {
        try
        {
            var stream = new FileStream(Path.Combine(directory, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            WriteHolder(stream);
            return new CacheLock(stream);
        }
        catch (IOException exception) when (exception.HResult is WouldBlock or SharingViolation)
        {
            int? holder = Holder(directory);
            string who = holder is { } id ? $"process {id}" : "another process";
            throw new CacheLockedException(
                $"The cache '{directory}' is being written by {who}. Wait until it has finished, stop it, or choose another " +
                    $"{SettingName.Of("CacheDir")}.",
                holder);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            string reason = exception is UnauthorizedAccessException ? "permission denied" : exception.Message.TrimEnd('.');
            throw new CacheException(
                $"The cache folder '{directory}' is not writable: {reason}. Choose another {SettingName.Of("CacheDir")}.", exception);
        }
    }

    /// <summary>Process that writes to a cache now; null when none does or it is unknown.</summary>
    public static int? CurrentHolder(string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Holder(directory);
        }
    }

    public void Dispose()
    {
        // Whoever looks at it later should not take the number for a process that still writes.
        _stream.SetLength(0);
        _stream.Dispose();
    }

    private static void WriteHolder(FileStream stream)
    {
        try
        {
            stream.SetLength(0);
            stream.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
            stream.Flush();
        }
        catch (IOException)
        {
            // On a full disk only a message would be poorer; the lock itself is held.
        }
    }

    private static int? Holder(string directory)
    {
        try
        {
            // Not through .NET's streams, which do not open a locked file.
            using SafeFileHandle file = InputFile.Open(Path.Combine(directory, FileName));
            byte[] text = new byte[16];
            int length = RandomAccess.Read(file, text, 0);
            return int.TryParse(text.AsSpan(0, length), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FileFormatException)
        {
            return null;
        }
    }
}
