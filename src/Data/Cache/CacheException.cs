using System.Globalization;
using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>A feature cache that cannot be used as asked. The message names the file or folder, what was found and what to do.</summary>
public class CacheException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Another process is writing to the cache.</summary>
public sealed class CacheLockedException(string message, int? holder) : CacheException(message)
{
    /// <summary>Process that holds the lock, when it is known.</summary>
    public int? Holder { get; } = holder;
}

/// <summary>The disk has no room for the features. Everything stored before is intact.</summary>
public sealed class CacheFullException : CacheException
{
    internal CacheFullException(string directory, long bytesNeeded, long bytesFree, Exception? inner = null)
        : base(
            $"The disk is full: caching features in '{directory}' needs {Format(bytesNeeded)} more, {Format(bytesFree)} are free. "
            + $"Free some space, choose another {SettingName.Of("CacheDir")}, or halve the need with {SettingName.Of("FeatureDtype")} " +
                "float16. Features extracted so far are kept; "
            + "run the same command again to continue.",
            inner)
    {
        BytesNeeded = bytesNeeded;
        BytesFree = bytesFree;
    }

    /// <summary>Bytes that the features still to be stored take, the final files included.</summary>
    public long BytesNeeded { get; }

    public long BytesFree { get; }

    private static string Format(long bytes) => bytes >= 10_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:N0} MB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} bytes");
}
