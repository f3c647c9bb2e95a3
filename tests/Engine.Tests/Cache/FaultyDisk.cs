using CudaTrainer.Data.Cache;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Engine.Tests.Cache;

/// <summary>The process is killed here.</summary>
internal sealed class KilledException : Exception;

/// <summary>
/// A disk on which the process is killed at a chosen change, or which is full. Never waits for the hardware, so that tests are fast.
/// </summary>
internal sealed class FaultyDisk : CacheDisk
{
    /// <summary>The change that does not happen any more; counted from 0.</summary>
    public int KillAt { get; init; } = int.MaxValue;

    /// <summary>How much of the write at <see cref="KillAt"/> still reaches the disk.</summary>
    public double Torn { get; init; }

    /// <summary>Bytes that may still be written before the disk is full.</summary>
    public long Room { get; set; } = long.MaxValue;

    /// <summary>What the file system says is free, whether true or not.</summary>
    public long ClaimedFree { get; set; } = long.MaxValue;

    /// <summary>Changes so far.</summary>
    public int Changes { get; private set; }

    public override SafeFileHandle Open(string path, FileMode mode)
    {
        Count();
        return base.Open(path, mode);
    }

    public override void Write(SafeFileHandle handle, long offset, ReadOnlySpan<byte> bytes)
    {
        if (Changes == KillAt)
        {
            base.Write(handle, offset, bytes[..(int)(bytes.Length * Torn)]);
        }

        Count();
        if (bytes.Length > Room)
        {
            base.Write(handle, offset, bytes[..(int)Room]);
            Room = 0;
            throw new IOException("No space left on device", 28);
        }

        Room -= bytes.Length;
        base.Write(handle, offset, bytes);
    }

    public override void Truncate(SafeFileHandle handle, long length)
    {
        Count();
        base.Truncate(handle, length);
    }

    public override void Flush(SafeFileHandle handle) => Count();

    public override void Rename(string from, string to)
    {
        Count();
        base.Rename(from, to);
    }

    public override void Delete(string path)
    {
        // What cleans up after an error does not run in a process that was killed.
        Count();
        base.Delete(path);
    }

    public override void WriteWhole(string path, ReadOnlySpan<byte> bytes)
    {
        Count();
        File.WriteAllBytes(path + ".whole", bytes);
        File.Move(path + ".whole", path, overwrite: true);
    }

    public override void FlushFolder(string directory) => Count();

    public override long FreeBytes(string directory) => ClaimedFree;

    private void Count()
    {
        if (Changes >= KillAt)
        {
            throw new KilledException();
        }

        Changes++;
    }
}
