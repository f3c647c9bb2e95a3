using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Lets one process at a time write to a cache.</summary>
internal static class CacheLock
{
    public const string FileName = "writer.lock";

    /// <summary>Takes the lock of a folder.</summary>
    /// <exception cref="CacheLockedException">Another holder is alive.</exception>
    /// <exception cref="CacheException">The folder is not writable.</exception>
    public static FolderLock Take(string directory)
    {
        try
        {
            return FolderLock.Take(directory, FileName);
        }
        catch (FolderLockedException exception)
        {
            throw new CacheLockedException(
                $"The cache {exception.Message}. Wait until it has finished, stop it, or choose another {SettingName.Of("CacheDir")}.",
                exception.Writer?.Process);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            string reason = exception is UnauthorizedAccessException ? "permission denied" : exception.Message.TrimEnd('.');
            throw new CacheException(
                $"The cache folder '{directory}' is not writable: {reason}. Choose another {SettingName.Of("CacheDir")}.", exception);
        }
    }

    /// <summary>Process that writes to a cache now; null when none does or it is unknown.</summary>
    public static int? CurrentHolder(string directory) => FolderLock.HolderOf(directory, FileName)?.Process;
}
