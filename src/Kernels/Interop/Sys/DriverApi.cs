using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>The CUDA driver API as in cuda.h: handles are <c>nint</c>, device addresses too, results <c>CUresult</c>.</summary>
internal static unsafe partial class DriverApi
{
    public const string Library = "cuda";

    public const int Success = 0;
    public const int ErrorOutOfMemory = 2;
    public const int ErrorNotReady = 600;
    public const int ErrorPeerAccessAlreadyEnabled = 704;

    public const int MemHostAllocPortable = 1;
    public const int MemHostAllocDeviceMap = 2;
    public const uint StreamNonBlocking = 1;
    public const uint EventDisableTiming = 2;

    /// <summary>The capturing thread may still call what is not queued, such as cuMemAlloc.</summary>
    public const int CaptureModeRelaxed = 2;

    public const int AttributeMaxThreadsPerBlock = 1;
    public const int AttributeWarpSize = 10;
    public const int AttributeMultiprocessors = 16;
    public const int AttributeComputeMajor = 75;
    public const int AttributeComputeMinor = 76;
    public const int AttributeSharedPerBlockOptin = 97;

    public const int FunctionMaxThreads = 0;
    public const int FunctionSharedBytes = 1;
    public const int FunctionLocalBytes = 3;
    public const int FunctionRegisters = 4;
    public const int FunctionMaxDynamicShared = 8;

    public const int JitInfoLogBuffer = 3;
    public const int JitInfoLogBufferBytes = 4;
    public const int JitErrorLogBuffer = 5;
    public const int JitErrorLogBufferBytes = 6;

    [LibraryImport(Library)]
    public static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    public static partial int cuDriverGetVersion(int* version);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetCount(int* count);

    [LibraryImport(Library)]
    public static partial int cuDeviceGet(int* device, int ordinal);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetUuid_v2(byte* uuid, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetAttribute(int* value, int attribute, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceTotalMem_v2(nuint* bytes, int device);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRetain(nint* context, int device);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRelease_v2(int device);

    [LibraryImport(Library)]
    public static partial int cuCtxSetCurrent(nint context);

    [LibraryImport(Library)]
    public static partial int cuCtxGetCurrent(nint* context);

    [LibraryImport(Library)]
    public static partial int cuCtxSynchronize();

    [LibraryImport(Library)]
    public static partial int cuMemGetInfo_v2(nuint* free, nuint* total);

    [LibraryImport(Library)]
    public static partial int cuMemAlloc_v2(nint* address, nuint bytes);

    [LibraryImport(Library)]
    public static partial int cuMemFree_v2(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemHostAlloc(nint* pointer, nuint bytes, uint flags);

    [LibraryImport(Library)]
    public static partial int cuMemFreeHost(nint pointer);

    [LibraryImport(Library)]
    public static partial int cuMemcpyHtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoHAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyPeerAsync(nint destination, nint destinationContext, nint source, nint sourceContext, nuint bytes,
        nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemsetD8Async(nint destination, byte value, nuint count, nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamCreate(nint* stream, uint flags);

    [LibraryImport(Library)]
    public static partial int cuStreamDestroy_v2(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamSynchronize(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamWaitEvent(nint stream, nint place, uint flags);

    [LibraryImport(Library)]
    public static partial int cuStreamBeginCapture_v2(nint stream, int mode);

    [LibraryImport(Library)]
    public static partial int cuStreamEndCapture(nint stream, nint* graph);

    [LibraryImport(Library)]
    public static partial int cuEventCreate(nint* place, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventDestroy_v2(nint place);

    [LibraryImport(Library)]
    public static partial int cuEventRecord(nint place, nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventSynchronize(nint place);

    [LibraryImport(Library)]
    public static partial int cuEventQuery(nint place);

    [LibraryImport(Library)]
    public static partial int cuEventElapsedTime(float* milliseconds, nint start, nint end);

    [LibraryImport(Library)]
    public static partial int cuModuleLoadDataEx(nint* module, byte* image, uint count, int* options, void** values);

    [LibraryImport(Library)]
    public static partial int cuModuleUnload(nint module);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int cuModuleGetFunction(nint* function, nint module, string name);

    [LibraryImport(Library)]
    public static partial int cuFuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(Library)]
    public static partial int cuFuncGetAttribute(int* value, int attribute, nint function);

    [LibraryImport(Library)]
    public static partial int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, nint function, int blockSize,
        nuint dynamicSharedBytes);

    [LibraryImport(Library)]
    public static partial int cuLaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream,
            void** parameters, void** extra);

    [LibraryImport(Library)]
    public static partial int cuGraphInstantiateWithFlags(nint* executable, nint graph, ulong flags);

    [LibraryImport(Library)]
    public static partial int cuGraphLaunch(nint executable, nint stream);

    [LibraryImport(Library)]
    public static partial int cuGraphExecDestroy(nint executable);

    [LibraryImport(Library)]
    public static partial int cuGraphDestroy(nint graph);

    [LibraryImport(Library)]
    public static partial int cuGraphGetNodes(nint graph, nint* nodes, nuint* count);

    [LibraryImport(Library)]
    public static partial int cuDeviceCanAccessPeer(int* can, int device, int peer);

    [LibraryImport(Library)]
    public static partial int cuCtxEnablePeerAccess(nint peerContext, uint flags);

    [LibraryImport(Library)]
    public static partial int cuCtxDisablePeerAccess(nint peerContext);

    [LibraryImport(Library)]
    public static partial int cuGetErrorName(int error, byte** text);

    [LibraryImport(Library)]
    public static partial int cuGetErrorString(int error, byte** text);
}
