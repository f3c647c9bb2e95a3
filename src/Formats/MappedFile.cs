using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>A whole file as read-only memory; pages are read when touched.</summary>
/// <remarks>
/// The file must not shrink while it is mapped. Ours never do (<see cref="AtomicFile"/> replaces, it does not truncate): a mapping keeps
/// showing the old content after a replacement.
/// </remarks>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _file;
    private readonly MemoryMappedViewAccessor? _view;
    private byte* _start;
    private bool _disposed;

    private MappedFile(string path, long length, MemoryMappedFile? file, MemoryMappedViewAccessor? view)
    {
        Path = path;
        Length = length;
        _file = file;
        _view = view;

        // Not AcquirePointer: its reference count would keep the mapping alive for ever if nobody disposes.
        _start = view is null ? null : (byte*)view.SafeMemoryMappedViewHandle.DangerousGetHandle() + view.PointerOffset;
    }

    public string Path { get; }

    public long Length { get; }

    /// <summary>The first byte; null for an empty file.</summary>
    /// <exception cref="ObjectDisposedException">The mapping is gone.</exception>
    public byte* Start
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _start;
        }
    }

    /// <inheritdoc cref="InputFile.Open"/>
    /// <summary>Maps a file.</summary>
    public static MappedFile Open(string path)
    {
        using SafeFileHandle handle = InputFile.Open(path);
        return Map(handle, path);
    }

    /// <summary>Maps an open file; the mapping outlives the handle.</summary>
    public static MappedFile Map(SafeFileHandle handle, string path)
    {
        long length = RandomAccess.GetLength(handle);
        if (length == 0)
        {
            return new MappedFile(path, 0, null, null);
        }

        var file = MemoryMappedFile.CreateFromFile(
            handle, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            return new MappedFile(path, length, file, file.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Bytes [offset, offset + length), which must lie in the file.</summary>
    public ReadOnlySpan<byte> Span(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - length);
        return new ReadOnlySpan<byte>(Start + offset, length);
    }

    /// <summary>Asks for bytes [offset, offset + length) to be read ahead.</summary>
    public void WillNeed(long offset, long length)
    {
        length = Math.Min(length, Length - offset);
        if (OperatingSystem.IsLinux() && offset >= 0 && length > 0)
        {
            Posix.WillNeed(Start + offset, length);
        }
    }

    public void Dispose()
    {
        _disposed = true;
        _start = null;
        _view?.Dispose();
        _file?.Dispose();
    }
}
