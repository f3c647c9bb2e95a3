// What the simulated libraries (driver, cuBLAS, cuDNN, NCCL) may ask of the core. Thread-safe unless said otherwise.
//
// A library call looks like this:
//   check the arguments, the descriptors and every pointer (rangeOnDevice) -> an error code at once;
//   copy what it needs by value into a lambda;
//   return enqueue(stream, "cublasGemmEx", lambda).
// The lambda runs when the stream gets to it, on the stream's thread, or once per replay when the stream was being captured.
// It must therefore own all it uses, except device memory and pinned memory, which it reads and writes as it finds them then.
#pragma once

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#define SIM_API __attribute__((visibility("default")))

namespace sim {

/// What every library says of itself.
constexpr const char* version = "SIMULATED 1.0";

// ---- Devices and contexts

/// The device of the calling thread's current context; -1 when it has none.
SIM_API int currentDevice();

/// CUDA_SUCCESS while the device works, else the sticky error that killed it.
SIM_API CUresult deviceStatus(int device);

/// Limits that tests may change: DEVICES, MEMORY, COMPUTE_CAPABILITY. In tenths: 80 is 8.0.
SIM_API int computeCapability();

// ---- Memory

/// True when all bytes lie in one live allocation of this device, or of a peer that the device's context has enabled.
/// No bytes: true for any address. Null with bytes: false.
SIM_API bool rangeOnDevice(int device, const void* address, size_t bytes);

/// True when all bytes lie in one live pinned host allocation.
SIM_API bool rangePinned(const void* address, size_t bytes);

/// True when a kernel or library call of this device may touch all bytes: rangeOnDevice or rangePinned.
SIM_API bool rangeAccessible(int device, const void* address, size_t bytes);

/// Fills memory with bytes that are NaN in float and half and -1 in integers: what nobody wrote must show.
/// For workspaces and outputs whose content the real library leaves undefined.
SIM_API void scribble(void* address, size_t bytes);

// ---- Streams

using Work = std::function<void()>;

/// CUDA_SUCCESS when the handle is a live stream (not null: there is no default stream here), else CUDA_ERROR_INVALID_HANDLE.
SIM_API CUresult checkStream(CUstream stream);

/// The device a live stream belongs to; -1 for anything else.
SIM_API int deviceOf(CUstream stream);

/// True while what is put on the stream goes into a capture instead of being run.
SIM_API bool isCapturing(CUstream stream);

/// Puts work at the end of the stream, or into the graph that the stream is captured to. The name appears in error messages
/// ("cublasGemmEx"). Counts as one library call.
/// Errors: CUDA_ERROR_INVALID_HANDLE for an unknown stream, the device's sticky error, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED.
SIM_API CUresult enqueue(CUstream stream, std::string name, Work work);

// ---- Inside work

/// Thrown by work that went wrong in a way that kills the device's context, as an illegal address does.
struct SIM_API Fault : std::runtime_error {
    Fault(CUresult code, const std::string& message) : std::runtime_error(message), code(code) {}
    CUresult code;
};

/// Runs body over [0, count) split into ranges of at least `grain`, on the calling thread and at most one more.
/// Which elements a call of body gets depends on nothing but count and grain, so results are the same bits however it runs.
/// Usable inside work only. A memory fault in either part becomes the stream's fault.
SIM_API void parallelFor(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

// ---- Tests

/// The value of a configuration key (without CUDASIM_): what cudasimConfigure set, else the environment's, else the fallback.
SIM_API std::string setting(const char* key, const char* fallback);
SIM_API long long settingNumber(const char* key, long long fallback);

/// Adds to a counter that cudasimCounter can read.
SIM_API void count(const char* counter, long long amount = 1);

}  // namespace sim

extern "C" {
/// Sets a key of the configuration for this process; a null value returns to the environment's. 0, or 1 for an unknown key.
SIM_API int cudasimConfigure(const char* key, const char* value);
/// Back to the environment's configuration, with no faults and counters at zero. Live objects stay.
SIM_API void cudasimReset(void);
/// A counter's value; -1 when there is no counter of this name.
SIM_API long long cudasimCounter(const char* name);
/// What killed a device last, with the name of the kernel or call; "" when nothing has. Valid until the thread's next call.
SIM_API const char* cudasimLastFault(void);
SIM_API const char* cudasimVersion(void);
}
