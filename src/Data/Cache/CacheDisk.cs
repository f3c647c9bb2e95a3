using CudaTrainer.Formats;

namespace CudaTrainer.Data.Cache;

/// <summary>Every change that the cache makes to the disk goes through here, so that tests can stop it at any of them.</summary>
internal class CacheDisk
{
    public static CacheDisk Real { get; } = new();

    /// <summary>Writes a file that appears whole or not at all.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="parts">Its content; each part is written before the next is asked for, so they may share memory.</param>
    /// <param name="isDurable">Whether it is on the disk, and not only with the system, when this returns.</param>
    public virtual void Write(string path, IEnumerable<ReadOnlyMemory<byte>> parts, bool isDurable)
    {
        using AtomicFile file = AtomicFile.Create(path);
        foreach (ReadOnlyMemory<byte> part in parts)
        {
            file.Append(part.Span);
        }

        file.Commit(isDurable);
    }

    public virtual void Rename(string from, string to) => File.Move(from, to, overwrite: true);

    public virtual void Delete(string path) => File.Delete(path);

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
