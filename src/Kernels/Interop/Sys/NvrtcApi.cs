using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>NVRTC as in nvrtc.h; results are <c>nvrtcResult</c>.</summary>
internal static unsafe partial class NvrtcApi
{
    public const string Library = "nvrtc";

    /// <summary>NVRTC_ERROR_COMPILATION: the log tells why.</summary>
    public const int ErrorCompilation = 6;

    [LibraryImport(Library)]
    public static partial int nvrtcVersion(int* major, int* minor);

    [LibraryImport(Library)]
    public static partial byte* nvrtcGetErrorString(int result);

    [LibraryImport(Library)]
    public static partial int nvrtcCreateProgram(nint* program, byte* source, byte* name, int headerCount, byte** headers, byte** includeNames);

    [LibraryImport(Library)]
    public static partial int nvrtcDestroyProgram(nint* program);

    [LibraryImport(Library)]
    public static partial int nvrtcCompileProgram(nint program, int optionCount, byte** options);

    [LibraryImport(Library)]
    public static partial int nvrtcGetCUBINSize(nint program, nuint* bytes);

    [LibraryImport(Library)]
    public static partial int nvrtcGetCUBIN(nint program, byte* cubin);

    [LibraryImport(Library)]
    public static partial int nvrtcGetPTXSize(nint program, nuint* bytes);

    [LibraryImport(Library)]
    public static partial int nvrtcGetPTX(nint program, byte* ptx);

    [LibraryImport(Library)]
    public static partial int nvrtcGetProgramLogSize(nint program, nuint* bytes);

    [LibraryImport(Library)]
    public static partial int nvrtcGetProgramLog(nint program, byte* log);

    [LibraryImport(Library)]
    public static partial int nvrtcGetNumSupportedArchs(int* count);

    [LibraryImport(Library)]
    public static partial int nvrtcGetSupportedArchs(int* architectures);
}
