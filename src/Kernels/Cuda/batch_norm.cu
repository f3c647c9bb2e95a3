// Forward   y = dropout(relu(γ·(x − μ)/√(σ² + ε) + β)) over the rows; in training μ, σ² are the batch's (population variance), which also move the running ones:
//           r ← momentum·r + (1 − momentum)·batch.
// Backward  g = dy·factor where the ReLU passed; dβ += Σg; dγ += Σg·x̂; dx = γ/√(σ² + ε)·(g − Σg/rows − x̂·Σ(g·x̂)/rows) with x̂ = (x − μ)/√(σ² + ε).
//
// Shapes  x, y, dx, dy [rows, channels] float or half; everything else [channels] float.
// Cost    training: x read three times (mean, centred squares, output; the second and third time from the L1 or L2 cache), y written; backward: x and dy read twice,
//         dx written; about 10 FLOPs an element, and 25 integer instructions with dropout. From DRAM that is x + y and x + dy + dx; a layer of the classifier,
//         1280×128 halves, is 0.3 MB an array and bound by latency: ten rows a thread and pass.
// Access  columns.cuh; one launch each way, since a block sees all rows of its channels. Inference: 16 bytes a thread, any block any row.
// Order   columns.cuh: fixed by the shape; no atomics. The mean is subtracted before squaring, so a large mean cancels nothing.
#include "batch_norm.cuh"

template <typename T>
__device__ __forceinline__ void training(
    int rows, int channels, const T *__restrict__ x, const float *__restrict__ gamma, const float *__restrict__ beta, float *running_mean, float *running_variance,
    T *__restrict__ y, float *saved_mean, float *saved_inverse, int with_relu, float momentum, float epsilon, const Dropout &dropout, bool aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(channels);
    float per_row = 1.0f / (float)rows;
    float means[lanes], squares[lanes];
    batch_moments(block, rows, x, aligned, means, squares);
    if (block.available <= 0)
    {
        return;
    }

    float scale[lanes], shift[lanes];
    load_floats(gamma + block.column, block.available, scale);
    load_floats(beta + block.column, block.available, shift);
#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        float mean = means[lane], variance = squares[lane] * per_row, inverse = 1.0f / sqrtf(variance + epsilon);
        scale[lane] *= inverse;
        if (block.row == 0 && lane < block.available)
        {
            int channel = block.column + lane;
            saved_mean[channel] = mean;
            saved_inverse[channel] = inverse;
            running_mean[channel] = fmaf(1.0f - momentum, mean, momentum * running_mean[channel]);
            running_variance[channel] = fmaf(1.0f - momentum, variance, momentum * running_variance[channel]);
        }
    }

    normalize_rows(block, rows, x, y, means, scale, shift, with_relu, dropout, aligned);
}

template <typename T>
__device__ __forceinline__ void inference(
    int rows, int channels, const T *x, const float *__restrict__ gamma, const float *__restrict__ beta, const float *__restrict__ mean, const float *__restrict__ variance,
    T *y, int with_relu, float epsilon, bool aligned)
{
    const int lanes = Group<T>::lanes;
    int groups = (channels + lanes - 1) / lanes;
    for (i64 index = first_item(); index < (i64)rows * groups; index += item_stride())
    {
        i64 row = quotient(index, groups);
        int channel = (int)(index - row * groups) * lanes, available = channels - channel;
        float values[lanes], scale[lanes], shift[lanes], centre[lanes], spread[lanes];
        load_group(x + row * channels + channel, available, aligned, values);
        load_floats(gamma + channel, available, scale);
        load_floats(beta + channel, available, shift);
        load_floats(mean + channel, available, centre);
        load_floats(variance + channel, available, spread);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            values[lane] = normalize(values[lane], centre[lane], scale[lane] * (1.0f / sqrtf(spread[lane] + epsilon)), shift[lane]);
            values[lane] = with_relu ? relu(values[lane]) : values[lane];
        }

        store_group(y + row * channels + channel, available, aligned, values);
    }
}

template <typename T>
__device__ __forceinline__ void backward(
    int rows, int channels, const T *dy, const T *__restrict__ x, const float *__restrict__ gamma, const float *__restrict__ beta, const float *__restrict__ mean,
    const float *__restrict__ inverse, T *dx, float *d_scale, float *d_shift, int with_relu, const Dropout &dropout, bool aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(channels);
    GradientSums<T> pass(block, dy, x, gamma, beta, mean, inverse, with_relu, dropout, aligned);
    sum_rows(block, rows, pass);
    block.sum(pass.shift_sums);
    block.sum(pass.scale_sums);
    if (block.available <= 0)
    {
        return;
    }

    float per_row = 1.0f / (float)rows;
#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        if (block.row == 0 && lane < block.available)
        {
            d_shift[block.column + lane] += pass.shift_sums[lane];
            d_scale[block.column + lane] += pass.scale_sums[lane];
        }

        pass.shift_sums[lane] *= per_row;
        pass.scale_sums[lane] *= per_row;
    }

    input_gradient_rows(block, rows, pass, pass.shift_sums, pass.scale_sums, dx);
}

#define BATCH_NORM(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256, 1) batch_norm_training_##SUFFIX( \
        int rows, int channels, const T *x, const float *gamma, const float *beta, float *running_mean, float *running_variance, T *y, float *mean, float *inverse, \
        int with_relu, float momentum, float epsilon, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        training<T>( \
            rows, channels, x, gamma, beta, running_mean, running_variance, y, mean, inverse, with_relu, momentum, epsilon, \
            make_dropout(probability, scale, seed, layer, first_element, state), aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256, 1) batch_norm_inference_##SUFFIX( \
        int rows, int channels, const T *x, const float *gamma, const float *beta, const float *mean, const float *variance, T *y, int with_relu, float epsilon, int aligned) \
    { \
        inference<T>(rows, channels, x, gamma, beta, mean, variance, y, with_relu, epsilon, aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256, 1) batch_norm_backward_##SUFFIX( \
        int rows, int channels, const T *dy, const T *x, const float *gamma, const float *beta, const float *mean, const float *inverse, T *dx, float *d_scale, \
        float *d_shift, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        backward<T>( \
            rows, channels, dy, x, gamma, beta, mean, inverse, dx, d_scale, d_shift, with_relu, make_dropout(probability, scale, seed, layer, first_element, state), aligned); \
    }

BATCH_NORM(float, f32)
BATCH_NORM(half, f16)
