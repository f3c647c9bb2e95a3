// Memory: garbage, guards, ranges, limits.
#include "kernels_ptx.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

using test::Gpu;

// First of all tests, since nothing may be initialised yet.
TEST(CallsBeforeInitialisation) {
    int count = 0;
    CUdeviceptr memory;
    EQUAL(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&count));
    EQUAL(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc_v2(&memory, 16));
    cudasimConfigure("DEVICES", "0");
    EQUAL(CUDA_ERROR_NO_DEVICE, cuInit(0));
    cudasimConfigure("DEVICES", "3");
    OK(cuInit(0));
    OK(cuDeviceGetCount(&count));
    EQUAL(3, count);
    EQUAL(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc_v2(&memory, 16));
}

TEST(DevicesDescribeThemselves) {
    OK(cuInit(0));
    cudasimConfigure("COMPUTE_CAPABILITY", "8.9");
    cudasimConfigure("DRIVER_VERSION", "11020");
    int value = 0;
    char name[64];
    OK(cuDeviceGetName(name, sizeof name, 1));
    EQUAL(0, strcmp(name, "SIMULATED GPU 1"));
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 1));
    EQUAL(9, value);
    OK(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 0));
    EQUAL(99 << 10, value);
    OK(cuDriverGetVersion(&value));
    EQUAL(11020, value);
    EQUAL(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 2));
    CUuuid one, two;
    OK(cuDeviceGetUuid_v2(&one, 0));
    OK(cuDeviceGetUuid_v2(&two, 1));
    CHECK(memcmp(&one, &two, sizeof one));
}

TEST(FreshMemoryIsNotANumber) {
    Gpu gpu;
    for (size_t bytes : {size_t(4), size_t(1000), size_t(70) << 20}) {
        CUdeviceptr memory = gpu.alloc(bytes);
        EQUAL(0, memory % 256);
        CHECK(std::isnan(gpu.download<float>(memory, 1)[0]));
        CHECK(std::isnan(gpu.download<float>(memory + bytes - 4, 1)[0]));
        OK(cuMemFree_v2(memory));
        EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemFree_v2(memory));
    }
}

TEST(RangesAreChecked) {
    Gpu gpu;
    CUdeviceptr memory = gpu.alloc(100);
    char host[200] = {};
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2(memory, host, 101, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2(memory - 1, host, 4, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoHAsync_v2(host, memory + 99, 2, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2((CUdeviceptr)host, host, 4, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemsetD8Async(memory, 0, 101, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuMemsetD8Async(memory, 0, 100, nullptr));
    OK(cuMemsetD8Async(memory, 7, 100, gpu.stream));
    OK(cuMemcpyDtoHAsync_v2(host, memory, 100, gpu.stream));
    EQUAL(7, host[99]);
    EQUAL(0, host[100]);
    void* pinned = nullptr;
    OK(cuMemHostAlloc(&pinned, 50, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoDAsync_v2(memory, pinned, 51, gpu.stream));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost((char*)pinned + 1));
    OK(cuMemFreeHost(pinned));
    CHECK(sim::rangeOnDevice(0, (void*)memory, 100));
    CHECK(!sim::rangeOnDevice(0, (void*)memory, 101));
    CHECK(!sim::rangeOnDevice(1, (void*)memory, 4));
    CHECK(!sim::rangeOnDevice(0, nullptr, 1));
    CHECK(sim::rangeOnDevice(0, nullptr, 0));
}

TEST(MemoryRunsOut) {
    cudasimConfigure("MEMORY", "1000000");
    Gpu gpu;
    size_t free = 0, total = 0;
    CUdeviceptr first = gpu.alloc(600000), second = 0;
    OK(cuMemGetInfo_v2(&free, &total));
    EQUAL(1000000, total);
    CHECK(free <= 400000 && free > 390000);
    EQUAL(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc_v2(&second, 500000));
    OK(cuMemFree_v2(first));
    OK(cuMemAlloc_v2(&second, 500000));
    cudasimConfigure("FAIL_ALLOC", "2,3,5");
    CUdeviceptr small;
    for (bool fails : {false, true, true, false, true, false})
        EQUAL(fails ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS, cuMemAlloc_v2(&small, 16));
    EQUAL(5, cudasimCounter("allocations"));
    EQUAL(4, cudasimCounter("live_allocations"));
}

TEST(WritesIntoThePaddingAreFound) {
    for (int at : {100, -1, 255}) {
        Gpu gpu;
        CUdeviceptr memory = gpu.alloc(100);
        OK(sim::enqueue(gpu.stream, "libraryCall", [=] { reinterpret_cast<char*>(memory)[at] = 1; }));
        EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
        FAULT(at < 0 ? "before the start of an allocation of 100 bytes" : "behind the end of an allocation of 100 bytes");
    }
}

TEST(KernelsTouchMemoryOnly) {
    auto attempt = [&](std::function<CUdeviceptr(Gpu&)> pointer) {
        Gpu gpu;
        OK(gpu.launch(gpu.kernel("put"), 1, 1, 0, pointer(gpu)));
        return gpu.sync();
    };
    static float host;
    void* pinned = nullptr;
    OK(attempt([](Gpu&) { return 0; }));
    OK(attempt([](Gpu& gpu) { return gpu.alloc(4); }));
    EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, attempt([](Gpu&) { return (CUdeviceptr)&host; }));
    FAULT("illegal access, no memory of any device");
    EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, attempt([](Gpu& gpu) {
        CUdeviceptr memory = gpu.alloc(4);
        cuMemFree_v2(memory);
        return memory;
    }));
    FAULT("where nothing is allocated (any more)");
    OK(attempt([&](Gpu&) {
        OK(cuMemHostAlloc(&pinned, 4, CU_MEMHOSTALLOC_DEVICEMAP));
        return (CUdeviceptr)pinned;
    }));
    EQUAL(0x3f800000, *(int*)pinned);
    Gpu gpu;
    OK(cuMemFreeHost(pinned));
}

TEST(PeersNeedAccess) {
    for (bool enable : {false, true}) {
        Gpu other(1), gpu(0);
        OK(cuCtxSetCurrent(other.context));
        CUdeviceptr theirs = other.alloc(400);
        OK(cuCtxSetCurrent(gpu.context));
        int can = 0;
        OK(cuDeviceCanAccessPeer(&can, 0, 1));
        EQUAL(1, can);
        if (enable) OK(cuCtxEnablePeerAccess(other.context, 0));
        if (enable) EQUAL(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, cuCtxEnablePeerAccess(other.context, 0));
        OK(gpu.launch(gpu.kernel("put"), 1, 1, 0, theirs));
        EQUAL(enable ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
        if (!enable) FAULT("illegal access, memory of device 1, inside an allocation of 400 bytes");
    }

    cudasimConfigure("PEER", "off");
    Gpu other(1), gpu(0);
    int can = 1;
    OK(cuDeviceCanAccessPeer(&can, 0, 1));
    EQUAL(0, can);
    EQUAL(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, cuCtxEnablePeerAccess(other.context, 0));
}

TEST(PeerCopiesMayLie) {
    for (const char* mode : {"on", "off", "lying"}) {
        cudasimConfigure("PEER", mode);
        Gpu other(1), gpu(0);
        OK(cuCtxSetCurrent(other.context));
        std::vector<int> values(300, 12345);
        CUdeviceptr theirs = other.upload(values);
        OK(cuStreamSynchronize(other.stream));
        OK(cuCtxSetCurrent(gpu.context));
        CUdeviceptr mine = gpu.alloc(1200);
        EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoDAsync_v2(mine, theirs, 1200, gpu.stream));  // no access
        EQUAL(CUDA_ERROR_INVALID_VALUE, cuMemcpyPeerAsync(mine, gpu.context, theirs, gpu.context, 1200, gpu.stream));
        OK(cuMemcpyPeerAsync(mine, gpu.context, theirs, other.context, 1200, gpu.stream));
        bool same = gpu.download<int>(mine, 300) == values;
        EQUAL(strcmp(mode, "lying") != 0, same);
    }
}

TEST(ContextsEnd) {
    CUcontext context;
    CUdeviceptr memory = 0;
    {
        Gpu gpu;
        context = gpu.context;
        OK(cuCtxSetCurrent(context));
        memory = gpu.alloc(16);
    }

    CHECK(!sim::rangeOnDevice(0, (void*)memory, 16));
    EQUAL(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(context));
    EQUAL(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease_v2(0));
    Gpu gpu;
    OK(cuDevicePrimaryCtxRelease_v2(0));
    EQUAL(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemAlloc_v2(&memory, 16));
    OK(cuDevicePrimaryCtxRetain(&context, 0));
}

// A fault outside of the simulator's work must stay what it was.
TEST(FaultsOfTheHostAreNotOurs) {
    Gpu gpu;
    OK(cuMemsetD8Async(gpu.alloc(16), 0, 16, gpu.stream));
    OK(gpu.sync());
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(10);
        volatile int* volatile nowhere = nullptr;
        *nowhere = 1;
        _exit(0);
    }

    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    EQUAL(SIGSEGV, WTERMSIG(status));
}
