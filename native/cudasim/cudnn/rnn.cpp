// cuDNN: one unidirectional LSTM layer by the v8 functions, forward for training or inference, backward by data, backward by weights.
//
// The weight space is opaque: what lies where may be known by cudnnGetRNNWeightParams alone. Here it has gaps, and the gates stand in reverse order.
#include "descriptors.h"

#include <cmath>
#include <cstring>
#include <vector>

struct cudnnRNNStruct {
    cudnnDataType_t type;
    int inputs, hidden;
    bool doubleBias;
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

// In elements. Of each gate: bias, recurrent bias if there are two, W_hh [hidden, hidden], W_ih [hidden, inputs].
struct Layout {
    int64_t inputs, hidden;
    bool doubleBias;

    int64_t biasElements() const { return (doubleBias ? 2 : 1) * (hidden + gap); }
    int64_t gateElements() const { return biasElements() + hidden * hidden + gap + hidden * inputs + gap; }
    int64_t elements() const { return gates * gateElements() + gap; }
    int64_t start(int gate) const { return gap + (gates - 1 - gate) * gateElements(); }
    int64_t bias(int gate) const { return start(gate); }
    int64_t recurrentBias(int gate) const { return start(gate) + hidden + gap; }
    int64_t recurrent(int gate) const { return start(gate) + biasElements(); }
    int64_t input(int gate) const { return recurrent(gate) + hidden * hidden + gap; }
};

struct Shape {
    int64_t batch, time, inputs, hidden;
    cudnnDataType_t type;
    bool doubleBias;

    int64_t rows() const { return batch * time; }
    bool half() const { return type == CUDNN_DATA_HALF; }
    Layout layout() const { return {inputs, hidden, doubleBias}; }
    size_t sequenceBytes(int64_t width) const { return rows() * width * sim::sizeOf(type); }
    // Activated gates [B·T, 4H] and cells [B·T, H], both as float, whatever the type.
    size_t reserveBytes() const { return headerBytes + rows() * (gates + 1) * hidden * sizeof(float); }
    size_t workspaceBytes() const { return rows() * gates * hidden * sizeof(float); }
    size_t weightBytes() const { return layout().elements() * sim::sizeOf(type); }
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

    if (!dataDone && header.dataDone != 0) {
        throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "cudnnRNNBackwardData_v8 twice for one forward pass: the reserve holds gradients by now");
    }
}

void checkLengths(const Shape& shape, const int32_t* lengths) {
    for (int64_t b = 0; b < shape.batch; b++) {
        if (lengths[b] != shape.time) {
            throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "cuDNN: the sequence lengths on the device differ from those of the data descriptor");
        }
    }
}

const void* at(const void* start, int64_t element, const Shape& shape) { return static_cast<const char*>(start) + element * sim::sizeOf(shape.type); }

// c[m, n] = a·b on both threads.
void product(const sim::Matrix& a, bool floats, int64_t m, const sim::PackedMatrix& b, float* c) {
    sim::parallelFor(m, 48, [&](int64_t begin, int64_t end) {
        sim::Matrix own = a;
        own.data = static_cast<const char*>(a.data) + begin * a.rowStride * static_cast<int64_t>(floats ? sizeof(float) : sizeof(uint16_t));
        sim::multiply(own, end - begin, b, c + begin * b.n);
    });
}

// All four W_hh as floats, [gate·H + j, l] or, transposed, [l, gate·H + j].
std::vector<float> recurrentWeights(const Shape& shape, const void* weights, bool transposed) {
    int64_t H = shape.hidden;
    std::vector<float> all(gates * H * H);
    for (int gate = 0; gate < gates; gate++) {
        for (int64_t j = 0; j < H; j++) {
            for (int64_t l = 0; l < H; l++) {
                all[transposed ? l * gates * H + gate * H + j : (gate * H + j) * H + l] = sim::load(weights, shape.half(), shape.layout().recurrent(gate) + j * H + l);
            }
        }
    }

    return all;
}

void forward(const Shape& shape, const void* x, void* y, const void* weights, float* activated, float* cells) {
    Layout layout = shape.layout();
    int64_t H = shape.hidden;
    bool half = shape.half();
    std::vector<float> sums(shape.rows() * gates * H), part(shape.rows() * H);
    for (int gate = 0; gate < gates; gate++) {
        product({x, half, shape.inputs, 1}, !half, shape.rows(), sim::PackedMatrix({at(weights, layout.input(gate), shape), half, 1, shape.inputs}, shape.inputs, H), part.data());
        for (int64_t row = 0; row < shape.rows(); row++) {
            for (int64_t j = 0; j < H; j++) {
                float bias = sim::load(weights, half, layout.bias(gate) + j) + (shape.doubleBias ? sim::load(weights, half, layout.recurrentBias(gate) + j) : 0);
                sums[(row * gates + gate) * H + j] = part[row * H + j] + bias;
            }
        }
    }

    std::vector<float> recurrent = recurrentWeights(shape, weights, true);
    sim::parallelFor(shape.batch, 4, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; b++) {
            std::vector<float> h(H), c(H);
            for (int64_t t = 0; t < shape.time; t++) {
                int64_t row = b * shape.time + t;
                float* z = activated + row * gates * H;
                std::memcpy(z, &sums[row * gates * H], gates * H * sizeof(float));
                for (int64_t l = 0; l < H; l++) {
                    const float* column = &recurrent[l * gates * H];
                    for (int64_t j = 0; j < gates * H; j++) {
                        z[j] += column[j] * h[l];
                    }
                }

                for (int64_t j = 0; j < H; j++) {
                    float i = z[j] = sigmoid(z[j]), f = z[H + j] = sigmoid(z[H + j]), g = z[2 * H + j] = std::tanh(z[2 * H + j]), o = z[3 * H + j] = sigmoid(z[3 * H + j]);
                    c[j] = f * c[j] + i * g;
                    cells[row * H + j] = c[j];
                    h[j] = o * std::tanh(c[j]);
                    sim::store(y, half, row * H + j, h[j]);
                }
            }
        }
    });
}

void forwardForTraining(const Shape& shape, const void* x, void* y, const void* weights, void* reserve) {
    headerOf(reserve) = {magic, static_cast<int32_t>(shape.batch), static_cast<int32_t>(shape.time), static_cast<int32_t>(shape.inputs), static_cast<int32_t>(shape.hidden), 0};
    float* activated = gatesOf(reserve);
    forward(shape, x, y, weights, activated, activated + shape.rows() * gates * shape.hidden);
}

// Turns the gates of the reserve into gradients before activation, and computes dx.
void backwardData(const Shape& shape, const void* dy, void* dx, const void* weights, void* reserve) {
    Layout layout = shape.layout();
    int64_t H = shape.hidden;
    bool half = shape.half();
    require(shape, reserve, false);
    float* activated = gatesOf(reserve);
    const float* cells = activated + shape.rows() * gates * H;
    std::vector<float> recurrent = recurrentWeights(shape, weights, false);
    sim::parallelFor(shape.batch, 4, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; b++) {
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

                std::fill(dh.begin(), dh.end(), 0.0f);
                for (int64_t j = 0; j < gates * H; j++) {
                    const float* from = &recurrent[j * H];
                    for (int64_t l = 0; l < H; l++) {
                        dh[l] += from[l] * z[j];
                    }
                }
            }
        }
    });

    std::vector<float> all(shape.rows() * shape.inputs), part(all.size());
    for (int gate = 0; gate < gates; gate++) {
        product(
            {activated + gate * H, false, gates * H, 1}, true, shape.rows(), sim::PackedMatrix({at(weights, layout.input(gate), shape), half, shape.inputs, 1}, H, shape.inputs), part.data());
        for (size_t i = 0; i < all.size(); i++) {
            all[i] += part[i];
        }
    }

    for (size_t i = 0; i < all.size(); i++) {
        sim::store(dx, half, i, all[i]);
    }

    headerOf(reserve).dataDone = 1;
}

void add(const Shape& shape, void* gradient, int64_t place, float value) {
    sim::store(gradient, shape.half(), place, sim::load(gradient, shape.half(), place) + value);
}

// gradient[j, i] += Σ over rows of dz[row, j]·x[row, i].
void addProduct(const Shape& shape, const float* dz, const void* x, bool xHalf, int64_t width, void* gradient, int64_t place) {
    std::vector<float> sums(shape.hidden * width);
    product({dz, false, 1, gates * shape.hidden}, true, shape.hidden, sim::PackedMatrix({x, xHalf, width, 1}, shape.rows(), width), sums.data());
    for (size_t i = 0; i < sums.size(); i++) {
        add(shape, gradient, place + i, sums[i]);
    }
}

void backwardWeights(const Shape& shape, const void* x, const void* y, void* gradient, void* reserve) {
    Layout layout = shape.layout();
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

            add(shape, gradient, layout.bias(gate) + j, sum);
            if (shape.doubleBias) {
                add(shape, gradient, layout.recurrentBias(gate) + j, sum);
            }
        }
    }
}

// The descriptors of a pass, checked against each other.
cudnnStatus_t shapeOf(cudnnHandle_t handle, const cudnnRNNStruct* rnn, const cudnnRNNDataStruct* x, const cudnnRNNDataStruct* y, Shape& shape) {
    if (!sim::isReady(handle) || !sim::isLive(rnn) || !rnn->isSet || !sim::isLive(x) || !x->isSet || !sim::isLive(y) || !y->isSet) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool fits = x->type == rnn->type && y->type == rnn->type && x->width == rnn->inputs && y->width == rnn->hidden && x->batch == y->batch && x->time == y->time;
    shape = {x->batch, x->time, rnn->inputs, rnn->hidden, rnn->type, rnn->doubleBias};
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

bool isState(const cudnnTensorStruct* tensor, const Shape& shape) {
    return tensor == nullptr || (sim::isLive(tensor) && tensor->type == shape.type && tensor->lengths == std::vector<int>{1, static_cast<int>(shape.batch), static_cast<int>(shape.hidden)});
}

// Lengths, weights (or their gradient), workspace and reserve; none of the last two may be another's.
bool spacesFit(cudnnHandle_t handle, const Shape& shape, const int32_t* lengths, size_t weightBytes, const void* weights, size_t workspaceBytes, void* workspace, size_t reserveBytes, void* reserve) {
    size_t ownReserve = reserve == nullptr ? 0 : shape.reserveBytes();
    return weightBytes >= shape.weightBytes() && workspaceBytes >= shape.workspaceBytes() && reserveBytes >= ownReserve &&
           sim::isArray(handle, lengths, shape.batch * sizeof(int32_t), CUDNN_DATA_INT32) && sim::isArray(handle, weights, shape.weightBytes(), shape.type) &&
           sim::isArray(handle, workspace, shape.workspaceBytes(), CUDNN_DATA_FLOAT) && sim::isArray(handle, reserve, ownReserve, CUDNN_DATA_FLOAT) &&
           !sim::overlap(workspace, shape.workspaceBytes(), reserve, ownReserve) && !sim::overlap(workspace, shape.workspaceBytes(), weights, shape.weightBytes()) &&
           !sim::overlap(reserve, ownReserve, weights, shape.weightBytes());
}

bool isSequence(cudnnHandle_t handle, const Shape& shape, const void* address, int64_t width) { return sim::isArray(handle, address, shape.sequenceBytes(width), shape.type); }

}  // namespace

EXPORT cudnnStatus_t cudnnCreateRNNDescriptor(cudnnRNNDescriptor_t* descriptor) { return sim::create(descriptor); }

EXPORT cudnnStatus_t cudnnDestroyRNNDescriptor(cudnnRNNDescriptor_t descriptor) { return sim::destroy(descriptor); }
EXPORT cudnnStatus_t cudnnCreateRNNDataDescriptor(cudnnRNNDataDescriptor_t* descriptor) { return sim::create(descriptor); }

EXPORT cudnnStatus_t cudnnDestroyRNNDataDescriptor(cudnnRNNDataDescriptor_t descriptor) { return sim::destroy(descriptor); }

EXPORT cudnnStatus_t cudnnSetRNNDescriptor_v8(
    cudnnRNNDescriptor_t descriptor, cudnnRNNAlgo_t algorithm, cudnnRNNMode_t cell, cudnnRNNBiasMode_t bias, cudnnDirectionMode_t direction, cudnnRNNInputMode_t input, cudnnDataType_t type,
    cudnnDataType_t precision, cudnnMathType_t, int32_t inputs, int32_t hidden, int32_t projection, int32_t layers, cudnnDropoutDescriptor_t dropout, uint32_t flags) {
    if (!sim::isLive(descriptor) || !sim::isLive(dropout) || !dropout->isSet || inputs <= 0 || hidden <= 0 || projection != hidden || layers <= 0) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool known = algorithm == CUDNN_RNN_ALGO_STANDARD && cell == CUDNN_LSTM && (bias == CUDNN_RNN_SINGLE_INP_BIAS || bias == CUDNN_RNN_DOUBLE_BIAS) && direction == CUDNN_UNIDIRECTIONAL && input == CUDNN_LINEAR_INPUT &&
                 sim::isFloating(type) && precision == CUDNN_DATA_FLOAT && layers == 1 && dropout->dropout == 0 && flags == CUDNN_RNN_PADDED_IO_ENABLED;
    if (!known) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    *descriptor = {type, inputs, hidden, bias == CUDNN_RNN_DOUBLE_BIAS, true};
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnSetRNNDataDescriptor(
    cudnnRNNDataDescriptor_t descriptor, cudnnDataType_t type, cudnnRNNDataLayout_t layout, int time, int batch, int width, const int lengths[], void*) {
    if (!sim::isLive(descriptor) || time <= 0 || batch <= 0 || width <= 0 || lengths == nullptr) {
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
    if (!sim::isReady(handle) || !sim::isLive(rnn) || !rnn->isSet || !sim::isLive(x) || !x->isSet || workspaceBytes == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    Shape shape{x->batch, x->time, rnn->inputs, rnn->hidden, rnn->type, rnn->doubleBias};
    *workspaceBytes = shape.workspaceBytes();
    if (reserveBytes != nullptr) {
        *reserveBytes = mode == CUDNN_FWD_MODE_TRAINING ? shape.reserveBytes() : 0;
    }

    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightSpaceSize(cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, size_t* bytes) {
    if (!sim::isReady(handle) || !sim::isLive(rnn) || !rnn->isSet || bytes == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    *bytes = Layout{rnn->inputs, rnn->hidden, rnn->doubleBias}.elements() * sim::sizeOf(rnn->type);
    return CUDNN_STATUS_SUCCESS;
}

EXPORT cudnnStatus_t cudnnGetRNNWeightParams(
    cudnnHandle_t handle, cudnnRNNDescriptor_t rnn, int32_t layer, size_t bytes, const void* space, int32_t linear, cudnnTensorDescriptor_t matrixDescriptor, void** matrix,
    cudnnTensorDescriptor_t biasDescriptor, void** bias) {
    if (!sim::isReady(handle) || !sim::isLive(rnn) || !rnn->isSet || layer != 0 || linear < 0 || linear >= 2 * gates || matrix == nullptr || bias == nullptr) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    Layout layout{rnn->inputs, rnn->hidden, rnn->doubleBias};
    size_t size = sim::sizeOf(rnn->type);
    if (bytes < layout.elements() * size || !sim::isAccessible(handle, space, bytes)) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    auto* start = static_cast<char*>(const_cast<void*>(space));
    bool isInput = linear < gates;
    int width = isInput ? rnn->inputs : rnn->hidden, gate = linear % gates;
    *matrix = start + (isInput ? layout.input(gate) : layout.recurrent(gate)) * size;
    bool hasBias = isInput || rnn->doubleBias;
    *bias = hasBias ? start + (isInput ? layout.bias(gate) : layout.recurrentBias(gate)) * size : nullptr;
    int shape[] = {1, rnn->hidden, width}, strides[] = {rnn->hidden * width, width, 1};
    cudnnStatus_t status = cudnnSetTensorNdDescriptor(matrixDescriptor, rnn->type, 3, shape, strides);
    int biasShape[] = {1, rnn->hidden, 1}, biasStrides[] = {rnn->hidden, 1, 1};
    return status == CUDNN_STATUS_SUCCESS && hasBias ? cudnnSetTensorNdDescriptor(biasDescriptor, rnn->type, 3, biasShape, biasStrides) : status;
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
                isSequence(handle, shape, x, shape.inputs) && isSequence(handle, shape, y, shape.hidden);
    if (!fits) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    bool training = mode == CUDNN_FWD_MODE_TRAINING;
    if ((training && reserve == nullptr) || sim::overlap(x, shape.sequenceBytes(shape.inputs), y, shape.sequenceBytes(shape.hidden))) {
        return CUDNN_STATUS_BAD_PARAM;
    }

    if (hx != nullptr || hy != nullptr || cx != nullptr || cy != nullptr) {
        return CUDNN_STATUS_NOT_SUPPORTED;
    }

    return sim::run(handle, "cudnnRNNForward", [=] {
        checkLengths(shape, lengths);
        sim::scribble(workspace, shape.workspaceBytes());
        if (training) {
            forwardForTraining(shape, x, y, weights, reserve);
        } else {
            std::vector<float> activated(shape.rows() * gates * shape.hidden), cells(shape.rows() * shape.hidden);
            forward(shape, x, y, weights, activated.data(), cells.data());
        }
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

    bool fits = reserve != nullptr && isState(hDescriptor, shape) && isState(cDescriptor, shape) &&
                spacesFit(handle, shape, lengths, weightBytes, weights, workspaceBytes, workspace, reserveBytes, reserve) && isSequence(handle, shape, y, shape.hidden) && isSequence(handle, shape, dy, shape.hidden) &&
                isSequence(handle, shape, dx, shape.inputs);
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

    bool fits = reserve != nullptr && isState(hDescriptor, shape) && spacesFit(handle, shape, lengths, weightBytes, gradient, workspaceBytes, workspace, reserveBytes, reserve) &&
                isSequence(handle, shape, x, shape.inputs) && isSequence(handle, shape, y, shape.hidden);
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
