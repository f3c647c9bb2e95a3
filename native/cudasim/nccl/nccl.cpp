// NCCL: communicators whose ranks are threads or processes of one machine, and their collectives.
#include "communicator.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace nccl;

namespace {

std::mutex lock;

// Never destroyed: streams' threads may still run while the process exits.
std::map<ncclComm_t, std::shared_ptr<Communicator>>& communicators() {
    static auto& map = *new std::map<ncclComm_t, std::shared_ptr<Communicator>>;
    return map;
}

std::string& lastError() {
    static std::string& text = *new std::string;
    return text;
}

ncclResult_t refuse(ncclResult_t code, const std::string& text) {
    std::lock_guard<std::mutex> guard(lock);
    lastError() = "SIMULATED: " + text;
    return code;
}

std::shared_ptr<Communicator> find(ncclComm_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    auto found = communicators().find(handle);
    return found == communicators().end() ? nullptr : found->second;
}

std::shared_ptr<Communicator> take(ncclComm_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    auto found = communicators().find(handle);
    if (found == communicators().end()) return nullptr;
    std::shared_ptr<Communicator> taken = found->second;
    communicators().erase(found);
    sim::count("live_communicators", -1);
    return taken;
}

size_t sizeOf(ncclDataType_t type) {
    switch (type) {
        case ncclInt8:
        case ncclUint8: return 1;
        case ncclFloat16:
        case ncclBfloat16: return 2;
        case ncclInt32:
        case ncclUint32:
        case ncclFloat32: return 4;
        case ncclInt64:
        case ncclUint64:
        case ncclFloat64: return 8;
    }

    return 0;
}

bool overlap(const void* a, size_t bytesA, const void* b, size_t bytesB) {
    auto startA = reinterpret_cast<uintptr_t>(a), startB = reinterpret_cast<uintptr_t>(b);
    return startA < startB + bytesB && startB < startA + bytesA;
}

// What all collectives ask of their arguments, and then the work. In place is where a rank's part of the result is its operand.
ncclResult_t start(const Call& call, const Buffers& buffers, const void* inPlace, ncclComm_t handle, cudaStream_t stream) {
    const std::string name = nameOf(call.kind);
    auto communicator = find(handle);
    if (!communicator) return refuse(ncclInvalidArgument, name + ": not a communicator");
    std::string text;
    if (ncclResult_t failed = communicator->error(&text)) return refuse(failed, text);
    const int device = communicator->group.device;
    if (sim::deviceOf(stream) != device) return refuse(ncclInvalidArgument, name + ": not a stream of the communicator's device");
    if (call.count == 0) return ncclSuccess;
    for (auto [address, bytes] : {std::pair{buffers.send, buffers.sendBytes}, std::pair{(const void*)buffers.receive, buffers.receiveBytes}})
        if (reinterpret_cast<uintptr_t>(address) % sizeOf(call.type) != 0 || !sim::rangeOnDevice(device, address, bytes))
            return refuse(ncclInvalidArgument, name + ": a buffer that is not all on the communicator's device, or not aligned");
    if (buffers.send != inPlace && overlap(buffers.send, buffers.sendBytes, buffers.receive, buffers.receiveBytes))
        return refuse(ncclInvalidArgument, name + ": buffers that overlap and are not in place");
    CUresult result = communicator->queue(call, buffers, stream);
    return result == CUDA_SUCCESS ? ncclSuccess : refuse(ncclUnhandledCudaError, name + ": Cuda failure " + std::to_string(result));
}

}  // namespace

EXPORT ncclResult_t ncclGetVersion(int* version) {
    if (version == nullptr) return ncclInvalidArgument;
    *version = 22105;
    return ncclSuccess;
}

EXPORT ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
    if (id == nullptr) return ncclInvalidArgument;
    std::random_device random;
    std::memset(id, 0, sizeof *id);
    std::snprintf(id->internal, sizeof id->internal, "/cudasim-nccl-%ld-%08x%08x", (long)getpid(), random(), random());
    return ncclSuccess;
}

EXPORT ncclResult_t ncclCommInitRank(ncclComm_t* handle, int size, ncclUniqueId id, int rank) {
    if (handle == nullptr) return refuse(ncclInvalidArgument, "ncclCommInitRank: no place for the communicator");
    *handle = nullptr;
    if (size < 1 || rank < 0 || rank >= size) return refuse(ncclInvalidArgument, "ncclCommInitRank: rank " + std::to_string(rank) + " of " + std::to_string(size));
    if (size > maxRanks) return refuse(ncclInvalidUsage, "ncclCommInitRank: " + std::to_string(size) + " ranks, and at most " + std::to_string(maxRanks) + " simulated devices");
    if (std::memchr(id.internal, 0, sizeof id.internal) == nullptr || std::strncmp(id.internal, "/cudasim-nccl-", 14) != 0)
        return refuse(ncclInvalidArgument, "ncclCommInitRank: this is not an id that ncclGetUniqueId has made");
    int device = sim::currentDevice();
    if (device < 0 || sim::deviceStatus(device) != CUDA_SUCCESS) return refuse(ncclUnhandledCudaError, "ncclCommInitRank: no current context, or a dead device");
    auto communicator = std::make_shared<Communicator>(id.internal, rank, size, device);
    try {
        communicator->group.join();
    } catch (const Failure& failure) {
        return refuse(failure.code, "ncclCommInitRank: " + failure.text);
    }

    *handle = reinterpret_cast<ncclComm_t>(communicator.get());
    std::lock_guard<std::mutex> guard(lock);
    communicators()[*handle] = communicator;
    sim::count("live_communicators");
    return ncclSuccess;
}

EXPORT ncclResult_t ncclCommDestroy(ncclComm_t handle) {
    if (handle == nullptr) return ncclSuccess;
    auto communicator = take(handle);
    if (!communicator) return refuse(ncclInvalidArgument, "ncclCommDestroy: not a communicator");
    communicator->finish();
    return ncclSuccess;
}

EXPORT ncclResult_t ncclCommAbort(ncclComm_t handle) {
    if (handle == nullptr) return ncclSuccess;
    auto communicator = take(handle);
    if (!communicator) return refuse(ncclInvalidArgument, "ncclCommAbort: not a communicator");
    communicator->abort();
    sim::count("communicator_aborts");
    return ncclSuccess;
}

EXPORT ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
    auto communicator = find(handle);
    if (!communicator || error == nullptr) return refuse(ncclInvalidArgument, "ncclCommGetAsyncError: not a communicator, or no place for the error");
    *error = communicator->error();
    return ncclSuccess;
}

EXPORT const char* ncclGetErrorString(ncclResult_t result) {
    switch (result) {
        case ncclSuccess: return "no error";
        case ncclUnhandledCudaError: return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
        case ncclSystemError: return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
        case ncclInternalError: return "internal error - please report this issue to the NCCL developers";
        case ncclInvalidArgument: return "invalid argument (run with NCCL_DEBUG=WARN for details)";
        case ncclInvalidUsage: return "invalid usage (run with NCCL_DEBUG=WARN for details)";
        case ncclRemoteError: return "remote process exited or there was a network error";
        case ncclInProgress: return "NCCL operation in progress";
        default: return "unknown result code";
    }
}

// Valid until the thread's next call.
EXPORT const char* ncclGetLastError(ncclComm_t handle) {
    static thread_local std::string copy;
    auto communicator = find(handle);
    if (communicator && communicator->error(&copy) != ncclSuccess) return copy.c_str();
    std::lock_guard<std::mutex> guard(lock);
    copy = lastError();
    return copy.c_str();
}

EXPORT ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t handle, cudaStream_t stream) {
    if (op != ncclSum || (type != ncclFloat32 && type != ncclFloat16)) return refuse(ncclInvalidArgument, "ncclAllReduce: only sums of floats and halves are simulated");
    const size_t bytes = count * sizeOf(type);
    return start({Kind::AllReduce, type, 0, count}, {send, receive, bytes, bytes}, receive, handle, stream);
}

EXPORT ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root, ncclComm_t handle, cudaStream_t stream) {
    auto communicator = find(handle);
    if (!communicator || sizeOf(type) == 0 || root < 0 || root >= communicator->group.size) return refuse(ncclInvalidArgument, "ncclBroadcast: not a communicator, a type or a rank");
    // The others' operand is not looked at, as in the real one.
    const bool sends = root == communicator->group.rank;
    const size_t bytes = count * sizeOf(type);
    return start({Kind::Broadcast, type, root, count}, {sends ? send : nullptr, receive, sends ? bytes : 0, bytes}, sends ? receive : nullptr, handle, stream);
}

EXPORT ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t type, ncclComm_t handle, cudaStream_t stream) {
    auto communicator = find(handle);
    if (!communicator || sizeOf(type) == 0) return refuse(ncclInvalidArgument, "ncclAllGather: not a communicator or a type");
    const size_t bytes = count * sizeOf(type);
    void* own = static_cast<char*>(receive) + communicator->group.rank * bytes;
    return start({Kind::AllGather, type, 0, count}, {send, receive, bytes, bytes * communicator->group.size}, own, handle, stream);
}
