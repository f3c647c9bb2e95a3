#include "api.h"

#include <atomic>
#include <cstring>

namespace sim {

static std::atomic<bool> started{false};

bool initialised() { return started; }

int sharedBytesOptin() {
    switch (computeCapability()) {
        case 70: return 96 << 10;
        case 72: return 96 << 10;
        case 75: return 64 << 10;
        case 80:
        case 87: return 163 << 10;
        case 86:
        case 89: return 99 << 10;
        case 90: return 227 << 10;
        default: return 48 << 10;
    }
}

int attribute(CUdevice_attribute which, int device) {
    switch (which) {
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 0x7fffffff;
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
        case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
        case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
        case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
        case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1000000;
        case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 4;
        case CU_DEVICE_ATTRIBUTE_INTEGRATED: return 0;
        case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY: return 1;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE: return 0;
        case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS: return 1;
        case CU_DEVICE_ATTRIBUTE_ECC_ENABLED: return 0;
        case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: return device + 1;
        case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
        case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID: return 0;
        case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return 1000000;
        case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 64;
        case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 4 << 20;
        case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return computeCapability() == 75 ? 1024 : 2048;
        case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
        case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING: return 1;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return computeCapability() / 10;
        case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return computeCapability() % 10;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return sharedBytesOptin() + 1024;
        case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY: return 0;
        case CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM: return 1;
        case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH: return 0;
        case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return sharedBytesOptin();
        case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return 32;
        default: return -1;
    }
}

}  // namespace sim

#define REQUIRE_DEVICE(dev)                                              \
    CUDASIM_REQUIRE(sim::initialised(), CUDA_ERROR_NOT_INITIALIZED)      \
    CUDASIM_REQUIRE((dev) >= 0 && (dev) < sim::deviceCount(), CUDA_ERROR_INVALID_DEVICE)

extern "C" {

CUresult cuInit(unsigned int Flags) {
    CUDASIM_REQUIRE(Flags == 0, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(sim::deviceCount() > 0, CUDA_ERROR_NO_DEVICE)
    sim::started = true;
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* driverVersion) {
    CUDASIM_REQUIRE(driverVersion, CUDA_ERROR_INVALID_VALUE)
    *driverVersion = (int)sim::settingNumber("DRIVER_VERSION", 12040);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
    CUDASIM_REQUIRE(sim::initialised(), CUDA_ERROR_NOT_INITIALIZED)
    CUDASIM_REQUIRE(count, CUDA_ERROR_INVALID_VALUE)
    *count = sim::deviceCount();
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    REQUIRE_DEVICE(ordinal)
    CUDASIM_REQUIRE(device, CUDA_ERROR_INVALID_VALUE)
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int len, CUdevice dev) {
    REQUIRE_DEVICE(dev)
    CUDASIM_REQUIRE(name && len > 0, CUDA_ERROR_INVALID_VALUE)
    std::snprintf(name, (size_t)len, "SIMULATED GPU %d", dev);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice dev) {
    REQUIRE_DEVICE(dev)
    CUDASIM_REQUIRE(uuid, CUDA_ERROR_INVALID_VALUE)
    std::memcpy(uuid->bytes, "SIMULATED-GPU-0", 16);
    uuid->bytes[14] = (char)('0' + dev);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* pi, CUdevice_attribute attrib, CUdevice dev) {
    REQUIRE_DEVICE(dev)
    int value = sim::attribute(attrib, dev);
    CUDASIM_REQUIRE(pi && value >= 0, CUDA_ERROR_INVALID_VALUE)
    *pi = value;
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice dev) {
    REQUIRE_DEVICE(dev)
    CUDASIM_REQUIRE(bytes, CUDA_ERROR_INVALID_VALUE)
    *bytes = sim::totalBytes();
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int* canAccessPeer, CUdevice dev, CUdevice peerDev) {
    REQUIRE_DEVICE(dev)
    REQUIRE_DEVICE(peerDev)
    CUDASIM_REQUIRE(canAccessPeer, CUDA_ERROR_INVALID_VALUE)
    *canAccessPeer = dev != peerDev && sim::peerMode() != sim::PeerMode::Off;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* pctx, CUdevice dev) {
    REQUIRE_DEVICE(dev)
    CUDASIM_REQUIRE(pctx, CUDA_ERROR_INVALID_VALUE)
    if (CUresult status = sim::retainContext(dev)) return status;
    *pctx = sim::contextOf(dev);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev) {
    REQUIRE_DEVICE(dev)
    return sim::releaseContext(dev);
}

CUresult cuCtxSetCurrent(CUcontext ctx) {
    CUDASIM_REQUIRE(sim::initialised(), CUDA_ERROR_NOT_INITIALIZED)
    return sim::setCurrent(ctx);
}

CUresult cuCtxGetCurrent(CUcontext* pctx) {
    CUDASIM_REQUIRE(sim::initialised(), CUDA_ERROR_NOT_INITIALIZED)
    CUDASIM_REQUIRE(pctx, CUDA_ERROR_INVALID_VALUE)
    *pctx = sim::getCurrent();
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    CUDASIM_CURRENT(device)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    return sim::synchronizeDevice(device);
}

CUresult cuCtxEnablePeerAccess(CUcontext peerContext, unsigned int Flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(Flags == 0, CUDA_ERROR_INVALID_VALUE)
    int peer = sim::deviceOf(peerContext);
    CUDASIM_REQUIRE(peer >= 0 && sim::contextIsLive(peer) && peer != device, CUDA_ERROR_INVALID_CONTEXT)
    return sim::enablePeer(device, peer);
}

CUresult cuCtxDisablePeerAccess(CUcontext peerContext) {
    CUDASIM_CURRENT(device)
    int peer = sim::deviceOf(peerContext);
    CUDASIM_REQUIRE(peer >= 0 && sim::contextIsLive(peer), CUDA_ERROR_INVALID_CONTEXT)
    return sim::disablePeer(device, peer);
}

}  // extern "C"
