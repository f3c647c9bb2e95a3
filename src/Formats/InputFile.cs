using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>Opens files that come from the user.</summary>
internal static class InputFile
{
    /// <summary>Opens a regular file for reading; never blocks, even on a FIFO.</summary>
    /// <exception cref="FileNotFoundException">Nothing of that name.</exception>
    /// <exception cref="UnauthorizedAccessException">Not readable by this user.</exception>
    /// <exception cref="FileFormatException">A folder, FIFO, socket or device.</exception>
    public static SafeFileHandle Open(string path)
    {
        if (Directory.Exists(path))
        {
            throw new FileFormatException(path, "expected a file, found a folder");
        }

        SafeFileHandle handle = OperatingSystem.IsLinux() ? OpenOnLinux(path) : File.OpenHandle(path);
        try
        {
            _ = RandomAccess.GetLength(handle);
            return handle;
        }
        catch (NotSupportedException)
        {
            handle.Dispose();
            throw new FileFormatException(path, "expected a regular file, found a pipe, socket or device");
        }
    }

    /// <summary>Reads exactly destination.Length bytes at <paramref name="offset"/>.</summary>
    /// <exception cref="FileFormatException">The file ends before.</exception>
    public static void ReadExactly(SafeFileHandle handle, string path, long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            int read = RandomAccess.Read(handle, destination, offset);
            if (read == 0)
            {
                throw new FileFormatException(path, $"the file ended at byte {offset} while it was read", "Something else is changing it.");
            }

            offset += read;
            destination = destination[read..];
        }
    }

    private static SafeFileHandle OpenOnLinux(string path)
    {
        SafeFileHandle handle = Posix.OpenForReading(path);
        if (!handle.IsInvalid)
        {
            return handle;
        }

        int error = Marshal.GetLastPInvokeError();
        throw error switch
        {
            Posix.NoEntry => new FileNotFoundException($"'{path}' does not exist.", path),
            Posix.AccessDenied => new UnauthorizedAccessException($"'{path}' cannot be read: permission denied."),
            _ => new IOException($"'{path}' cannot be opened: {Marshal.GetPInvokeErrorMessage(error)}.", error),
        };
    }
}
