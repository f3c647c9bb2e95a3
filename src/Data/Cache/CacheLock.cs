using System.Globalization;

namespace CudaTrainer.Data.Cache;

/// <summary>Lets one process at a time write to a cache.</summary>
/// <remarks>
/// The lock is the operating system's (flock, through <see cref="FileShare.None"/>), so it ends with its process, however that
/// ends. A locked file cannot be read through .NET, therefore the holder's number stands in a file beside it.
/// </remarks>
internal sealed class CacheLock : IDisposable
{
    public const string FileName = "writer.lock";
    public const string HolderFileName = "writer.pid";

    private const int WouldBlock = 11; // EWOULDBLOCK of Linux
    private const int SharingViolation = unchecked((int)0x80070020); // of Windows

    private readonly FileStream _stream;

    private readonly string _holderPath;

    private CacheLock(FileStream stream, string holderPath) => (_stream, _holderPath) = (stream, holderPath);

    /// <summary>Takes the lock of a folder.</summary>
    /// <exception cref="CacheLockedException">Another holder is alive.</exception>
    /// <exception cref="CacheException">The folder is not writable.</exception>
    public static CacheLock Take(string directory)
    {
        var path = Path.Combine(directory, FileName);
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw new CacheException($"The cache folder '{directory}' is not writable: permission denied. Choose another --cache-dir.",
                exception);
        }
        catch (IOException exception) when (exception.HResult is WouldBlock or SharingViolation)
        {
            var holder = Holder(directory);
            var who = holder is { } id ? $"process {id}" : "another process";
            throw new CacheLockedException(
                $"The cache '{directory}' is being written by {who}. Wait until it has finished, stop it, or choose another --cache-dir.",
                    holder);
        }
        catch (IOException exception)
        {
            throw new CacheException(
                $"The cache folder '{directory}' is not writable: {exception.Message.TrimEnd('.')}. Choose another --cache-dir.",
                exception);
        }

        var holderPath = Path.Combine(directory, HolderFileName);
        try
        {
            File.WriteAllText(holderPath, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Only a message would be poorer; the lock itself is held.
        }

        return new CacheLock(stream, holderPath);
    }

    /// <summary>Process that writes to a cache now; null when none does or it is unknown.</summary>
    public static int? CurrentHolder(string directory)
    {
        var path = Path.Combine(directory, FileName);
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
        try
        {
            File.Delete(_holderPath);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The next holder writes its own.
        }

        _stream.Dispose();
    }

    private static int? Holder(string directory)
    {
        try
        {
            var text = File.ReadAllText(Path.Combine(directory, HolderFileName));
            return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
