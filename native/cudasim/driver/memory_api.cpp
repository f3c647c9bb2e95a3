#include "api.h"

#include "config.h"

#include <cstring>
#include <vector>

namespace {

// Where host bytes of a copy come from or go to.
enum class Host { Wrong, Pinned, Pageable };

Host classify(const void* address, size_t bytes) {
    if (!address) return Host::Wrong;
    if (sim::rangePinned(address, bytes)) return Host::Pinned;
    // Not wholly in one pinned allocation, but it begins in one, or is a device's.
    return sim::ownerOf(address) == -2 ? Host::Pageable : Host::Wrong;
}

void counted(size_t bytes) {
    sim::count("copies");
    sim::count("copied_bytes", (long long)bytes);
}

// A link between devices that loses something: one bit in each 64 bytes.
void corrupt(void* data, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) static_cast<unsigned char*>(data)[at] ^= 0x10;
}

CUresult copyBetween(CUdeviceptr to, int toDevice, CUdeviceptr from, int fromDevice, size_t bytes, CUstream stream, const char* name) {
    counted(bytes);
    const bool lies = toDevice != fromDevice && sim::peerMode() == sim::PeerMode::Lying;
    return sim::submit(stream, sim::NodeKind::Copy, name, [=] {
        std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
        if (lies) corrupt(reinterpret_cast<void*>(to), bytes);
    });
}

// The stream must be one, and of the current context's device.
CUresult checkOn(CUstream stream, int device) { return sim::deviceOf(stream) == device ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; }

}  // namespace

extern "C" {

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(free && total, CUDA_ERROR_INVALID_VALUE)
    size_t used = sim::usedBytes(device);
    *total = sim::totalBytes();
    *free = used < *total ? *total - used : 0;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* dptr, size_t bytesize) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(dptr && bytesize > 0, CUDA_ERROR_INVALID_VALUE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    if (sim::countdown("FAIL_ALLOC")) return CUDA_ERROR_OUT_OF_MEMORY;
    void* memory = sim::allocate(device, bytesize);
    CUDASIM_REQUIRE(memory, CUDA_ERROR_OUT_OF_MEMORY)
    sim::count("allocations");
    *dptr = reinterpret_cast<CUdeviceptr>(memory);
    return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr dptr) {
    CUDASIM_CURRENT(device)
    if (!dptr) return CUDA_SUCCESS;
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    // With unified addressing the memory may be another device's.
    int owner = sim::ownerOf(reinterpret_cast<void*>(dptr));
    CUDASIM_REQUIRE(owner >= 0, CUDA_ERROR_INVALID_VALUE)
    if (CUresult status = sim::synchronizeDevice(owner)) return status;
    CUresult result = sim::release(owner, reinterpret_cast<void*>(dptr));
    if (result == CUDA_SUCCESS) sim::count("frees");
    return result;
}

CUresult cuMemHostAlloc(void** pp, size_t bytesize, unsigned int Flags) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(pp && bytesize > 0, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE((Flags & ~(unsigned)(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED)) == 0, CUDA_ERROR_INVALID_VALUE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    void* memory = sim::allocate(sim::pinned, bytesize);
    CUDASIM_REQUIRE(memory, CUDA_ERROR_OUT_OF_MEMORY)
    sim::count("pinned_allocations");
    *pp = memory;
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void* p) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(p, CUDA_ERROR_INVALID_VALUE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    if (CUresult status = sim::synchronizeDevice(device)) return status;
    CUresult result = sim::release(sim::pinned, p);
    if (result == CUDA_SUCCESS) sim::count("pinned_frees");
    return result;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void* srcHost, size_t ByteCount, CUstream hStream) {
    CUDASIM_CURRENT(device)
    if (CUresult status = checkOn(hStream, device)) return status;
    if (ByteCount == 0) return CUDA_SUCCESS;
    void* to = reinterpret_cast<void*>(dstDevice);
    Host host = classify(srcHost, ByteCount);
    CUDASIM_REQUIRE(host != Host::Wrong && sim::rangeOnDevice(device, to, ByteCount), CUDA_ERROR_INVALID_VALUE)
    counted(ByteCount);
    if (host == Host::Pinned)
        return sim::submit(hStream, sim::NodeKind::Copy, "cuMemcpyHtoDAsync", [=] { std::memcpy(to, srcHost, ByteCount); });

    // Pageable memory is staged: its content is taken now, and the copy cannot become part of a graph.
    if (CUresult forbidden = sim::forbidInCaptureOf(hStream)) return forbidden;
    auto bytes = static_cast<const char*>(srcHost);
    auto staged = std::make_shared<std::vector<char>>(bytes, bytes + ByteCount);
    return sim::submit(hStream, sim::NodeKind::Copy, "cuMemcpyHtoDAsync", [=] { std::memcpy(to, staged->data(), ByteCount); });
}

CUresult cuMemcpyDtoHAsync_v2(void* dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
    CUDASIM_CURRENT(device)
    if (CUresult status = checkOn(hStream, device)) return status;
    if (ByteCount == 0) return CUDA_SUCCESS;
    const void* from = reinterpret_cast<const void*>(srcDevice);
    Host host = classify(dstHost, ByteCount);
    CUDASIM_REQUIRE(host != Host::Wrong && sim::rangeOnDevice(device, from, ByteCount), CUDA_ERROR_INVALID_VALUE)
    counted(ByteCount);
    if (host == Host::Pinned)
        return sim::submit(hStream, sim::NodeKind::Copy, "cuMemcpyDtoHAsync", [=] { std::memcpy(dstHost, from, ByteCount); });

    if (CUresult forbidden = sim::forbidInCaptureOf(hStream)) return forbidden;
    CUresult result = sim::submit(hStream, sim::NodeKind::Copy, "cuMemcpyDtoHAsync", [=] { std::memcpy(dstHost, from, ByteCount); });
    return result ? result : sim::synchronizeStream(hStream);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
    CUDASIM_CURRENT(device)
    if (CUresult status = checkOn(hStream, device)) return status;
    if (ByteCount == 0) return CUDA_SUCCESS;
    void* to = reinterpret_cast<void*>(dstDevice);
    void* from = reinterpret_cast<void*>(srcDevice);
    CUDASIM_REQUIRE(sim::rangeOnDevice(device, to, ByteCount) && sim::rangeOnDevice(device, from, ByteCount), CUDA_ERROR_INVALID_VALUE)
    return copyBetween(dstDevice, sim::ownerOf(to), srcDevice, sim::ownerOf(from), ByteCount, hStream, "cuMemcpyDtoDAsync");
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dstDevice, CUcontext dstContext, CUdeviceptr srcDevice, CUcontext srcContext, size_t ByteCount, CUstream hStream) {
    CUDASIM_CURRENT(device)
    if (CUresult status = checkOn(hStream, device)) return status;
    int toDevice = sim::deviceOf(dstContext), fromDevice = sim::deviceOf(srcContext);
    CUDASIM_REQUIRE(toDevice >= 0 && fromDevice >= 0 && sim::contextIsLive(toDevice) && sim::contextIsLive(fromDevice), CUDA_ERROR_INVALID_CONTEXT)
    if (ByteCount == 0) return CUDA_SUCCESS;
    void* to = reinterpret_cast<void*>(dstDevice);
    void* from = reinterpret_cast<void*>(srcDevice);
    CUDASIM_REQUIRE(sim::ownerOf(to) == toDevice && sim::ownerOf(from) == fromDevice, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(sim::rangeOnDevice(toDevice, to, ByteCount) && sim::rangeOnDevice(fromDevice, from, ByteCount), CUDA_ERROR_INVALID_VALUE)
    return copyBetween(dstDevice, toDevice, srcDevice, fromDevice, ByteCount, hStream, "cuMemcpyPeerAsync");
}

CUresult cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream) {
    CUDASIM_CURRENT(device)
    if (CUresult status = checkOn(hStream, device)) return status;
    if (N == 0) return CUDA_SUCCESS;
    void* to = reinterpret_cast<void*>(dstDevice);
    CUDASIM_REQUIRE(sim::rangeAccessible(device, to, N), CUDA_ERROR_INVALID_VALUE)
    sim::count("fills");
    return sim::submit(hStream, sim::NodeKind::Fill, "cuMemsetD8Async", [=] { std::memset(to, uc, N); });
}

}  // extern "C"
