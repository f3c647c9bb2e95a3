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
};

struct cudnnPoolingStruct {
    int windowHeight, windowWidth, padHeight, padWidth, strideHeight, strideWidth;
};

struct cudnnDropoutStruct {
    float dropout;
};

namespace sim {

inline size_t sizeOf(cudnnDataType_t type) { return type == CUDNN_DATA_HALF ? 2 : 4; }

inline bool isFloating(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_HALF; }

inline bool isHalf(cudnnDataType_t type) { return type == CUDNN_DATA_HALF; }

/// Whether the handle is live and has a stream.
bool isReady(cudnnHandle_t handle);

/// Whether a kernel of the handle's device may touch all bytes.
inline bool isAccessible(cudnnHandle_t handle, const void* address, size_t bytes) { return rangeAccessible(handle->device, address, bytes); }

cudnnStatus_t run(cudnnHandle_t handle, const char* name, Work work);

}  // namespace sim
