// What the files of the driver API share.
#pragma once

#include "device.h"
#include "memory.h"
#include "stream.h"

#include <memory>
#include <mutex>
#include <set>

namespace sim {

/// cuInit has been called.
bool initialised();

/// Starts every call that needs a context: leaves with the error of a missing one or of a dead device.
#define CUDASIM_CURRENT(device)                                      \
    int device = -1;                                                 \
    if (!sim::initialised()) return CUDA_ERROR_NOT_INITIALIZED;      \
    if (CUresult status = sim::checkCurrent(device)) return status;

#define CUDASIM_REQUIRE(condition, error) \
    if (!(condition)) return error;

/// Live handles of one kind.
template <class T>
class Handles {
public:
    void add(T* object) {
        std::lock_guard<std::mutex> lock(mutex_);
        live_.insert(object);
    }
    /// True when it was there.
    bool remove(T* object) {
        std::lock_guard<std::mutex> lock(mutex_);
        return live_.erase(object) != 0;
    }
    std::set<T*> all() {
        std::lock_guard<std::mutex> lock(mutex_);
        return live_;
    }
    bool has(T* object) {
        std::lock_guard<std::mutex> lock(mutex_);
        return live_.count(object) != 0;
    }

private:
    std::mutex mutex_;
    std::set<T*> live_;
};

/// Limits of the device that the configuration describes.
int sharedBytesOptin();
int attribute(CUdevice_attribute which, int device);  // -1: not one we know

}  // namespace sim

#pragma GCC visibility push(default)
