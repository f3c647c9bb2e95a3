// cuDNN: NHWC convolution with bias and ReLU, and max pooling.
#include "descriptors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace {

// Scratch memory that the faster of the two algorithms asks for, so that callers have to provide some.
size_t workspaceOf(cudnnConvolutionFwdAlgo_t algorithm, const cudnnFilterStruct& filter) {
    return algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ? static_cast<size_t>(filter.k) * 1024 : 0;
}

bool isSimulated(cudnnConvolutionFwdAlgo_t algorithm) {
    return algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM || algorithm == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
}

size_t bytesOf(const cudnnTensorStruct& tensor) {
    size_t count = 1;
    for (int length : tensor.lengths) {
        count *= length;
    }

    return count * sim::sizeOf(tensor.type);
}

// What a 3×3 (or other) same-size convolution on NHWC tensors requires; the only kind that is simulated.
cudnnStatus_t checkShapes(const cudnnTensorStruct* x, const cudnnFilterStruct* filter, const cudnnConvolutionStruct* convolution, const cudnnTensorStruct* y) {
    if (!sim::isLive(x) || !sim::isLive(filter) || !sim::isLive(convolution) || !sim::isLive(y) || x->lengths.size() != 4 || y->lengths.size() != 4) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool types = x->type == filter->type && x->type == y->type && sim::isFloating(x->type) && convolution->computeType == CUDNN_DATA_FLOAT;
    bool layout = x->isNhwc && y->isNhwc && filter->format == CUDNN_TENSOR_NHWC && convolution->mode == CUDNN_CROSS_CORRELATION;
    bool unit = convolution->strideHeight == 1 && convolution->strideWidth == 1 && convolution->dilationHeight == 1 && convolution->dilationWidth == 1;
    if (!types || !layout || !unit) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    bool fits = x->lengths[0] == y->lengths[0] && x->lengths[1] == filter->c && y->lengths[1] == filter->k &&
                y->lengths[2] == x->lengths[2] + 2 * convolution->padHeight - filter->h + 1 && y->lengths[3] == x->lengths[3] + 2 * convolution->padWidth - filter->w + 1;
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

struct Convolution {
    cudnnFilterStruct filter;
    cudnnConvolutionStruct options;
    int height, width, outHeight, outWidth;
    bool half;
    const void* x;
    const void* bias;
    void* y;

    // The patch of each of the pixels [begin, end), counted over all images: [pixel, filter row, filter column, channel].
    void gather(int64_t begin, int64_t end, float* patches) const {
        int channels = filter.c;
        for (int64_t pixel = begin; pixel < end; pixel++) {
            int64_t image = pixel / (outHeight * outWidth), row = pixel / outWidth % outHeight, column = pixel % outWidth;
            for (int dy = 0; dy < filter.h; dy++) {
                for (int dx = 0; dx < filter.w; dx++, patches += channels) {
                    int64_t sourceRow = row + dy - options.padHeight, sourceColumn = column + dx - options.padWidth;
                    if (sourceRow < 0 || sourceRow >= height || sourceColumn < 0 || sourceColumn >= width) {
                        std::fill(patches, patches + channels, 0.0f);
                        continue;
                    }

                    int64_t place = ((image * height + sourceRow) * width + sourceColumn) * channels;
                    sim::loadRow(x, half, place, channels, patches);
                }
            }
        }
    }

    void rows(int64_t begin, int64_t end, const sim::PackedMatrix& filters) const {
        constexpr int64_t block = 192;
        std::vector<float> patches(block * filters.k), sums(block * filters.n);
        for (int64_t first = begin; first < end; first += block) {
            int64_t last = std::min(end, first + block);
            gather(first, last, patches.data());
            sim::multiply({patches.data(), false, filters.k, 1}, last - first, filters, sums.data());
            for (int64_t i = 0; i < (last - first) * filters.n; i++) {
                float value = sums[i] + sim::load(bias, half, i % filters.n);
                sim::store(y, half, first * filters.n + i, value <= 0 ? 0 : value);
            }
        }
    }
};

}  // namespace

EXPORT cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t filter, const cudnnConvolutionDescriptor_t convolution, const cudnnTensorDescriptor_t y,
    const int requested, int* returned, cudnnConvolutionFwdAlgoPerf_t* results) {
    cudnnStatus_t status = checkShapes(x, filter, convolution, y);
    if (status != CUDNN_STATUS_SUCCESS || !sim::isReady(handle) || requested < 1 || returned == nullptr || results == nullptr) {
        return status != CUDNN_STATUS_SUCCESS ? status : CUDNN_STATUS_BAD_PARAM;
    }

    // One without tensor cores comes first, as can happen: callers must look at the math type.
    cudnnConvolutionFwdAlgoPerf_t all[2] = {};
    for (int i = 0; i < 2; i++) {
        bool fast = i == 1;
        all[i].algo = fast ? CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM : CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
        all[i].memory = workspaceOf(all[i].algo, *filter);
        all[i].determinism = CUDNN_DETERMINISTIC;
        all[i].mathType = fast && sim::isHalf(x->type) ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH;
    }

    *returned = std::min(requested, 2);
    std::copy(all, all + *returned, results);
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t x, const cudnnFilterDescriptor_t filter, const cudnnConvolutionDescriptor_t convolution, const cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algorithm, size_t* bytes) {
    cudnnStatus_t status = checkShapes(x, filter, convolution, y);
    if (status != CUDNN_STATUS_SUCCESS || !sim::isReady(handle) || bytes == nullptr || !isSimulated(algorithm)) {
        return status != CUDNN_STATUS_SUCCESS ? status : CUDNN_STATUS_BAD_PARAM;
    }

    *bytes = workspaceOf(algorithm, *filter);
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha1, const cudnnTensorDescriptor_t xDescriptor, const void* x, const cudnnFilterDescriptor_t filter, const void* w,
    const cudnnConvolutionDescriptor_t convolution, cudnnConvolutionFwdAlgo_t algorithm, void* workspace, size_t workspaceBytes, const void* alpha2, const cudnnTensorDescriptor_t zDescriptor,
    const void* z, const cudnnTensorDescriptor_t biasDescriptor, const void* bias, const cudnnActivationDescriptor_t activation, const cudnnTensorDescriptor_t yDescriptor, void* y) {
    cudnnStatus_t status = checkShapes(xDescriptor, filter, convolution, yDescriptor);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }

    size_t needed = workspaceOf(algorithm, *filter);
    bool arguments = sim::isReady(handle) && isSimulated(algorithm) && alpha1 != nullptr && alpha2 != nullptr && sim::isLive(zDescriptor) && zDescriptor->type == yDescriptor->type &&
                     zDescriptor->lengths == yDescriptor->lengths && sim::isLive(biasDescriptor) && biasDescriptor->lengths == std::vector<int>{1, filter->k, 1, 1} &&
                     biasDescriptor->type == xDescriptor->type && sim::isLive(activation) && activation->isSet && workspaceBytes >= needed;
    if (!arguments) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    cudnnDataType_t type = xDescriptor->type;
    size_t filterBytes = static_cast<size_t>(filter->k) * filter->c * filter->h * filter->w * sim::sizeOf(type), xBytes = bytesOf(*xDescriptor), yBytes = bytesOf(*yDescriptor);
    bool pointers = sim::isArray(handle, x, xBytes, type) && sim::isArray(handle, w, filterBytes, type) && sim::isArray(handle, bias, bytesOf(*biasDescriptor), type) &&
                    sim::isArray(handle, y, yBytes, type) && sim::isArray(handle, z, yBytes, type) && (needed == 0 || sim::isAccessible(handle, workspace, needed));
    bool apart = !sim::overlap(x, xBytes, y, yBytes) && !sim::overlap(w, filterBytes, y, yBytes) &&
                 !sim::overlap(workspace, needed, x, xBytes) && !sim::overlap(workspace, needed, w, filterBytes) && !sim::overlap(workspace, needed, y, yBytes);
    if (!pointers || !apart) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (activation->mode != CUDNN_ACTIVATION_RELU) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    if (*static_cast<const float*>(alpha1) != 1 || *static_cast<const float*>(alpha2) != 0) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    bool half = sim::isHalf(xDescriptor->type);
    const std::vector<int>&in = xDescriptor->lengths, &out = yDescriptor->lengths;
    Convolution job{*filter, *convolution, in[2], in[3], out[2], out[3], half, x, bias, y};
    int64_t pixels = static_cast<int64_t>(out[0]) * out[2] * out[3];
    return sim::run(handle, "cudnnConvolutionBiasActivationForward", [=] {
        if (needed > 0) {
            sim::scribble(workspace, needed);
        }

        int64_t depth = static_cast<int64_t>(job.filter.h) * job.filter.w * job.filter.c;
        sim::PackedMatrix filters({w, half, 1, depth}, depth, job.filter.k);
        sim::parallelFor(pixels, 192, [&](int64_t begin, int64_t end) { job.rows(begin, end, filters); });
    });
}

EXPORT cudnnStatus_t cudnnPoolingForward(
    cudnnHandle_t handle, const cudnnPoolingDescriptor_t pooling, const void* alpha, const cudnnTensorDescriptor_t xDescriptor, const void* x, const void* beta,
    const cudnnTensorDescriptor_t yDescriptor, void* y) {
    if (!sim::isReady(handle) || !sim::isLive(pooling) || !sim::isLive(xDescriptor) || !sim::isLive(yDescriptor) || alpha == nullptr || beta == nullptr || pooling->windowHeight == 0 ||
        xDescriptor->lengths.size() != 4 || yDescriptor->lengths.size() != 4) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    const std::vector<int>&in = xDescriptor->lengths, &out = yDescriptor->lengths;
    cudnnPoolingStruct window = *pooling;
    bool fits = xDescriptor->type == yDescriptor->type && in[0] == out[0] && in[1] == out[1] && out[2] == (in[2] + 2 * window.padHeight - window.windowHeight) / window.strideHeight + 1 &&
                out[3] == (in[3] + 2 * window.padWidth - window.windowWidth) / window.strideWidth + 1;
    size_t xBytes = bytesOf(*xDescriptor), yBytes = bytesOf(*yDescriptor);
    if (!fits || !sim::isArray(handle, x, xBytes, xDescriptor->type) || !sim::isArray(handle, y, yBytes, yDescriptor->type) || sim::overlap(x, xBytes, y, yBytes)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (!xDescriptor->isNhwc || !yDescriptor->isNhwc || window.padHeight != 0 || window.padWidth != 0 ||
        *static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    bool half = sim::isHalf(xDescriptor->type);
    int channels = in[1], height = in[2], width = in[3], outHeight = out[2], outWidth = out[3];
    int64_t rows = static_cast<int64_t>(out[0]) * outHeight;
    return sim::run(handle, "cudnnPoolingForward", [=] {
        sim::parallelFor(rows, 8, [&](int64_t begin, int64_t end) {
            std::vector<float> best(channels), values(channels);
            for (int64_t row = begin; row < end; row++) {
                int64_t image = row / outHeight, top = row % outHeight * window.strideHeight;
                for (int64_t column = 0; column < outWidth; column++) {
                    std::fill(best.begin(), best.end(), -INFINITY);
                    for (int dy = 0; dy < window.windowHeight; dy++) {
                        for (int dx = 0; dx < window.windowWidth; dx++) {
                            sim::loadRow(x, half, ((image * height + top + dy) * width + column * window.strideWidth + dx) * channels, channels, values.data());
                            for (int c = 0; c < channels; c++) {
                                best[c] = values[c] > best[c] || values[c] != values[c] ? values[c] : best[c];
                            }
                        }
                    }

                    for (int c = 0; c < channels; c++) {
                        sim::store(y, half, (row * outWidth + column) * channels + c, best[c]);
                    }
                }
            }
        });
    });
}
