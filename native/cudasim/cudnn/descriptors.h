// What the simulated cuDNN keeps behind its handles and descriptors.
#pragma once

#include "gemm.h"

#include <cudnn.h>

#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

struct cudnnContext {
    int device;
    CUstream stream;
};

struct cudnnTensorStruct {
    cudnnDataType_t type;
    bool isNhwc;
    std::vector<int> lengths;
    std::vector<int> strides;
};

struct cudnnFilterStruct {
    cudnnDataType_t type;
    cudnnTensorFormat_t format;
    int k, c, h, w;
};

struct cudnnConvolutionStruct {
    int padHeight, padWidth, strideHeight, strideWidth, dilationHeight, dilationWidth;
    cudnnConvolutionMode_t mode;
    cudnnDataType_t computeType;
    cudnnMathType_t mathType;
};

struct cudnnActivationStruct {
    cudnnActivationMode_t mode;
    bool isSet;
};

struct cudnnPoolingStruct {
    int windowHeight, windowWidth, padHeight, padWidth, strideHeight, strideWidth;
};

struct cudnnDropoutStruct {
    float dropout;
    bool isSet;
};

namespace sim {

inline size_t sizeOf(cudnnDataType_t type) { return type == CUDNN_DATA_HALF ? 2 : 4; }

inline bool isFloating(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_HALF; }

inline bool isHalf(cudnnDataType_t type) { return type == CUDNN_DATA_HALF; }

/// The descriptors that live, so that a call with a destroyed one is an error and not luck.
bool isLive(const void* descriptor);
void addLive(const void* descriptor);
/// False when it was not live.
bool removeLive(const void* descriptor);

template <typename T>
cudnnStatus_t create(T** descriptor) {
    if (descriptor == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *descriptor = new T{};
    addLive(*descriptor);
    return CUDNN_STATUS_SUCCESS;
}

template <typename T>
cudnnStatus_t destroy(T* descriptor) {
    if (descriptor == nullptr) {
        return CUDNN_STATUS_SUCCESS;
    }

    if (!removeLive(descriptor)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    delete descriptor;
    return CUDNN_STATUS_SUCCESS;
}

/// Whether the handle is live and has a stream.
bool isReady(cudnnHandle_t handle);

/// Whether a kernel of the handle's device may touch all bytes.
inline bool isAccessible(cudnnHandle_t handle, const void* address, size_t bytes) { return rangeAccessible(handle->device, address, bytes); }

/// The same for elements of a type, which must be aligned to their size.
inline bool isArray(cudnnHandle_t handle, const void* address, size_t bytes, cudnnDataType_t type) {
    return reinterpret_cast<uintptr_t>(address) % sizeOf(type) == 0 && isAccessible(handle, address, bytes);
}

inline bool overlap(const void* a, size_t bytesA, const void* b, size_t bytesB) {
    auto startA = reinterpret_cast<uintptr_t>(a), startB = reinterpret_cast<uintptr_t>(b);
    return bytesA > 0 && bytesB > 0 && startA < startB + bytesB && startB < startA + bytesA;
}

cudnnStatus_t run(cudnnHandle_t handle, const char* name, Work work);

}  // namespace sim
