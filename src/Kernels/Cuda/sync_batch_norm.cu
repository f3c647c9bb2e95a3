// Batch normalisation in training over rows that are spread over several replicas; between the launches, one part of each replica is gathered to all of them.
//
// Forward   moments           part = (μ_p, S_p = Σ(x − μ_p)², n_p) of the replica's own rows
//           combine           all parts in their order, pairwise (Chan, Golub, LeVeque 1983): δ = μ_p − μ, μ ← μ + δ·n_p/(n + n_p), S ← S + S_p + δ²·n·n_p/(n + n_p),
//                             n ← n + n_p; then σ² = S/n, inverse = 1/√(σ² + ε), and the running statistics r ← momentum·r + (1 − momentum)·batch
//           normalize         y = dropout(relu(γ·(x − μ)·inverse + β))
// Backward  gradient_sums     g = dy·factor where the ReLU passed; part = (Σg, Σg·x̂, n_p) with x̂ = (x − μ)·inverse; dβ += Σg; dγ += Σg·x̂
//           input_gradient    dx = γ·inverse·(g − Σg/n − x̂·Σ(g·x̂)/n), sums and n over all parts
//
// Shapes  x, y, dx, dy [rows, channels] float or half; parts [2·channels + 1] float, the number of rows last and exact below 2²⁴; gathered [parts, 2·channels + 1] float;
//         everything else [channels] float.
// Cost    x read by moments twice (the second time from the L1 or L2 cache) and by normalize, y written; x and dy read by each pass backward, dx written: from DRAM
//         2x + y and 2x + 2dy + dx, where batch_norm.cu, whose block keeps its channels, can find its input in a cache. About 10 FLOPs an element forward and 16
//         backward, and with dropout 25 integer instructions in each pass that needs the mask. A layer of the classifier, 1280×128 halves, is 0.3 MB an array and lies in the L2 cache: the
//         passes are bound by latency, and so is combine, parts·channels·2 floats.
// Access  columns.cuh. Passes that reduce have a block for 16 channels; normalize and input_gradient spread their rows over gridDim.y blocks as well. combine: a thread a
//         channel, neighbours side by side.
// Order   columns.cuh within a replica; parts in their order, in double: the same bits on every replica. No atomics. What is squared is a distance from a mean, within a
//         part and between them, so a large mean cancels nothing.
#include "batch_norm.cuh"

template <typename T>
__device__ __forceinline__ void moments(int rows, int channels, const T *__restrict__ x, float *__restrict__ part, bool aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(channels);
    float means[lanes], squares[lanes];
    batch_moments(block, rows, x, aligned, means, squares);
    if (block.row != 0)
    {
        return;
    }

#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        if (lane < block.available)
        {
            part[block.column + lane] = means[lane];
            part[channels + block.column + lane] = squares[lane];
        }
    }

    if (block.column == 0)
    {
        part[2 * channels] = (float)rows;
    }
}

extern "C" __global__ void __launch_bounds__(256) sync_batch_norm_combine(
    int parts, int channels, const float *__restrict__ gathered, float *__restrict__ running_mean, float *__restrict__ running_variance, float *__restrict__ saved_mean,
    float *__restrict__ saved_inverse, float momentum, float epsilon)
{
    int channel = (int)first_item();
    if (channel >= channels)
    {
        return;
    }

    double rows = gathered[2 * channels], mean = gathered[channel], squares = gathered[channels + channel];
    for (int i = 1; i < parts; i++)
    {
        const float *part = gathered + (i64)i * (2 * channels + 1);
        double more = part[2 * channels], share = more / (rows + more), distance = part[channel] - mean;
        mean += distance * share;
        squares += part[channels + channel] + distance * distance * rows * share;
        rows += more;
    }

    float centre = (float)mean, variance = (float)(squares / rows);
    saved_mean[channel] = centre;
    saved_inverse[channel] = 1.0f / sqrtf(variance + epsilon);
    running_mean[channel] = fmaf(1.0f - momentum, centre, momentum * running_mean[channel]);
    running_variance[channel] = fmaf(1.0f - momentum, variance, momentum * running_variance[channel]);
}

template <typename T>
__device__ __forceinline__ void normalize_all(
    int rows, int channels, const T *__restrict__ x, const float *__restrict__ gamma, const float *__restrict__ beta, const float *__restrict__ mean,
    const float *__restrict__ inverse, T *__restrict__ y, int with_relu, const Dropout &dropout, bool aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(channels);
    if (block.available <= 0)
    {
        return;
    }

    float centre[lanes], scale[lanes], shift[lanes], spread[lanes];
    load_floats(mean + block.column, block.available, centre);
    load_floats(inverse + block.column, block.available, spread);
    load_floats(gamma + block.column, block.available, scale);
    load_floats(beta + block.column, block.available, shift);
#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        scale[lane] *= spread[lane];
    }

    normalize_rows(block, rows, x, y, centre, scale, shift, with_relu, dropout, aligned);
}

template <typename T>
__device__ __forceinline__ void gradient_sums(
    int rows, int channels, const T *__restrict__ dy, const T *__restrict__ x, const float *__restrict__ gamma, const float *__restrict__ beta, const float *__restrict__ mean,
    const float *__restrict__ inverse, float *__restrict__ part, float *__restrict__ d_scale, float *__restrict__ d_shift, int with_relu, const Dropout &dropout, bool aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(channels);
    GradientSums<T> pass(block, dy, x, gamma, beta, mean, inverse, with_relu, dropout, aligned);
    sum_rows(block, rows, pass);
    block.sum(pass.shift_sums);
    block.sum(pass.scale_sums);
    if (block.row != 0)
    {
        return;
    }

#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        if (lane < block.available)
        {
            int channel = block.column + lane;
            part[channel] = pass.shift_sums[lane];
            part[channels + channel] = pass.scale_sums[lane];
            d_shift[channel] += pass.shift_sums[lane];
            d_scale[channel] += pass.scale_sums[lane];
        }
    }

    if (block.column == 0)
    {
        part[2 * channels] = (float)rows;
    }
}

template <typename T>
__device__ __forceinline__ void input_gradient(
    int parts, int rows, int channels, const T *dy, const T *__restrict__ x, const float *__restrict__ gamma, const float *__restrict__ beta, const float *__restrict__ mean,
    const float *__restrict__ inverse, const float *__restrict__ gathered, T *dx, int with_relu, const Dropout &dropout, bool aligned)
{
    const int lanes = Group<T>::lanes, columns = ColumnBlock<T>::columns;
    ColumnBlock<T> block(channels);

    // One warp adds up the parts of the block's channels: first Σg, then Σg·x̂.
    __shared__ float means[2 * columns];
    if (threadIdx.x < 2 * columns)
    {
        int channel = blockIdx.x * columns + threadIdx.x % columns;
        double total = 0.0, total_rows = 0.0;
        for (int i = 0; i < parts && channel < channels; i++)
        {
            const float *part = gathered + (i64)i * (2 * channels + 1);
            total += part[threadIdx.x / columns * channels + channel];
            total_rows += part[2 * channels];
        }

        means[threadIdx.x] = channel < channels ? (float)(total / total_rows) : 0.0f;
    }

    __syncthreads();
    if (block.available <= 0)
    {
        return;
    }

    GradientSums<T> pass(block, dy, x, gamma, beta, mean, inverse, with_relu, dropout, aligned);
    float mean_gradient[lanes], mean_product[lanes];
#pragma unroll
    for (int lane = 0; lane < lanes; lane++)
    {
        mean_gradient[lane] = means[block.group * lanes + lane];
        mean_product[lane] = means[columns + block.group * lanes + lane];
    }

    input_gradient_rows(block, rows, pass, mean_gradient, mean_product, dx);
}

#define SYNC_BATCH_NORM(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256, 1) sync_batch_norm_moments_##SUFFIX(int rows, int channels, const T *x, float *part, int aligned) \
    { \
        moments<T>(rows, channels, x, part, aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256) sync_batch_norm_normalize_##SUFFIX( \
        int rows, int channels, const T *x, const float *gamma, const float *beta, const float *mean, const float *inverse, T *y, int with_relu, float probability, \
        float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        normalize_all<T>(rows, channels, x, gamma, beta, mean, inverse, y, with_relu, make_dropout(probability, scale, seed, layer, first_element, state), aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256, 1) sync_batch_norm_gradient_sums_##SUFFIX( \
        int rows, int channels, const T *dy, const T *x, const float *gamma, const float *beta, const float *mean, const float *inverse, float *part, float *d_scale, \
        float *d_shift, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        gradient_sums<T>( \
            rows, channels, dy, x, gamma, beta, mean, inverse, part, d_scale, d_shift, with_relu, make_dropout(probability, scale, seed, layer, first_element, state), aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256, 1) sync_batch_norm_input_gradient_##SUFFIX( \
        int parts, int rows, int channels, const T *dy, const T *x, const float *gamma, const float *beta, const float *mean, const float *inverse, const float *gathered, \
        T *dx, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        input_gradient<T>( \
            parts, rows, channels, dy, x, gamma, beta, mean, inverse, gathered, dx, with_relu, make_dropout(probability, scale, seed, layer, first_element, state), aligned); \
    }

SYNC_BATCH_NORM(float, f32)
SYNC_BATCH_NORM(half, f16)
