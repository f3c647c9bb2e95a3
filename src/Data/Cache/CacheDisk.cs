using CudaTrainer.Formats;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Data.Cache;

/// <summary>Every change that the cache makes to the disk goes through here, so that tests can stop it at any of them.</summary>
internal class CacheDisk
{
    public static CacheDisk Real { get; } = new();

    /// <summary>Opens a file for writing; readers are not shut out.</summary>
    public virtual SafeFileHandle Open(string path, FileMode mode) => File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.Read);

    public virtual void Write(SafeFileHandle handle, long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(handle, bytes, offset);
        }
        catch (Exception exception) when (Posix.IsFileTooLarge(exception))
        {
            throw new IOException(
                "A file of the feature cache would become larger than the file system or a limit (ulimit -f) allows. Features " +
                    "extracted so far are kept; choose another --cache-dir.",
                exception);
        }
    }

    public virtual void Truncate(SafeFileHandle handle, long length) => RandomAccess.SetLength(handle, length);

    public virtual void Flush(SafeFileHandle handle) => RandomAccess.FlushToDisk(handle);

    public virtual void Rename(string from, string to) => File.Move(from, to, overwrite: true);

    public virtual void Delete(string path) => File.Delete(path);

    public virtual void WriteWhole(string path, ReadOnlySpan<byte> bytes) => AtomicFile.WriteAllBytes(path, bytes);

    /// <summary>Makes renames and deletions in a folder durable.</summary>
    public virtual void FlushFolder(string directory)
    {
        if (!OperatingSystem.IsWindows())
        {
            Posix.SynchroniseDirectory(directory);
        }
    }

    public virtual long FreeBytes(string directory) => new DriveInfo(directory).AvailableFreeSpace;

    public static bool IsFull(IOException exception) =>
        exception.HResult is Posix.NoSpaceLeft or Posix.QuotaExceeded or unchecked((int)0x80070070);
}
