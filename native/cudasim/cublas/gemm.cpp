// cuBLAS: handles and GemmEx with single-precision sums.
#include "gemm.h"

#include <cublas_v2.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

struct cublasContext {
    int device;
    CUstream stream;
    void* workspace;
    size_t workspaceBytes;
};

namespace {

std::mutex lock;
std::set<cublasHandle_t> handles;

bool isLive(cublasHandle_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    return handles.count(handle) != 0;
}

cublasStatus_t statusOf(CUresult result) {
    return result == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : result == CUDA_ERROR_OUT_OF_MEMORY ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

size_t sizeOf(cudaDataType type) { return type == CUDA_R_16F ? 2 : 4; }

// Bytes from the first to the last element of a column-major matrix.
size_t span(int64_t rows, int64_t columns, int64_t ld, cudaDataType type) { return rows == 0 || columns == 0 ? 0 : ((columns - 1) * ld + rows) * sizeOf(type); }

bool isOperand(cublasHandle_t handle, const void* address, size_t bytes, cudaDataType type) {
    return reinterpret_cast<uintptr_t>(address) % sizeOf(type) == 0 && sim::rangeAccessible(handle->device, address, bytes);
}

bool overlap(const void* a, size_t bytesA, const void* b, size_t bytesB) {
    auto startA = reinterpret_cast<uintptr_t>(a), startB = reinterpret_cast<uintptr_t>(b);
    return bytesA > 0 && bytesB > 0 && startA < startB + bytesB && startB < startA + bytesA;
}

}  // namespace

EXPORT cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
    int device = sim::currentDevice();
    if (handle == nullptr || device < 0) {
        return handle == nullptr ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_NOT_INITIALIZED;
    }

    if (sim::deviceStatus(device) != CUDA_SUCCESS) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    *handle = new cublasContext{device, nullptr, nullptr, 0};
    std::lock_guard<std::mutex> guard(lock);
    handles.insert(*handle);
    return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    std::lock_guard<std::mutex> guard(lock);
    if (handles.erase(handle) == 0) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    if (!isLive(handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    if (sim::checkStream(stream) != CUDA_SUCCESS || sim::deviceOf(stream) != handle->device) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }

    // As in the real one, the caller's workspace goes with the stream.
    handle->stream = stream;
    handle->workspace = nullptr;
    handle->workspaceBytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
    if (!isLive(handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    bool aligned = reinterpret_cast<uintptr_t>(workspace) % 256 == 0;
    if (!aligned || !sim::rangeOnDevice(handle->device, workspace, bytes)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }

    handle->workspace = workspace;
    handle->workspaceBytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

EXPORT cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    if (!isLive(handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    // Single precision is computed in single precision here: a mode that may use less is no part of the simulation.
    int base = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    return base == CUBLAS_DEFAULT_MATH || base == CUBLAS_PEDANTIC_MATH ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

EXPORT cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int* version) {
    if (!isLive(handle) || version == nullptr) {
        return version == nullptr ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_NOT_INITIALIZED;
    }

    *version = 120400;
    return CUBLAS_STATUS_SUCCESS;
}

EXPORT const char* cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE: return "an invalid value was used";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the functionality is not supported";
    default: return "unknown status";
    }
}

EXPORT cublasStatus_t cublasGemmEx(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k, const void* alpha, const void* a, cudaDataType typeA, int lda,
    const void* b, cudaDataType typeB, int ldb, const void* beta, void* c, cudaDataType typeC, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
    if (!isLive(handle)) {
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }

    bool operations = (transa == CUBLAS_OP_N || transa == CUBLAS_OP_T) && (transb == CUBLAS_OP_N || transb == CUBLAS_OP_T);
    if (handle->stream == nullptr || !operations || m < 0 || n < 0 || k < 0 || alpha == nullptr || beta == nullptr ||
        (algorithm != CUBLAS_GEMM_DEFAULT && algorithm != CUBLAS_GEMM_DEFAULT_TENSOR_OP)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }

    // The combinations that NVIDIA's table lists for CUBLAS_COMPUTE_32F and we need.
    bool known = (typeA == CUDA_R_32F && typeB == CUDA_R_32F && typeC == CUDA_R_32F) || (typeA == CUDA_R_16F && typeB == CUDA_R_16F && (typeC == CUDA_R_32F || typeC == CUDA_R_16F));
    if (compute != CUBLAS_COMPUTE_32F || !known) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }

    int rowsA = transa == CUBLAS_OP_N ? m : k, columnsA = transa == CUBLAS_OP_N ? k : m, rowsB = transb == CUBLAS_OP_N ? k : n, columnsB = transb == CUBLAS_OP_N ? n : k;
    if (lda < std::max(1, rowsA) || ldb < std::max(1, rowsB) || ldc < std::max(1, m)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }

    if (m == 0 || n == 0) {
        return CUBLAS_STATUS_SUCCESS;
    }

    // The result may be neither operand: other parts of the product still read them.
    size_t bytesA = span(rowsA, columnsA, lda, typeA), bytesB = span(rowsB, columnsB, ldb, typeB), bytesC = span(m, n, ldc, typeC);
    if (!isOperand(handle, a, bytesA, typeA) || !isOperand(handle, b, bytesB, typeB) || !isOperand(handle, c, bytesC, typeC) || overlap(a, bytesA, c, bytesC) || overlap(b, bytesB, c, bytesC)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }

    // A stream of another context than the current one.
    if (sim::currentDevice() != handle->device) {
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }

    void* workspace = handle->workspace;
    size_t scratch = std::min<size_t>(handle->workspaceBytes, 4096);
    float factor = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
    return statusOf(sim::enqueue(handle->stream, "cublasGemmEx", [=] {
        // Whoever else keeps something there shall notice.
        sim::scribble(workspace, scratch);

        // By rows this is Cᵀ[n, m] = op(B)ᵀ·op(A)ᵀ.
        sim::Matrix left{b, typeB == CUDA_R_16F, transb == CUBLAS_OP_N ? ldb : 1, transb == CUBLAS_OP_N ? 1 : ldb};
        sim::PackedMatrix right({a, typeA == CUDA_R_16F, transa == CUBLAS_OP_N ? lda : 1, transa == CUBLAS_OP_N ? 1 : lda}, k, m);
        bool half = typeC == CUDA_R_16F;
        sim::parallelFor(n, 48, [&](int64_t begin, int64_t end) {
            std::vector<float> block(static_cast<size_t>(end - begin) * m);
            sim::Matrix own = left;
            own.data = static_cast<const char*>(left.data) + begin * left.rowStride * static_cast<int64_t>(sizeOf(typeB));
            sim::multiply(own, end - begin, right, block.data());
            for (int64_t row = begin; row < end; row++) {
                for (int64_t column = 0; column < m; column++) {
                    int64_t place = row * ldc + column;
                    float value = factor * block[(row - begin) * m + column];
                    sim::store(c, half, place, keep == 0 ? value : value + keep * sim::load(c, half, place));
                }
            }
        });
    }));
}
