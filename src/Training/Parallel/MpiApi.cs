using System.Runtime.InteropServices;
using System.Text;
using CudaTrainer.Formats;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Training.Parallel;

/// <summary>
/// The functions of <c>native/mpi/cudatrainer_mpi.h</c>, in the same order. They return 0 or an error for <see cref="Text"/>.
/// </summary>
internal sealed unsafe class MpiApi
{
    private const int Abi = 1;
    private const int TextBytes = 1024;

    private readonly delegate* unmanaged[Cdecl]<byte*, int, void> _libraryVersion;
    private readonly delegate* unmanaged[Cdecl]<int, byte*, int, void> _error;

    private MpiApi(nint library)
    {
        _libraryVersion = (delegate* unmanaged[Cdecl]<byte*, int, void>)NativeLibrary.GetExport(library, "ctm_library_version");
        Init = (delegate* unmanaged[Cdecl]<int*, int*, int*, int*, int>)NativeLibrary.GetExport(library, "ctm_init");
        Finalise = (delegate* unmanaged[Cdecl]<int>)NativeLibrary.GetExport(library, "ctm_finalize");
        Abort = (delegate* unmanaged[Cdecl]<int, void>)NativeLibrary.GetExport(library, "ctm_abort");
        SendBegin = (delegate* unmanaged[Cdecl]<byte*, long, int, int, int*, int>)NativeLibrary.GetExport(library, "ctm_isend");
        ReceiveBegin = (delegate* unmanaged[Cdecl]<byte*, long, int, int, int*, int>)NativeLibrary.GetExport(library, "ctm_irecv");
        Test = (delegate* unmanaged[Cdecl]<int, int*, long*, int>)NativeLibrary.GetExport(library, "ctm_test");
        Forget = (delegate* unmanaged[Cdecl]<int, int>)NativeLibrary.GetExport(library, "ctm_forget");
        _error = (delegate* unmanaged[Cdecl]<int, byte*, int, void>)NativeLibrary.GetExport(library, "ctm_error");
    }

    public delegate* unmanaged[Cdecl]<int*, int*, int*, int*, int> Init { get; }

    public delegate* unmanaged[Cdecl]<int> Finalise { get; }

    public delegate* unmanaged[Cdecl]<int, void> Abort { get; }

    public delegate* unmanaged[Cdecl]<byte*, long, int, int, int*, int> SendBegin { get; }

    public delegate* unmanaged[Cdecl]<byte*, long, int, int, int*, int> ReceiveBegin { get; }

    public delegate* unmanaged[Cdecl]<int, int*, long*, int> Test { get; }

    public delegate* unmanaged[Cdecl]<int, int> Forget { get; }

    /// <exception cref="DllNotFoundException">No such file, or the MPI library that it was built with is missing.</exception>
    /// <exception cref="BadImageFormatException">Not a library of this architecture.</exception>
    /// <exception cref="EntryPointNotFoundException">Another library, or one built from another version.</exception>
    public static MpiApi Load(string path)
    {
        // Some libraries below MPI take the signals as soon as they are loaded.
        using var handlers = new FaultHandlers();
        nint library = NativeShim.Open(path);
        int found = ((delegate* unmanaged[Cdecl]<int>)NativeLibrary.GetExport(library, "ctm_abi"))();
        return found == Abi
            ? new MpiApi(library)
            : throw new EntryPointNotFoundException($"interface version {found}, expected {Abi}: rebuild it");
    }

    public string LibraryVersion()
    {
        byte* text = stackalloc byte[TextBytes];
        _libraryVersion(text, TextBytes);
        return Decode(text);
    }

    public string Text(int error)
    {
        byte* text = stackalloc byte[TextBytes];
        _error(error, text, TextBytes);
        return Decode(text);
    }

    private static string Decode(byte* text) => Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text)).Trim();
}
