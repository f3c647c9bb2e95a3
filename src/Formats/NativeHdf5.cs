using System.Runtime.InteropServices;
using System.Text;

namespace CudaTrainer.Formats;

/// <summary>The functions of <c>native/hdf5/cudatrainer_hdf5.h</c>, same order, same names.</summary>
internal sealed unsafe class NativeHdf5
{
    internal const int MessageBytes = 1024;

    private const int Abi = 1;

    private readonly delegate* unmanaged[Cdecl]<byte*, int, void> _version;

    private NativeHdf5(nint library)
    {
        _version = (delegate* unmanaged[Cdecl]<byte*, int, void>)NativeLibrary.GetExport(library, "cth_version");
        OpenIndex = (delegate* unmanaged[Cdecl]<byte*, nint*, byte*, int, int>)NativeLibrary.GetExport(library, "cth_open_index");
        OpenData = (delegate* unmanaged[Cdecl]<byte*, byte*, nint*, byte*, int, int>)NativeLibrary.GetExport(library, "cth_open_data");
        Next = (delegate* unmanaged[Cdecl]<nint, void*, long, byte*, int, long>)NativeLibrary.GetExport(library, "cth_next");
        CloseStream = (delegate* unmanaged[Cdecl]<nint, void>)NativeLibrary.GetExport(library, "cth_close_stream");
    }

    public delegate* unmanaged[Cdecl]<byte*, nint*, byte*, int, int> OpenIndex { get; }

    public delegate* unmanaged[Cdecl]<byte*, byte*, nint*, byte*, int, int> OpenData { get; }

    public delegate* unmanaged[Cdecl]<nint, void*, long, byte*, int, long> Next { get; }

    public delegate* unmanaged[Cdecl]<nint, void> CloseStream { get; }

    /// <summary>Held while a stream is opened: a child that starts meanwhile would keep its pipe open.</summary>
    public Lock Gate { get; } = new();

    /// <exception cref="DllNotFoundException">No such file, or one of its own dependencies is missing.</exception>
    /// <exception cref="BadImageFormatException">Not a library of this architecture.</exception>
    /// <exception cref="EntryPointNotFoundException">Another library, or one built from another version.</exception>
    public static NativeHdf5 Load(string path)
    {
        nint library = NativeShim.Open(path);
        var abi = (delegate* unmanaged[Cdecl]<int>)NativeLibrary.GetExport(library, "cth_abi");
        int found = abi();
        return found == Abi
            ? new NativeHdf5(library)
            : throw new EntryPointNotFoundException($"interface version {found}, expected {Abi}: rebuild it");
    }

    public string ReadVersion()
    {
        byte* text = stackalloc byte[256];
        lock (Gate)
        {
            _version(text, 256);
        }

        return Marshal.PtrToStringUTF8((nint)text)!;
    }

    /// <summary>A text as C wants it.</summary>
    public static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');

    /// <summary>What a function left in its buffer for messages.</summary>
    public static string Message(ReadOnlySpan<byte> buffer)
    {
        int end = buffer.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? buffer : buffer[..end]).TrimEnd('.');
    }
}
