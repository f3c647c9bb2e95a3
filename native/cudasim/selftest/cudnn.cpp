// cuDNN: convolution, pooling and the LSTM against plain loops in double, and what they refuse.
#include "libraries.h"

#include <cudnn.h>

#include <array>

using namespace test;

namespace {

#define DNN(call) EQUAL(CUDNN_STATUS_SUCCESS, call)

cudnnDataType_t typeOf(bool half) { return half ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT; }

// A handle, and descriptors that end with it.
struct Dnn {
    explicit Dnn(Gpu& gpu) {
        DNN(cudnnCreate(&handle));
        DNN(cudnnSetStream(handle, gpu.stream));
    }
    ~Dnn() {
        for (auto& destroy : descriptors_) {
            destroy();
        }

        DNN(cudnnDestroy(handle));
    }

    cudnnTensorDescriptor_t tensor() {
        cudnnTensorDescriptor_t made = nullptr;
        DNN(cudnnCreateTensorDescriptor(&made));
        descriptors_.push_back([=] { DNN(cudnnDestroyTensorDescriptor(made)); });
        return made;
    }

    cudnnTensorDescriptor_t nhwc(bool half, int n, int c, int h, int w, cudnnTensorFormat_t format = CUDNN_TENSOR_NHWC) {
        cudnnTensorDescriptor_t made = tensor();
        DNN(cudnnSetTensor4dDescriptor(made, format, typeOf(half), n, c, h, w));
        return made;
    }

    template <class T>
    void destroyLater(T descriptor, cudnnStatus_t (*destroy)(T)) { descriptors_.push_back([=] { DNN(destroy(descriptor)); }); }

    cudnnHandle_t handle = nullptr;

private:
    std::vector<std::function<void()>> descriptors_;
};

double worst(const std::vector<float>& actual, const std::vector<double>& expected) {
    double most = actual.size() == expected.size() ? 0 : INFINITY;
    for (size_t i = 0; i < expected.size(); i++) {
        double difference = std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i]));
        most = difference <= most ? most : difference;  // NaN is the worst of all
        if (std::isnan(difference)) return INFINITY;
    }

    return most;
}

void near(int line, const char* what, const std::vector<float>& actual, const std::vector<double>& expected, double tolerance) {
    double difference = worst(actual, expected);
    if (!(difference <= tolerance)) fail(__FILE__, line, std::string(what) + " is wrong by " + std::to_string(difference));
}

#define NEAR(what, actual, expected, tolerance) near(__LINE__, what, actual, expected, tolerance)

// ---- Convolution and pooling

struct Convolution {
    int n, c, k, h, w;
    bool half;
    cudnnTensorDescriptor_t x, y, bias;
    cudnnFilterDescriptor_t filter = nullptr;
    cudnnConvolutionDescriptor_t convolution = nullptr;
    cudnnActivationDescriptor_t relu = nullptr;
    cudnnConvolutionFwdAlgo_t algorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
    size_t workspaceBytes = 0;

    Convolution(Dnn& dnn, int n, int c, int k, int h, int w, bool half) : n(n), c(c), k(k), h(h), w(w), half(half) {
        x = dnn.nhwc(half, n, c, h, w);
        y = dnn.nhwc(half, n, k, h, w);
        bias = dnn.nhwc(half, 1, k, 1, 1);
        DNN(cudnnCreateFilterDescriptor(&filter));
        dnn.destroyLater(filter, cudnnDestroyFilterDescriptor);
        DNN(cudnnSetFilter4dDescriptor(filter, typeOf(half), CUDNN_TENSOR_NHWC, k, c, 3, 3));
        DNN(cudnnCreateConvolutionDescriptor(&convolution));
        dnn.destroyLater(convolution, cudnnDestroyConvolutionDescriptor);
        DNN(cudnnSetConvolution2dDescriptor(convolution, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
        DNN(cudnnCreateActivationDescriptor(&relu));
        dnn.destroyLater(relu, cudnnDestroyActivationDescriptor);
        DNN(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
        DNN(cudnnGetConvolutionForwardWorkspaceSize(dnn.handle, x, filter, convolution, y, algorithm, &workspaceBytes));
    }

    cudnnStatus_t run(Dnn& dnn, CUdeviceptr in, CUdeviceptr filters, CUdeviceptr biases, CUdeviceptr out, CUdeviceptr workspace, size_t bytes) const {
        float one = 1, zero = 0;
        return cudnnConvolutionBiasActivationForward(
            dnn.handle, &one, x, pointer(in), filter, pointer(filters), convolution, algorithm, pointer(workspace), bytes, &zero, y, pointer(out), bias, pointer(biases), relu, y, pointer(out));
    }
};

}  // namespace

TEST(convolutions_are_those_of_plain_loops) {
    Gpu gpu;
    Dnn dnn(gpu);
    struct { int n, c, k, h, w; } sizes[] = {{1, 1, 1, 1, 1}, {2, 8, 5, 7, 6}, {1, 16, 33, 20, 20}, {3, 5, 8, 2, 9}};
    for (auto s : sizes) {
        for (bool half : {false, true}) {
            Convolution one(dnn, s.n, s.c, s.k, s.h, s.w, half);
            Array x(gpu, random(size_t(s.n) * s.h * s.w * s.c, 1), half), filters(gpu, random(size_t(s.k) * 9 * s.c, 2), half), bias(gpu, random(s.k, 3), half),
                y(gpu, std::vector<float>(size_t(s.n) * s.h * s.w * s.k, NAN), half);
            CUdeviceptr workspace = gpu.alloc(one.workspaceBytes);
            DNN(one.run(dnn, x.memory, filters.memory, bias.memory, y.memory, workspace, one.workspaceBytes));
            std::vector<double> expected;
            for (int image = 0; image < s.n; image++)
                for (int row = 0; row < s.h; row++)
                    for (int column = 0; column < s.w; column++)
                        for (int k = 0; k < s.k; k++) {
                            double sum = bias.values[k];
                            for (int dy = -1; dy <= 1; dy++)
                                for (int dx = -1; dx <= 1; dx++)
                                    for (int c = 0; c < s.c && row + dy >= 0 && row + dy < s.h && column + dx >= 0 && column + dx < s.w; c++)
                                        sum += double(x.values[((size_t(image) * s.h + row + dy) * s.w + column + dx) * s.c + c]) * filters.values[((size_t(k) * 3 + dy + 1) * 3 + dx + 1) * s.c + c];
                            expected.push_back(std::max(0.0, sum));
                        }

            NEAR("a convolution", y.download(gpu), expected, half ? 1e-3 : 1e-5);
            OK(gpu.sync());
            cuMemFree_v2(workspace);
        }
    }
}

TEST(convolutions_refuse_what_does_not_fit_together) {
    Gpu gpu;
    Dnn dnn(gpu);
    Convolution one(dnn, 1, 8, 8, 4, 4, true);
    Array x(gpu, random(128, 1), true), filters(gpu, random(8 * 9 * 8, 2), true), bias(gpu, random(8, 3), true), y(gpu, random(128, 4), true);
    CUdeviceptr workspace = gpu.alloc(one.workspaceBytes);
    CHECK(one.workspaceBytes > 0);
    auto run = [&](CUdeviceptr in, CUdeviceptr out, size_t bytes) { return one.run(dnn, in, filters.memory, bias.memory, out, workspace, bytes); };
    DNN(run(x.memory, y.memory, one.workspaceBytes));
    EQUAL(CUDNN_STATUS_BAD_PARAM, run(x.memory, y.memory, one.workspaceBytes - 1));
    EQUAL(CUDNN_STATUS_BAD_PARAM, run(x.memory, x.memory, one.workspaceBytes));
    EQUAL(CUDNN_STATUS_BAD_PARAM, run(x.memory + 2, y.memory, one.workspaceBytes));
    EQUAL(CUDNN_STATUS_BAD_PARAM, run(x.memory + 1, y.memory, one.workspaceBytes));
    EQUAL(CUDNN_STATUS_BAD_PARAM, run(0, y.memory, one.workspaceBytes));

    size_t bytes = 0;
    cudnnTensorDescriptor_t other = dnn.nhwc(true, 1, 8, 5, 4), planes = dnn.nhwc(true, 1, 8, 4, 4, CUDNN_TENSOR_NCHW), singles = dnn.nhwc(false, 1, 8, 4, 4), unset = dnn.tensor();
    auto size = [&](cudnnTensorDescriptor_t in, cudnnTensorDescriptor_t out) {
        return cudnnGetConvolutionForwardWorkspaceSize(dnn.handle, in, one.filter, one.convolution, out, one.algorithm, &bytes);
    };
    EQUAL(CUDNN_STATUS_BAD_PARAM, size(one.x, other));
    EQUAL(CUDNN_STATUS_BAD_PARAM, size(one.x, unset));
    EQUAL(CUDNN_STATUS_BAD_PARAM, size(nullptr, one.y));
    EQUAL(CUDNN_STATUS_NOT_SUPPORTED, size(planes, one.y));
    EQUAL(CUDNN_STATUS_NOT_SUPPORTED, size(singles, one.y));
    cudnnTensorDescriptor_t gone = nullptr;
    DNN(cudnnCreateTensorDescriptor(&gone));
    DNN(cudnnSetTensor4dDescriptor(gone, CUDNN_TENSOR_NHWC, CUDNN_DATA_HALF, 1, 8, 4, 4));
    DNN(size(one.x, gone));
    DNN(cudnnDestroyTensorDescriptor(gone));
    EQUAL(CUDNN_STATUS_BAD_PARAM, size(one.x, gone));
    EQUAL(CUDNN_STATUS_BAD_PARAM, cudnnDestroyTensorDescriptor(gone));
    OK(gpu.sync());
    cuMemFree_v2(workspace);
}

TEST(suggested_algorithms_name_their_math_and_their_workspace) {
    Gpu gpu;
    Dnn dnn(gpu);
    for (bool half : {false, true}) {
        Convolution one(dnn, 1, 8, 8, 4, 4, half);
        std::array<cudnnConvolutionFwdAlgoPerf_t, 8> results;
        int count = 0;
        DNN(cudnnGetConvolutionForwardAlgorithm_v7(dnn.handle, one.x, one.filter, one.convolution, one.y, 8, &count, results.data()));
        CHECK(count > 1);
        bool tensorCores = false;
        for (int i = 0; i < count; i++) {
            size_t bytes = 1;
            DNN(cudnnGetConvolutionForwardWorkspaceSize(dnn.handle, one.x, one.filter, one.convolution, one.y, results[i].algo, &bytes));
            EQUAL(results[i].memory, bytes);
            tensorCores |= results[i].mathType == CUDNN_TENSOR_OP_MATH;
        }

        EQUAL(half, tensorCores);
    }
}

TEST(pooling_takes_the_largest_of_each_window) {
    Gpu gpu;
    Dnn dnn(gpu);
    cudnnPoolingDescriptor_t pooling = nullptr;
    DNN(cudnnCreatePoolingDescriptor(&pooling));
    dnn.destroyLater(pooling, cudnnDestroyPoolingDescriptor);
    DNN(cudnnSetPooling2dDescriptor(pooling, CUDNN_POOLING_MAX, CUDNN_PROPAGATE_NAN, 2, 2, 0, 0, 2, 2));
    float one = 1, zero = 0;
    const int n = 2, c = 9, h = 6, w = 4;
    for (bool half : {false, true}) {
        cudnnTensorDescriptor_t from = dnn.nhwc(half, n, c, h, w), to = dnn.nhwc(half, n, c, h / 2, w / 2);
        Array x(gpu, random(n * c * h * w, 5), half), y(gpu, std::vector<float>(n * c * h * w / 4, NAN), half);
        DNN(cudnnPoolingForward(dnn.handle, pooling, &one, from, pointer(x.memory), &zero, to, pointer(y.memory)));
        std::vector<double> expected;
        for (int image = 0; image < n; image++)
            for (int row = 0; row < h / 2; row++)
                for (int column = 0; column < w / 2; column++)
                    for (int channel = 0; channel < c; channel++) {
                        double best = -2;
                        for (int i = 0; i < 4; i++)
                            best = std::max(best, double(x.values[((image * h + 2 * row + i / 2) * w + 2 * column + i % 2) * c + channel]));
                        expected.push_back(best);
                    }

        NEAR("a pooling", y.download(gpu), expected, 0);
        EQUAL(CUDNN_STATUS_BAD_PARAM, cudnnPoolingForward(dnn.handle, pooling, &one, from, pointer(x.memory), &zero, from, pointer(y.memory)));
        EQUAL(CUDNN_STATUS_BAD_PARAM, cudnnPoolingForward(dnn.handle, pooling, &one, from, pointer(x.memory), &zero, to, pointer(x.memory)));
        EQUAL(CUDNN_STATUS_NOT_SUPPORTED, cudnnPoolingForward(dnn.handle, pooling, &one, from, pointer(x.memory), &one, to, pointer(y.memory)));
        OK(gpu.sync());
    }
}

// ---- LSTM

namespace {

struct Lstm {
    int batch, time, inputs, hidden;
    bool half;
    cudnnRNNDescriptor_t rnn = nullptr;
    cudnnRNNDataDescriptor_t x = nullptr, y = nullptr;
    cudnnTensorDescriptor_t state, matrix, biasShape;
    size_t weightBytes = 0, workspaceBytes = 0, reserveBytes = 0, inferenceReserve = 1;
    CUdeviceptr lengths = 0, workspace = 0, reserve = 0;
    Gpu& gpu;
    Dnn& dnn;

    Lstm(Gpu& gpu, Dnn& dnn, int batch, int time, int inputs, int hidden, bool half, bool doubleBias)
        : batch(batch), time(time), inputs(inputs), hidden(hidden), half(half), gpu(gpu), dnn(dnn) {
        cudnnDropoutDescriptor_t dropout = nullptr;
        DNN(cudnnCreateDropoutDescriptor(&dropout));
        dnn.destroyLater(dropout, cudnnDestroyDropoutDescriptor);
        DNN(cudnnCreateRNNDescriptor(&rnn));
        dnn.destroyLater(rnn, cudnnDestroyRNNDescriptor);
        auto describe = [&] {
            return cudnnSetRNNDescriptor_v8(
                rnn, CUDNN_RNN_ALGO_STANDARD, CUDNN_LSTM, doubleBias ? CUDNN_RNN_DOUBLE_BIAS : CUDNN_RNN_SINGLE_INP_BIAS, CUDNN_UNIDIRECTIONAL, CUDNN_LINEAR_INPUT, typeOf(half),
                CUDNN_DATA_FLOAT, half ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH, inputs, hidden, hidden, 1, dropout, CUDNN_RNN_PADDED_IO_ENABLED);
        };
        EQUAL(CUDNN_STATUS_BAD_PARAM, describe());
        DNN(cudnnSetDropoutDescriptor(dropout, dnn.handle, 0, nullptr, 0, 0));
        DNN(describe());
        std::vector<int> all(batch, time);
        for (auto [made, width] : {std::pair{&x, inputs}, std::pair{&y, hidden}}) {
            DNN(cudnnCreateRNNDataDescriptor(made));
            dnn.destroyLater(*made, cudnnDestroyRNNDataDescriptor);
            DNN(cudnnSetRNNDataDescriptor(*made, typeOf(half), CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, time, batch, width, all.data(), nullptr));
        }

        state = dnn.tensor(), matrix = dnn.tensor(), biasShape = dnn.tensor();
        int shape[] = {1, batch, hidden}, strides[] = {batch * hidden, hidden, 1};
        DNN(cudnnSetTensorNdDescriptor(state, typeOf(half), 3, shape, strides));
        DNN(cudnnGetRNNWeightSpaceSize(dnn.handle, rnn, &weightBytes));
        DNN(cudnnGetRNNTempSpaceSizes(dnn.handle, rnn, CUDNN_FWD_MODE_INFERENCE, x, &workspaceBytes, &inferenceReserve));
        EQUAL(0, inferenceReserve);
        DNN(cudnnGetRNNTempSpaceSizes(dnn.handle, rnn, CUDNN_FWD_MODE_TRAINING, x, &workspaceBytes, &reserveBytes));
        lengths = gpu.upload(all);
        OK(gpu.sync());
        workspace = gpu.alloc(workspaceBytes);
        reserve = gpu.alloc(reserveBytes);
    }
    ~Lstm() {
        for (CUdeviceptr memory : {lengths, workspace, reserve}) cuMemFree_v2(memory);
    }

    // Where the numbers of linear layer `linear` begin in the weight space, in elements; -1: it has no bias.
    std::pair<int64_t, int64_t> places(int linear) {
        CUdeviceptr space = gpu.alloc(weightBytes);
        void *m = nullptr, *b = nullptr;
        DNN(cudnnGetRNNWeightParams(dnn.handle, rnn, 0, weightBytes, pointer(space), linear, matrix, &m, biasShape, &b));
        cudnnDataType_t type;
        int dimensions = 0, lengths3[3] = {}, strides[3] = {};
        DNN(cudnnGetTensorNdDescriptor(matrix, 3, &type, &dimensions, lengths3, strides));
        EQUAL(3, dimensions);
        EQUAL(typeOf(half), type);
        EQUAL(hidden, lengths3[1]);
        EQUAL(linear < 4 ? inputs : hidden, lengths3[2]);
        int64_t size = half ? 2 : 4, start = static_cast<int64_t>(space);
        std::pair<int64_t, int64_t> result{(reinterpret_cast<int64_t>(m) - start) / size, b ? (reinterpret_cast<int64_t>(b) - start) / size : -1};
        cuMemFree_v2(space);
        return result;
    }

    cudnnStatus_t forward(cudnnForwardMode_t mode, CUdeviceptr in, CUdeviceptr out, CUdeviceptr weights) {
        bool training = mode == CUDNN_FWD_MODE_TRAINING;
        return cudnnRNNForward(
            dnn.handle, rnn, mode, static_cast<const int32_t*>(pointer(lengths)), x, pointer(in), y, pointer(out), state, nullptr, nullptr, state, nullptr, nullptr, weightBytes, pointer(weights),
            workspaceBytes, pointer(workspace), training ? reserveBytes : 0, training ? pointer(reserve) : nullptr);
    }
    cudnnStatus_t backwardData(CUdeviceptr out, CUdeviceptr dy, CUdeviceptr dx, CUdeviceptr weights) {
        return cudnnRNNBackwardData_v8(
            dnn.handle, rnn, static_cast<const int32_t*>(pointer(lengths)), y, pointer(out), pointer(dy), x, pointer(dx), state, nullptr, nullptr, nullptr, state, nullptr, nullptr, nullptr,
            weightBytes, pointer(weights), workspaceBytes, pointer(workspace), reserveBytes, pointer(reserve));
    }
    cudnnStatus_t backwardWeights(CUdeviceptr in, CUdeviceptr out, CUdeviceptr gradient, cudnnWgradMode_t mode = CUDNN_WGRAD_MODE_ADD) {
        return cudnnRNNBackwardWeights_v8(
            dnn.handle, rnn, mode, static_cast<const int32_t*>(pointer(lengths)), x, pointer(in), state, nullptr, y, pointer(out), weightBytes, pointer(gradient), workspaceBytes, pointer(workspace),
            reserveBytes, pointer(reserve));
    }
};

// An LSTM in double. w[gate][j][inputs + hidden + 2]: input weights, recurrent weights, both biases; gates i, f, g, o.
struct Model {
    int batch, time, inputs, hidden;
    std::vector<double> w;

    int width() const { return inputs + hidden + 2; }
    double& weight(int gate, int j, int i) { return w[(size_t(gate) * hidden + j) * width() + i]; }

    double run(const std::vector<double>& x, const std::vector<double>& dy, std::vector<double>* y = nullptr) {
        double loss = 0;
        if (y) y->assign(size_t(batch) * time * hidden, 0);
        for (int b = 0; b < batch; b++) {
            std::vector<double> h(hidden), c(hidden);
            for (int t = 0; t < time; t++) {
                std::vector<double> z(4 * hidden);
                for (int gate = 0; gate < 4; gate++)
                    for (int j = 0; j < hidden; j++) {
                        double sum = weight(gate, j, inputs + hidden) + weight(gate, j, inputs + hidden + 1);
                        for (int i = 0; i < inputs; i++) sum += weight(gate, j, i) * x[(size_t(b) * time + t) * inputs + i];
                        for (int l = 0; l < hidden; l++) sum += weight(gate, j, inputs + l) * h[l];
                        z[gate * hidden + j] = gate == 2 ? std::tanh(sum) : 1 / (1 + std::exp(-sum));
                    }
                for (int j = 0; j < hidden; j++) {
                    c[j] = z[hidden + j] * c[j] + z[j] * z[2 * hidden + j];
                    h[j] = z[3 * hidden + j] * std::tanh(c[j]);
                    size_t place = (size_t(b) * time + t) * hidden + j;
                    loss += h[j] * dy[place];
                    if (y) (*y)[place] = h[j];
                }
            }
        }

        return loss;
    }

    // d loss / d value by central differences.
    double slope(double& value, const std::vector<double>& x, const std::vector<double>& dy) {
        double kept = value, step = 1e-5;
        value = kept + step;
        double up = run(x, dy);
        value = kept - step;
        double down = run(x, dy);
        value = kept;
        return (up - down) / (2 * step);
    }
};

void checkLstm(Gpu& gpu, Dnn& dnn, int batch, int time, int inputs, int hidden, bool half, bool doubleBias) {
    Lstm lstm(gpu, dnn, batch, time, inputs, hidden, half, doubleBias);
    size_t elements = lstm.weightBytes / (half ? 2 : 4);
    std::vector<float> spread = random(elements, 7);
    for (float& value : spread) value *= 0.4f;
    Array weights(gpu, spread, half), x(gpu, random(size_t(batch) * time * inputs, 8), half), dy(gpu, random(size_t(batch) * time * hidden, 9), half);
    Array y(gpu, std::vector<float>(dy.values.size(), NAN), half), dx(gpu, std::vector<float>(x.values.size(), NAN), half), gradient(gpu, std::vector<float>(elements, 0.5f), half);
    DNN(lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
    DNN(lstm.backwardData(y.memory, dy.memory, dx.memory, weights.memory));
    DNN(lstm.backwardWeights(x.memory, y.memory, gradient.memory));

    Model model{batch, time, inputs, hidden, std::vector<double>(size_t(4) * hidden * (inputs + hidden + 2))};
    std::vector<std::pair<int64_t, double*>> where;  // of each number of the model in the weight space
    for (int linear = 0; linear < 8; linear++) {
        auto [matrix, bias] = lstm.places(linear);
        int gate = linear % 4, width = linear < 4 ? inputs : hidden, first = linear < 4 ? 0 : inputs;
        for (int j = 0; j < hidden; j++) {
            for (int i = 0; i < width; i++) where.push_back({matrix + int64_t(j) * width + i, &model.weight(gate, j, first + i)});
            if (bias >= 0) where.push_back({bias + j, &model.weight(gate, j, inputs + hidden + (linear < 4 ? 0 : 1))});
        }

        EQUAL(linear < 4 || doubleBias, bias >= 0);
    }

    for (auto [place, number] : where) *number = weights.values[place];
    std::vector<double> inputsExact(x.values.begin(), x.values.end()), dyExact(dy.values.begin(), dy.values.end()), expected;
    model.run(inputsExact, dyExact, &expected);
    double tolerance = half ? 2e-3 : 1e-5;
    NEAR("y", y.download(gpu), expected, tolerance);

    expected.clear();
    for (double& value : inputsExact) expected.push_back(model.slope(value, inputsExact, dyExact));
    NEAR("dx", dx.download(gpu), expected, tolerance);

    std::vector<float> added = gradient.download(gpu), chosen;
    expected.clear();
    std::vector<bool> touched(elements);
    for (auto [place, number] : where) {
        touched[place] = true;
        chosen.push_back(added[place]);
        expected.push_back(0.5 + model.slope(*number, inputsExact, dyExact));
    }

    NEAR("the gradient of the weights", chosen, expected, half ? 4e-3 : 2e-5);
    for (size_t i = 0; i < elements; i++)
        if (!touched[i]) CLOSE(0.5, added[i]);

    Array again(gpu, std::vector<float>(dy.values.size(), NAN), half);
    DNN(lstm.forward(CUDNN_FWD_MODE_INFERENCE, x.memory, again.memory, weights.memory));
    CHECK(again.download(gpu) == y.download(gpu));
    OK(gpu.sync());
}

}  // namespace

TEST(an_lstm_and_its_gradients_are_those_of_plain_loops) {
    Gpu gpu;
    Dnn dnn(gpu);
    for (bool half : {false, true}) {
        for (bool doubleBias : {false, true}) {
            checkLstm(gpu, dnn, 1, 1, 1, 1, half, doubleBias);
            checkLstm(gpu, dnn, 3, 4, 5, 6, half, doubleBias);
        }
    }

    checkLstm(gpu, dnn, 9, 3, 17, 2, false, false);
}

TEST(an_lstm_refuses_what_does_not_fit_together) {
    Gpu gpu;
    Dnn dnn(gpu);
    Lstm lstm(gpu, dnn, 2, 3, 4, 5, false, false);
    Array weights(gpu, random(lstm.weightBytes / 4, 1), false), x(gpu, random(24, 2), false), y(gpu, random(30, 3), false), dy(gpu, random(30, 4), false), dx(gpu, random(24, 5), false),
        gradient(gpu, random(lstm.weightBytes / 4, 6), false);
    DNN(lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, x.memory, weights.memory));
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.forward(CUDNN_FWD_MODE_TRAINING, 0, y.memory, weights.memory));
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory + 256));
    EQUAL(CUDNN_STATUS_NOT_SUPPORTED, lstm.backwardWeights(x.memory, y.memory, gradient.memory, CUDNN_WGRAD_MODE_SET));
    lstm.workspaceBytes--;
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
    lstm.workspaceBytes++;
    lstm.reserveBytes--;
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.backwardData(y.memory, dy.memory, dx.memory, weights.memory));
    lstm.reserveBytes++;
    std::swap(lstm.x, lstm.y);
    EQUAL(CUDNN_STATUS_BAD_PARAM, lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
    std::swap(lstm.x, lstm.y);
    int wrong[] = {3, 4};
    EQUAL(CUDNN_STATUS_BAD_PARAM, cudnnSetRNNDataDescriptor(lstm.x, CUDNN_DATA_FLOAT, CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED, 3, 2, 4, wrong, nullptr));
    OK(gpu.sync());
}

TEST(the_reserve_must_come_from_a_forward_pass_for_training) {
    for (int order = 0; order < 4; order++) {
        Gpu gpu;
        {
            Dnn dnn(gpu);
            Lstm lstm(gpu, dnn, 2, 3, 4, 5, false, false);
            Array weights(gpu, random(lstm.weightBytes / 4, 1), false), x(gpu, random(24, 2), false), y(gpu, random(30, 3), false), dy(gpu, random(30, 4), false), dx(gpu, random(24, 5), false),
                gradient(gpu, random(lstm.weightBytes / 4, 6), false);
            OK(gpu.sync());
            if (order > 0) DNN(lstm.forward(order == 3 ? CUDNN_FWD_MODE_INFERENCE : CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
            if (order == 2) {
                DNN(lstm.backwardData(y.memory, dy.memory, dx.memory, weights.memory));
            }

            // Backward first; weights before data; data twice; after a pass that keeps nothing.
            if (order == 1) {
                DNN(lstm.backwardWeights(x.memory, y.memory, gradient.memory));
            } else {
                DNN(lstm.backwardData(y.memory, dy.memory, dx.memory, weights.memory));
            }

            EQUAL(CUDA_ERROR_LAUNCH_FAILED, gpu.sync());
            FAULT(order == 1 ? "before cudnnRNNBackwardData_v8" : order == 2 ? "twice" : "not filled");
        }

        cudasimReset();
    }
}

TEST(lengths_on_the_device_must_be_those_of_the_descriptor) {
    Gpu gpu;
    {
        Dnn dnn(gpu);
        Lstm lstm(gpu, dnn, 2, 3, 4, 5, false, false);
        Array weights(gpu, random(lstm.weightBytes / 4, 1), false), x(gpu, random(24, 2), false), y(gpu, random(30, 3), false);
        std::vector<int> other = {3, 2};
        OK(cuMemcpyHtoDAsync_v2(lstm.lengths, other.data(), 8, gpu.stream));
        DNN(lstm.forward(CUDNN_FWD_MODE_TRAINING, x.memory, y.memory, weights.memory));
        EQUAL(CUDA_ERROR_LAUNCH_FAILED, gpu.sync());
        FAULT("lengths");
    }
}
