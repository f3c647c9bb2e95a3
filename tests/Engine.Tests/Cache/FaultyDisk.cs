using CudaTrainer.Data.Cache;

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

    public override void Write(string path, IEnumerable<ReadOnlyMemory<byte>> parts, bool isDurable)
    {
        byte[] bytes = [.. parts.SelectMany(part => part.ToArray())];
        if (Changes == KillAt)
        {
            // What a process had written when it was killed stands under a temporary name, or it was whole and just got its own.
            File.WriteAllBytes(Unfinished(path), bytes[..(int)(bytes.Length * Torn)]);
            if (Torn == 1)
            {
                File.Move(Unfinished(path), path, overwrite: true);
            }
        }

        Count();
        if (bytes.Length > Room)
        {
            Room = 0;
            throw new IOException("No space left on device", 28);
        }

        Room -= bytes.Length;
        File.WriteAllBytes(Unfinished(path), bytes);
        File.Move(Unfinished(path), path, overwrite: true);
    }

    public override void Rename(string from, string to)
    {
        Count();
        base.Rename(from, to);
    }

    public override void FlushFolder(string directory) => Count();

    public override long FreeBytes(string directory) => ClaimedFree;

    public override void Delete(string path)
    {
        // What cleans up after an error does not run in a process that was killed.
        Count();
        base.Delete(path);
    }

    private static string Unfinished(string path) =>
        Path.Combine(Path.GetDirectoryName(path)!, $".{Path.GetFileName(path)}.1-1.tmp");

    private void Count()
    {
        if (Changes >= KillAt)
        {
            throw new KilledException();
        }

        Changes++;
    }
}
