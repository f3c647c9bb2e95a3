using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CudaTrainer.Formats;

/// <summary>The few Linux calls that .NET does not offer.</summary>
internal static unsafe partial class Posix
{
    public const int NoEntry = 2;
    public const int AccessDenied = 13;
    public const int InvalidArgument = 22;
    public const int NoSpaceLeft = 28;
    public const int ReadOnlyFileSystem = 30;
    public const int NotSupported = 95;
    public const int QuotaExceeded = 122;

    private const int OpenReadOnly = 0;
    private const int OpenNonBlocking = 0x800;
    private const int OpenCloseOnExec = 0x80000;
    private const uint MemoryCloseOnExec = 1;
    private const int AdviceWillNeed = 3;
    private const int FileLimit = 7; // RLIMIT_NOFILE
    private const short PollError = 8;

    /// <summary>Opens for reading without ever blocking: a plain open of a FIFO waits for its writer.</summary>
    /// <returns>The handle, invalid on failure (then <see cref="Marshal.GetLastPInvokeError"/> tells why).</returns>
    public static SafeFileHandle OpenForReading(string path) =>
        new(open(path, OpenReadOnly | OpenNonBlocking | OpenCloseOnExec, 0), ownsHandle: true);

    /// <summary>
    /// Whether a write failed because the file would be larger than the file system or a limit allows: .NET does not throw an IOException
    /// for that.
    /// </summary>
    public static bool IsFileTooLarge(Exception exception) => exception is ArgumentOutOfRangeException { ParamName: "value" };

    /// <summary>Makes a rename in <paramref name="directory"/> durable.</summary>
    /// <exception cref="IOException">The directory cannot be opened or synchronised.</exception>
    public static void SynchroniseDirectory(string directory)
    {
        using SafeFileHandle handle = OpenForReading(directory);
        if (handle.IsInvalid)
        {
            throw LastError();
        }

        if (fsync((int)handle.DangerousGetHandle()) != 0
            && Marshal.GetLastPInvokeError() is not (InvalidArgument or NotSupported or ReadOnlyFileSystem))
        {
            throw LastError();
        }
    }

    /// <summary>A file that is in memory only and has no name; it goes with its handle.</summary>
    /// <exception cref="IOException">There is no memory, or no more files may be opened.</exception>
    public static SafeFileHandle OpenInMemory(string label)
    {
        var handle = new SafeFileHandle(memfd_create(label, MemoryCloseOnExec), ownsHandle: true);
        return handle.IsInvalid ? throw LastError() : handle;
    }

    /// <summary>Asks the kernel to read pages ahead. Advice only: failure changes nothing but speed.</summary>
    public static void WillNeed(byte* start, long length)
    {
        nint pageMask = (nint)Environment.SystemPageSize - 1;
        nint aligned = (nint)start & ~pageMask;
        _ = madvise((void*)aligned, (nuint)((nint)start - aligned + (nint)length), AdviceWillNeed);
    }

    /// <summary>Raises the soft limit of open files to the hard one if it is below <paramref name="needed"/>.</summary>
    /// <returns>The soft limit then.</returns>
    public static long RaiseFileLimit(int needed)
    {
        ResourceLimit limit = default;
        if (getrlimit(FileLimit, &limit) != 0)
        {
            return long.MaxValue;
        }

        if (limit.Soft < (nuint)needed && limit.Hard > limit.Soft)
        {
            ResourceLimit raised = new() { Soft = limit.Hard, Hard = limit.Hard };
            if (setrlimit(FileLimit, &raised) == 0)
            {
                limit = raised;
            }
        }

        return limit.Soft > long.MaxValue ? long.MaxValue : (long)limit.Soft;
    }

    /// <summary>Whether standard output is a pipe whose reader has gone; .NET writes on as if nothing were.</summary>
    public static bool IsOutputAbandoned
    {
        get
        {
            PollDescriptor output = new() { Descriptor = 1 };
            return poll(&output, 1, 0) > 0 && (output.Found & PollError) != 0;
        }
    }

    private static IOException LastError()
    {
        int error = Marshal.GetLastPInvokeError();
        return new IOException(Marshal.GetPInvokeErrorMessage(error), error);
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int getrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, ResourceLimit* limit);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int madvise(void* address, nuint length, int advice);

    [LibraryImport("libc")]
    private static partial int poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Wanted;
        public short Found;
    }

    private struct ResourceLimit
    {
        public nuint Soft;
        public nuint Hard;
    }
}
