// cuDNN: one unidirectional LSTM layer by the v8 functions, forward for training, backward by data, backward by weights.
//
// The weight space is opaque: what lies where may be known by cudnnGetRNNWeightParams alone. Here it has gaps, and the gates stand in reverse order.
#include "descriptors.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

struct cudnnRNNStruct {
    cudnnDataType_t type;
    int inputs, hidden;
    bool isSet;
};

struct cudnnRNNDataStruct {
    cudnnDataType_t type;
    int time, batch, width;
    bool isSet;
};

namespace {

constexpr int gates = 4;
constexpr int64_t gap = 48;

// What lies at the beginning of the reserve, so that a backward pass without its forward pass is found out.
struct ReserveHeader {
    uint64_t magic;
    int32_t batch, time, inputs, hidden;
    uint64_t dataDone;
};

constexpr uint64_t magic = 0x6376727365523853ull;
constexpr size_t headerBytes = 64;

struct Layout {
    int64_t inputs, hidden;

    int64_t gateElements() const { return hidden * inputs + hidden * hidden + hidden + 3 * gap; }
    int64_t elements() const { return gates * gateElements() + gap; }
    int64_t start(int gate) const { return gap + (gates - 1 - gate) * gateElements(); }
    int64_t bias(int gate) const { return start(gate); }
    int64_t recurrent(int gate) const { return start(gate) + hidden + gap; }
    int64_t input(int gate) const { return recurrent(gate) + hidden * hidden + gap; }
};

struct Shape {
    int64_t batch, time, inputs, hidden;
    cudnnDataType_t type;

    int64_t rows() const { return batch * time; }
    bool half() const { return type == CUDNN_DATA_HALF; }
    size_t sequenceBytes(int64_t width) const { return rows() * width * sim::sizeOf(type); }
    // Activated gates [B·T, 4H] and cells [B·T, H], both as float, whatever the type.
    size_t reserveBytes() const { return headerBytes + rows() * (gates + 1) * hidden * sizeof(float); }
    size_t workspaceBytes() const { return rows() * gates * hidden * sizeof(float); }
    size_t weightBytes() const { return Layout{inputs, hidden}.elements() * sim::sizeOf(type); }
};

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

float* gatesOf(void* reserve) { return reinterpret_cast<float*>(static_cast<char*>(reserve) + headerBytes); }

ReserveHeader& headerOf(void* reserve) { return *static_cast<ReserveHeader*>(reserve); }

void require(const Shape& shape, void* reserve, bool dataDone) {
    const ReserveHeader& header = headerOf(reserve);
    if (header.magic != magic || header.batch != shape.batch || header.time != shape.time || header.inputs != shape.inputs || header.hidden != shape.hidden) {
        throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "cuDNN's LSTM backward: the reserve was not filled by a forward pass for training of this size");
    }

    if (dataDone && header.dataDone == 0) {
        throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "cudnnRNNBackwardWeights_v8 before cudnnRNNBackwardData_v8");
    }
}

void checkLengths(const Shape& shape, const int32_t* lengths) {
    for (int64_t b = 0; b < shape.batch; b++) {
        if (lengths[b] != shape.time) {
            throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "cuDNN: the sequence lengths on the device differ from those of the data descriptor");
        }
    }
}

// out[row, gate·H + j] = Σ x[row, i]·W_gate[j, i].
std::vector<float> project(const Shape& shape, const void* x, int64_t width, const void* weights, const Layout& layout, int64_t (Layout::*place)(int) const) {
    std::vector<float> sums(shape.rows() * gates * shape.hidden), part(shape.rows() * shape.hidden);
    for (int gate = 0; gate < gates; gate++) {
        const void* matrix = static_cast<const char*>(weights) + (layout.*place)(gate) * sim::sizeOf(shape.type);
        sim::multiply({x, shape.half(), width, 1}, shape.rows(), sim::PackedMatrix({matrix, shape.half(), 1, width}, width, shape.hidden), part.data());
        for (int64_t row = 0; row < shape.rows(); row++) {
            std::memcpy(&sums[(row * gates + gate) * shape.hidden], &part[row * shape.hidden], shape.hidden * sizeof(float));
        }
    }

    return sums;
}

void forward(const Shape& shape, const void* x, void* y, const void* weights, void* reserve) {
    Layout layout{shape.inputs, shape.hidden};
    int64_t H = shape.hidden;
    bool half = shape.half();
    std::vector<float> sums = project(shape, x, shape.inputs, weights, layout, &Layout::input);
    float* activated = gatesOf(reserve);
    float* cells = activated + shape.rows() * gates * H;
    headerOf(reserve) = {magic, static_cast<int32_t>(shape.batch), static_cast<int32_t>(shape.time), static_cast<int32_t>(shape.inputs), static_cast<int32_t>(H), 0};
    for (int64_t b = 0; b < shape.batch; b++) {
        std::vector<float> h(H), c(H);
        for (int64_t t = 0; t < shape.time; t++) {
            int64_t row = b * shape.time + t;
            float* z = activated + row * gates * H;
            for (int gate = 0; gate < gates; gate++) {
                for (int64_t j = 0; j < H; j++) {
                    float sum = sums[(row * gates + gate) * H + j] + sim::load(weights, half, layout.bias(gate) + j);
                    for (int64_t l = 0; l < H; l++) {
                        sum += sim::load(weights, half, layout.recurrent(gate) + j * H + l) * h[l];
                    }

                    z[gate * H + j] = gate == 2 ? std::tanh(sum) : sigmoid(sum);
                }
            }

            for (int64_t j = 0; j < H; j++) {
                c[j] = z[H + j] * c[j] + z[j] * z[2 * H + j];
                cells[row * H + j] = c[j];
                h[j] = z[3 * H + j] * std::tanh(c[j]);
                sim::store(y, half, row * H + j, h[j]);
            }
        }
    }
}

// Turns the gates of the reserve into gradients before activation, and computes dx.
void backwardData(const Shape& shape, const void* dy, void* dx, const void* weights, void* reserve) {
    Layout layout{shape.inputs, shape.hidden};
    int64_t H = shape.hidden;
    bool half = shape.half();
    require(shape, reserve, false);
    float* activated = gatesOf(reserve);
    const float* cells = activated + shape.rows() * gates * H;
    for (int64_t b = 0; b < shape.batch; b++) {
        std::vector<float> dh(H), dc(H);
        for (int64_t t = shape.time - 1; t >= 0; t--) {
            int64_t row = b * shape.time + t;
            float* z = activated + row * gates * H;
            for (int64_t j = 0; j < H; j++) {
                float i = z[j], f = z[H + j], g = z[2 * H + j], o = z[3 * H + j], tanhCell = std::tanh(cells[row * H + j]);
                float before = t > 0 ? cells[(row - 1) * H + j] : 0, total = dh[j] + sim::load(dy, half, row * H + j);
                float cell = dc[j] + total * o * (1 - tanhCell * tanhCell);
                z[j] = cell * g * i * (1 - i);
                z[H + j] = cell * before * f * (1 - f);
                z[2 * H + j] = cell * i * (1 - g * g);
                z[3 * H + j] = total * tanhCell * o * (1 - o);
                dc[j] = cell * f;
            }

            for (int64_t l = 0; l < H; l++) {
                float sum = 0;
                for (int gate = 0; gate < gates; gate++) {
                    for (int64_t j = 0; j < H; j++) {
                        sum += sim::load(weights, half, layout.recurrent(gate) + j * H + l) * z[gate * H + j];
                    }
                }

                dh[l] = sum;
            }
        }
    }

    std::vector<float> all(shape.rows() * shape.inputs), part(all.size());
    for (int gate = 0; gate < gates; gate++) {
        const void* matrix = static_cast<const char*>(weights) + layout.input(gate) * sim::sizeOf(shape.type);
        sim::multiply({activated + gate * H, false, gates * H, 1}, shape.rows(), sim::PackedMatrix({matrix, half, shape.inputs, 1}, H, shape.inputs), part.data());
        for (size_t i = 0; i < all.size(); i++) {
            all[i] += part[i];
        }
    }

    for (size_t i = 0; i < all.size(); i++) {
        sim::store(dx, half, i, all[i]);
    }

    headerOf(reserve).dataDone = 1;
}

// gradient[j, i] += Σ over rows of dz[row, j]·x[row, i].
void addProduct(const Shape& shape, const float* dz, const void* x, bool xHalf, int64_t width, void* gradient, int64_t place) {
    std::vector<float> product(shape.hidden * width);
    sim::multiply({dz, false, 1, gates * shape.hidden}, shape.hidden, sim::PackedMatrix({x, xHalf, width, 1}, shape.rows(), width), product.data());
    for (size_t i = 0; i < product.size(); i++) {
        sim::store(gradient, shape.half(), place + i, sim::load(gradient, shape.half(), place + i) + product[i]);
    }
}

void backwardWeights(const Shape& shape, const void* x, const void* y, void* gradient, void* reserve) {
    Layout layout{shape.inputs, shape.hidden};
    int64_t H = shape.hidden;
    require(shape, reserve, true);
    const float* dz = gatesOf(reserve);
    std::vector<float> previous(shape.rows() * H);
    for (int64_t row = 0; row < shape.rows(); row++) {
        for (int64_t j = 0; j < H; j++) {
            previous[row * H + j] = row % shape.time == 0 ? 0 : sim::load(y, shape.half(), (row - 1) * H + j);
        }
    }

    for (int gate = 0; gate < gates; gate++) {
        addProduct(shape, dz + gate * H, x, shape.half(), shape.inputs, gradient, layout.input(gate));
        addProduct(shape, dz + gate * H, previous.data(), false, H, gradient, layout.recurrent(gate));
        for (int64_t j = 0; j < H; j++) {
            float sum = 0;
            for (int64_t row = 0; row < shape.rows(); row++) {
                sum += dz[(row * gates + gate) * H + j];
            }

            int64_t place = layout.bias(gate) + j;
            sim::store(gradient, shape.half(), place, sim::load(gradient, shape.half(), place) + sum);
        }
    }
}

// The descriptors of a pass, checked against each other.
cudnnStatus_t shapeOf(cudnnHandle_t handle, const cudnnRNNStruct* rnn, const cudnnRNNDataStruct* x, const cudnnRNNDataStruct* y, Shape& shape) {
    if (!sim::isReady(handle) || rnn == nullptr || !rnn->isSet || x == nullptr || !x->isSet || y == nullptr || !y->isSet) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool fits = x->type == rnn->type && y->type == rnn->type && x->width == rnn->inputs && y->width == rnn->hidden && x->batch == y->batch && x->time == y->time;
    shape = {x->batch, x->time, rnn->inputs, rnn->hidden, rnn->type};
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

bool isState(const cudnnTensorStruct* tensor, const Shape& shape) {
    return tensor == nullptr || (tensor->type == shape.type && tensor->lengths == std::vector<int>{1, static_cast<int>(shape.batch), static_cast<int>(shape.hidden)});
}

bool spacesFit(cudnnHandle_t handle, const Shape& shape, const int32_t* lengths, size_t weightBytes, const void* weights, size_t workspaceBytes, void* workspace, size_t reserveBytes, void* reserve) {
    return weightBytes >= shape.weightBytes() && workspaceBytes >= shape.workspaceBytes() && reserveBytes >= shape.reserveBytes() &&
           sim::isAccessible(handle, lengths, shape.batch * sizeof(int32_t)) && sim::isAccessible(handle, weights, shape.weightBytes()) &&
           sim::isAccessible(handle, workspace, shape.workspaceBytes()) && sim::isAccessible(handle, reserve, shape.reserveBytes());
}

}  // namespace

EXPORT cudnnStatus_t cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t* descriptor) {
    *descriptor = new cudnnRNNStruct{};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t descriptor) {
    delete descriptor;
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnCreateRNNDataDescriptor(cudnnRNNDataDescriptor_t* descriptor) {
    *descriptor = new cudnnRNNDataStruct{};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnDestroyRNNDataDescriptor(cudnnRNNDataDescriptor_t descriptor) {
    delete descriptor;
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetRNNDescriptor_v8(
    cudnnRNNDescriptor_t descriptor, cudnnRNNAlgo_t algorithm, cudnnRNNMode_t cell, cudnnRNNBiasMode_t bias, cudnnDirectionMode_t direction, cudnnRNNInputMode_t input, cudnnDataType_t type,
    cudnnDataType_t precision, cudnnMathType_t, int32_t inputs, int32_t hidden, int32_t projection, int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags) {
    if (descriptor == nullptr || dropout == nullptr || inputs <= 0 || hidden <= 0 || projection != hidden || layers <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool known = algorithm == CUDNN_RNN_ALGO_STANDARD && cell == CUDNN_LSTM && bias == CUDNN_RNN_SINGLE_INP_BIAS && direction == CUDNN_UNIDIRECTIONAL && input == CUDNN_LINEAR_INPUT &&
                 sim::isFloating(type) && precision == CUDNN_DATA_FLOAT && layers == 1 && dropout->dropout == 0 && flags == CUDNN_RNN_PADDED_IO_ENABLED;
    if (!known) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    *descriptor = {type, inputs, hidden, true};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetRNNDataDescriptor(
    cudnnRNNDataDescriptor_t descriptor, cudnnDataType_t type, cudnnRNNDataLayout_t layout, int time, int batch, int width, const int lengths[], void*) {
    if (descriptor == nullptr || time <= 0 || batch <= 0 || width <= 0 || lengths == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    for (int b = 0; b < batch; b++) {
        if (lengths[b] < 1 || lengths[b] > time) {
            return CUDNN_STATUS_BAD_PARAM;
        }

        if (lengths[b] != time) {
            return CUDNN_STATUS_NOT_SUPPORTED;
        }
    }

    if (layout != CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED || !sim::isFloating(type)) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    *descriptor = {type, time, batch, width, true};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetRNNTempSpaceSizes(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, cudnnForwardMode_t mode, cudnnRNNDataDescriptor_t x, size_t* workspaceBytes, size_t* reserveBytes) {
    if (!sim::isReady(handle) || rnn == nullptr || !rnn->isSet || x == nullptr || !x->isSet || workspaceBytes == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    Shape shape{x->batch, x->time, rnn->inputs, rnn->hidden, rnn->type};
    *workspaceBytes = shape.workspaceBytes();
    if (reserveBytes != nullptr) {
        *reserveBytes = mode == CUDNN_FWD_MODE_TRAINING ? shape.reserveBytes() : 0;
    }

    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightSpaceSize(cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, size_t* bytes) {
    if (!sim::isReady(handle) || rnn == nullptr || !rnn->isSet || bytes == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *bytes = Layout{rnn->inputs, rnn->hidden}.elements() * sim::sizeOf(rnn->type);
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightParams(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, int32_t layer, size_t bytes, const void* space, int32_t linear, cudnnTensorDescriptor_t matrixDescriptor, void** matrix,
    cudnnTensorDescriptor_t biasDescriptor, void** bias) {
    if (!sim::isReady(handle) || rnn == nullptr || !rnn->isSet || layer != 0 || linear < 0 || linear >= 2 * gates || matrix == nullptr || bias == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    Layout layout{rnn->inputs, rnn->hidden};
    size_t size = sim::sizeOf(rnn->type);
    if (bytes < layout.elements() * size || !sim::isAccessible(handle, space, bytes)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    auto* start = static_cast<char*>(const_cast<void*>(space));
    bool isInput = linear < gates;
    int width = isInput ? rnn->inputs : rnn->hidden, gate = linear % gates;
    *matrix = start + (isInput ? layout.input(gate) : layout.recurrent(gate)) * size;
    *bias = isInput ? start + layout.bias(gate) * size : nullptr;
    int shape[] = {1, rnn->hidden, width}, strides[] = {rnn->hidden * width, width, 1};
    cudnnSetTensorNdDescriptor(matrixDescriptor, rnn->type, 3, shape, strides);
    int biasShape[] = {1, rnn->hidden, 1}, biasStrides[] = {rnn->hidden, 1, 1};
    return isInput ? cudnnSetTensorNdDescriptor(biasDescriptor, rnn->type, 3, biasShape, biasStrides) : CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnRNNForward(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, cudnnForwardMode_t mode, const int32_t lengths[], cudnnRNNDataDescriptor_t xDescriptor, const void* x, cudnnRNNDataDescriptor_t yDescriptor,
    void* y, cudnnTensorDescriptor_t hDescriptor, const void* hx, void* hy, cudnnTensorDescriptor_t cDescriptor, const void* cx, void* cy, size_t weightBytes, const void* weights,
    size_t workspaceBytes, void* workspace, size_t reserveBytes, void* reserve) {
    Shape shape;
    cudnnStatus_t status = shapeOf(handle, rnn, xDescriptor, yDescriptor, shape);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }

    bool fits = isState(hDescriptor, shape) && isState(cDescriptor, shape) && spacesFit(handle, shape, lengths, weightBytes, weights, workspaceBytes, workspace, reserveBytes, reserve) &&
                sim::isAccessible(handle, x, shape.sequenceBytes(shape.inputs)) && sim::isAccessible(handle, y, shape.sequenceBytes(shape.hidden));
    if (!fits) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (mode != CUDNN_FWD_MODE_TRAINING || hx != nullptr || hy != nullptr || cx != nullptr || cy != nullptr) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    return sim::run(handle, "cudnnRNNForward", [=] {
        checkLengths(shape, lengths);
        sim::scribble(workspace, shape.workspaceBytes());
        forward(shape, x, y, weights, reserve);
    });
}

EXPORT cudnnStatus_t cudnnRNNBackwardData_v8(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, const int32_t lengths[], cudnnRNNDataDescriptor_t yDescriptor, const void* y, const void* dy, cudnnRNNDataDescriptor_t xDescriptor, void* dx,
    cudnnTensorDescriptor_t hDescriptor, const void* hx, const void* dhy, void* dhx, cudnnTensorDescriptor_t cDescriptor, const void* cx, const void* dcy, void* dcx, size_t weightBytes,
    const void* weights, size_t workspaceBytes, void* workspace, size_t reserveBytes, void* reserve) {
    Shape shape;
    cudnnStatus_t status = shapeOf(handle, rnn, xDescriptor, yDescriptor, shape);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }

    bool fits = isState(hDescriptor, shape) && isState(cDescriptor, shape) && spacesFit(handle, shape, lengths, weightBytes, weights, workspaceBytes, workspace, reserveBytes, reserve) &&
                sim::isAccessible(handle, y, shape.sequenceBytes(shape.hidden)) && sim::isAccessible(handle, dy, shape.sequenceBytes(shape.hidden)) &&
                sim::isAccessible(handle, dx, shape.sequenceBytes(shape.inputs));
    if (!fits) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (hx != nullptr || dhy != nullptr || dhx != nullptr || cx != nullptr || dcy != nullptr || dcx != nullptr) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    return sim::run(handle, "cudnnRNNBackwardData_v8", [=] {
        checkLengths(shape, lengths);
        sim::scribble(workspace, shape.workspaceBytes());
        backwardData(shape, dy, dx, weights, reserve);
    });
}

EXPORT cudnnStatus_t cudnnRNNBackwardWeights_v8(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, cudnnWgradMode_t mode, const int32_t lengths[], cudnnRNNDataDescriptor_t xDescriptor, const void* x, cudnnTensorDescriptor_t hDescriptor,
    const void* hx, cudnnRNNDataDescriptor_t yDescriptor, const void* y, size_t weightBytes, void* gradient, size_t workspaceBytes, void* workspace, size_t reserveBytes, void* reserve) {
    Shape shape;
    cudnnStatus_t status = shapeOf(handle, rnn, xDescriptor, yDescriptor, shape);
    if (status != CUDNN_STATUS_SUCCESS) {
        return status;
    }

    bool fits = isState(hDescriptor, shape) && spacesFit(handle, shape, lengths, weightBytes, gradient, workspaceBytes, workspace, reserveBytes, reserve) &&
                sim::isAccessible(handle, x, shape.sequenceBytes(shape.inputs)) && sim::isAccessible(handle, y, shape.sequenceBytes(shape.hidden));
    if (!fits) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    // As the real one: setting instead of adding is not offered.
    if (mode != CUDNN_WGRAD_MODE_ADD || hx != nullptr) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    return sim::run(handle, "cudnnRNNBackwardWeights_v8", [=] {
        checkLengths(shape, lengths);
        sim::scribble(workspace, shape.workspaceBytes());
        backwardWeights(shape, x, y, gradient, reserve);
    });
}
