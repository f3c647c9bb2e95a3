using System.Runtime.InteropServices;

namespace CudaTrainer.Data.Dataset;

internal enum FileKind
{
    Missing,
    Regular,
    Folder,

    /// <summary>FIFO, socket or device.</summary>
    Special,
}

/// <summary>What the file system says about a path, links followed, without opening it.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Device">With <paramref name="Inode"/>, the identity of a file whatever path leads to it; zero where the system has
/// none.</param>
/// <param name="Inode">See <paramref name="Device"/>.</param>
/// <param name="Bytes">Size.</param>
/// <param name="ModifiedNanoseconds">Time of the last change, nanoseconds since 1970.</param>
internal readonly partial record struct FileFacts(FileKind Kind, ulong Device, ulong Inode, long Bytes, long ModifiedNanoseconds)
{
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const int CurrentFolder = -100; // AT_FDCWD
    private const uint BasicStatistics = 0x7ff; // STATX_BASIC_STATS
    private const int NotPermitted = 1; // EPERM
    private const int NotImplemented = 38; // ENOSYS
    private const int TypeMask = 0xf000;
    private const int FolderType = 0x4000;
    private const int RegularType = 0x8000;

    public static FileFacts Of(string path) => OperatingSystem.IsLinux() ? OfLinux(path) : OfAny(path);

    // .NET does not tell a FIFO from a regular file; opening one to find out would block. statx, unlike stat, has one layout
    // on every processor (linux/stat.h).
    private static FileFacts OfLinux(string path)
    {
        if (statx(CurrentFolder, path, 0, BasicStatistics, out StatusBuffer status) != 0)
        {
            // Containers with an old system-call filter refuse statx, whatever the file.
            return Marshal.GetLastPInvokeError() is NotPermitted or NotImplemented ? OfAny(path) : default;
        }

        FileKind kind = (status.Mode & TypeMask) switch
        {
            RegularType => FileKind.Regular,
            FolderType => FileKind.Folder,
            _ => FileKind.Special,
        };
        return new FileFacts(
            kind,
            ((ulong)status.DeviceMajor << 32) | status.DeviceMinor,
            status.Inode,
            (long)status.Size,
            (status.ModifiedSeconds * NanosecondsPerSecond) + status.ModifiedNanoseconds);
    }

    private static FileFacts OfAny(string path)
    {
        if (Directory.Exists(path))
        {
            return new FileFacts(FileKind.Folder, 0, 0, 0, 0);
        }

        var file = new FileInfo(path);
        return file.Exists
            ? new FileFacts(FileKind.Regular, 0, 0, file.Length,
                (file.LastWriteTimeUtc - DateTime.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick)
            : default;
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint mask, out StatusBuffer status);

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatusBuffer
    {
        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(112)]
        public long ModifiedSeconds;

        [FieldOffset(120)]
        public uint ModifiedNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
