// cuDNN: handles and plain descriptors.
#include "descriptors.h"

#include <mutex>
#include <set>

namespace {

std::mutex lock;
std::set<cudnnHandle_t> handles;

std::set<const void*> live;

}  // namespace

namespace sim {

bool isLive(const void* descriptor) {
    std::lock_guard<std::mutex> guard(lock);
    return live.count(descriptor) != 0;
}

void addLive(const void* descriptor) {
    std::lock_guard<std::mutex> guard(lock);
    live.insert(descriptor);
}

bool removeLive(const void* descriptor) {
    std::lock_guard<std::mutex> guard(lock);
    return live.erase(descriptor) != 0;
}

bool isReady(cudnnHandle_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    return handles.count(handle) != 0 && handle->stream != nullptr;
}

cudnnStatus_t run(cudnnHandle_t handle, const char* name, Work work) {
    // A stream of another context than the current one.
    if (currentDevice() != handle->device) {
        return CUDNN_STATUS_EXECUTION_FAILED;
    }

    return enqueue(handle->stream, name, std::move(work)) == CUDA_SUCCESS ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

}  // namespace sim

EXPORT size_t cudnnGetVersion(void) { return 90100; }

EXPORT const char* cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_STATUS_INTERNAL_ERROR";
    }
}

EXPORT cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
    int device = sim::currentDevice();
    if (handle == nullptr || device < 0 || sim::deviceStatus(device) != CUDA_SUCCESS) {
        return handle == nullptr ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_NOT_INITIALIZED;
    }

    *handle = new cudnnContext{device, nullptr};
    std::lock_guard<std::mutex> guard(lock);
    handles.insert(*handle);
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    if (handles.erase(handle) == 0) {
        return CUDNN_STATUS_NOT_INITIALIZED;
    }

    delete handle;
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    std::lock_guard<std::mutex> guard(lock);
    if (handles.count(handle) == 0) {
        return CUDNN_STATUS_NOT_INITIALIZED;
    }

    if (sim::checkStream(stream) != CUDA_SUCCESS || sim::deviceOf(stream) != handle->device) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreatePoolingDescriptor(cudnnPoolingDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyPoolingDescriptor(cudnnPoolingDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreateDropoutDescriptor(cudnnDropoutDescriptor_t* descriptor) { return sim::create(descriptor); }
EXPORT cudnnStatus_t cudnnDestroyDropoutDescriptor(cudnnDropoutDescriptor_t descriptor) { return sim::destroy(descriptor); }

EXPORT cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t descriptor, cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c, int h, int w) {
    if (!sim::isLive(descriptor) || n <= 0 || c <= 0 || h <= 0 || w <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (format == CUDNN_TENSOR_NCHW_VECT_C || !sim::isFloating(type)) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    bool nhwc = format == CUDNN_TENSOR_NHWC;
    std::vector<int> strides = nhwc ? std::vector<int>{h * w * c, 1, w * c, c} : std::vector<int>{c * h * w, h * w, w, 1};
    *descriptor = {type, nhwc, {n, c, h, w}, strides};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t descriptor, cudnnDataType_t type, int dimensions, const int lengths[], const int strides[]) {
    if (!sim::isLive(descriptor) || dimensions < 3 || dimensions > 8) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    for (int i = 0; i < dimensions; i++) {
        if (lengths[i] <= 0 || strides[i] <= 0) {
            return CUDNN_STATUS_BAD_PARAM;
        }
    }

    *descriptor = {type, false, {lengths, lengths + dimensions}, {strides, strides + dimensions}};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t descriptor, int requested, cudnnDataType_t* type, int* dimensions, int lengths[], int strides[]) {
    if (!sim::isLive(descriptor) || requested <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *type = descriptor->type;
    *dimensions = static_cast<int>(descriptor->lengths.size());
    for (int i = 0; i < requested && i < *dimensions; i++) {
        lengths[i] = descriptor->lengths[i];
        strides[i] = descriptor->strides[i];
    }

    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t descriptor, cudnnDataType_t type, cudnnTensorFormat_t format, int k, int c, int h, int w) {
    if (!sim::isLive(descriptor) || k <= 0 || c <= 0 || h <= 0 || w <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (format == CUDNN_TENSOR_NCHW_VECT_C || !sim::isFloating(type)) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    *descriptor = {type, format, k, c, h, w};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetConvolution2dDescriptor(
    cudnnConvolutionDescriptor_t descriptor, int padHeight, int padWidth, int strideHeight, int strideWidth, int dilationHeight, int dilationWidth, cudnnConvolutionMode_t mode,
    cudnnDataType_t computeType) {
    if (!sim::isLive(descriptor) || padHeight < 0 || padWidth < 0 || strideHeight <= 0 || strideWidth <= 0 || dilationHeight <= 0 || dilationWidth <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *descriptor = {padHeight, padWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, mode, computeType, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t descriptor, cudnnMathType_t mathType) {
    if (!sim::isLive(descriptor)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    descriptor->mathType = mathType;
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t descriptor, cudnnActivationMode_t mode, cudnnNanPropagation_t, double) {
    if (!sim::isLive(descriptor)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *descriptor = {mode, true};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetPooling2dDescriptor(
    cudnnPoolingDescriptor_t descriptor, cudnnPoolingMode_t mode, cudnnNanPropagation_t, int windowHeight, int windowWidth, int padHeight, int padWidth, int strideHeight, int strideWidth) {
    if (!sim::isLive(descriptor) || windowHeight <= 0 || windowWidth <= 0 || padHeight < 0 || padWidth < 0 || strideHeight <= 0 || strideWidth <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (mode != CUDNN_POOLING_MAX && mode != CUDNN_POOLING_MAX_DETERMINISTIC) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    *descriptor = {windowHeight, windowWidth, padHeight, padWidth, strideHeight, strideWidth};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetDropoutDescriptor(cudnnDropoutDescriptor_t descriptor, cudnnHandle_t handle, float dropout, void* states, size_t, unsigned long long) {
    if (!sim::isLive(descriptor) || !sim::isReady(handle) || dropout < 0 || dropout > 1 || (dropout > 0 && states == nullptr)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *descriptor = {dropout, true};
    return CUDNN_STATUS_SUCCESS;
}
