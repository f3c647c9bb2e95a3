using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>What the ranks of a communicator find each other by: ncclUniqueId.</summary>
internal unsafe struct NcclUniqueId
{
    public const int Size = 128;

    public fixed byte Internal[Size];
}

/// <summary>NCCL as in nccl.h; results are <c>ncclResult_t</c>.</summary>
internal static unsafe partial class NcclApi
{
    public const string Library = "nccl";

    /// <summary>ncclUnhandledCudaError: the driver knows more.</summary>
    public const int UnhandledCudaError = 1;

    public const int InvalidUsage = 5;

    /// <summary>ncclInProgress: of communicators that do not block, which ours do.</summary>
    public const int InProgress = 7;

    /// <summary>ncclUint8, ncclFloat16, ncclFloat32.</summary>
    public const int Byte = 1;
    public const int Half = 6;
    public const int Single = 7;

    /// <summary>ncclSum.</summary>
    public const int Sum = 0;

    [LibraryImport(Library)]
    public static partial int ncclGetVersion(int* version);

    [LibraryImport(Library)]
    public static partial int ncclGetUniqueId(NcclUniqueId* id);

    [LibraryImport(Library)]
    public static partial int ncclCommInitRank(nint* communicator, int ranks, NcclUniqueId id, int rank);

    [LibraryImport(Library)]
    public static partial int ncclCommDestroy(nint communicator);

    [LibraryImport(Library)]
    public static partial int ncclCommAbort(nint communicator);

    [LibraryImport(Library)]
    public static partial int ncclCommGetAsyncError(nint communicator, int* error);

    [LibraryImport(Library)]
    public static partial byte* ncclGetErrorString(int result);

    [LibraryImport(Library)]
    public static partial int ncclAllReduce(nint source, nint destination, nuint count, int type, int operation, nint communicator,
        nint stream);

    [LibraryImport(Library)]
    public static partial int ncclBroadcast(nint source, nint destination, nuint count, int type, int root, nint communicator, nint stream);

    [LibraryImport(Library)]
    public static partial int ncclAllGather(nint source, nint destination, nuint countPerRank, int type, nint communicator, nint stream);
}
