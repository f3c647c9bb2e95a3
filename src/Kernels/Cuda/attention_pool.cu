// Forward   s_t = x_t·w, a = softmax_t(s), y = Σ_t a_t·x_t
// Backward  da_t = dy·x_t, ds_t = a_t·(da_t − Σ_u a_u·da_u), dx_t = a_t·dy + ds_t·w, dw += Σ_b Σ_t ds_t·x_t
//
// Shapes  x, dx [B, T, C] float or half; y, dy [B, C] float or half; w, dw [C], a [B, T], parts [B, C] float.
// Cost    forward reads x twice (the second time from the L1 cache) and does 4·B·T·C FLOPs; backward reads it twice, writes dx and does 8·B·T·C. From DRAM once each:
//         0.3 MB an array for 64×20×128 halves. Bound by memory for large batches, by latency for that one.
// Access  a block for each sequence, 8 warps. Scores: a warp has a step and its lanes 16-byte groups of channels. Sums over steps: a lane has a group, a warp every
//         eighth step, and the warps' sums meet in shared memory.
// Order   butterflies, warps in order, then sequences in order by a second kernel over their parts of dw: fixed; no atomics.
#include "common.cuh"

static const int warps = 8;

// Sums over the warps of what each lane has for its group of channels; thread i gets channel i of the tile.
template <int LANES>
__device__ __forceinline__ float sum_of_warps(const float (&values)[LANES])
{
    __shared__ float parts[warps][32 * LANES];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < LANES; i++)
    {
        parts[warp][lane * LANES + i] = values[i];
    }

    __syncthreads();
    float sum = 0.0f;
    if (threadIdx.x < 32 * LANES)
    {
        for (int i = 0; i < warps; i++)
        {
            sum += parts[i][threadIdx.x];
        }
    }

    return sum;
}

// The vector that steps are multiplied with: w, always float, or dy, of their own type.
template <int LANES>
__device__ __forceinline__ void load_vector(const float *from, int available, bool, float (&values)[LANES])
{
    load_floats(from, available, values);
}

__device__ __forceinline__ void load_vector(const half *from, int available, bool aligned, float (&values)[8])
{
    load_group(from, available, aligned, values);
}

// products[t] = x_t·v for one sequence, v float or T; every warp has its steps.
template <typename T, typename V>
__device__ __forceinline__ void dot_steps(int time, int channels, const T *__restrict__ x, const V *__restrict__ v, float *products, bool aligned)
{
    const int lanes = Group<T>::lanes;
    int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < time; t += warps)
    {
        float sum = 0.0f;
        for (int channel = lane * lanes; channel < channels; channel += 32 * lanes)
        {
            float values[lanes], factors[lanes];
            load_group(x + (i64)t * channels + channel, channels - channel, aligned, values);
            load_vector(v + channel, channels - channel, aligned, factors);
#pragma unroll
            for (int i = 0; i < lanes; i++)
            {
                sum = fmaf(values[i], factors[i], sum);
            }
        }

        sum = warp_sum(sum);
        if (lane == 0)
        {
            products[t] = sum;
        }
    }
}

template <typename T>
__device__ __forceinline__ void forward(int time, int channels, const T *__restrict__ x, const float *__restrict__ w, T *__restrict__ y, float *attention, bool aligned)
{
    const int lanes = Group<T>::lanes;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    x += (i64)blockIdx.x * time * channels;
    y += (i64)blockIdx.x * channels;
    attention += (i64)blockIdx.x * time;
    dot_steps(time, channels, x, w, attention, aligned);
    __syncthreads();
    if (warp == 0 && time > 0)
    {
        // The scores' largest is subtracted, so that nothing overflows.
        float largest = attention[0], sum = 0.0f;
        for (int t = lane; t < time; t += 32)
        {
            largest = fmaxf(largest, attention[t]);
        }

        largest = warp_max(largest);
        for (int t = lane; t < time; t += 32)
        {
            float power = expf(attention[t] - largest);
            attention[t] = power;
            sum += power;
        }

        sum = warp_sum(sum);
        for (int t = lane; t < time; t += 32)
        {
            attention[t] /= sum;
        }
    }

    __syncthreads();
    for (int tile = 0; tile < channels; tile += 32 * lanes)
    {
        int channel = tile + lane * lanes;
        float sums[lanes] = {};
        for (int t = warp; t < time && channel < channels; t += warps)
        {
            float values[lanes];
            load_group(x + (i64)t * channels + channel, channels - channel, aligned, values);
            float weight = attention[t];
#pragma unroll
            for (int i = 0; i < lanes; i++)
            {
                sums[i] = fmaf(weight, values[i], sums[i]);
            }
        }

        float sum = sum_of_warps(sums);
        if (threadIdx.x < 32 * lanes && tile + (int)threadIdx.x < channels)
        {
            y[tile + threadIdx.x] = from_float<T>(sum);
        }
    }
}

template <typename T>
__device__ __forceinline__ void backward(
    int time, int channels, const T *__restrict__ dy, const T *__restrict__ x, const float *__restrict__ w, const float *__restrict__ attention, T *__restrict__ dx,
    float *__restrict__ parts, float *score_gradients, bool aligned)
{
    const int lanes = Group<T>::lanes;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    x += (i64)blockIdx.x * time * channels;
    dx += (i64)blockIdx.x * time * channels;
    dy += (i64)blockIdx.x * channels;
    parts += (i64)blockIdx.x * channels;
    attention += (i64)blockIdx.x * time;
    score_gradients += (i64)blockIdx.x * time;
    dot_steps(time, channels, x, dy, score_gradients, aligned);
    __syncthreads();
    if (warp == 0)
    {
        float mean = 0.0f;
        for (int t = lane; t < time; t += 32)
        {
            mean = fmaf(attention[t], score_gradients[t], mean);
        }

        mean = warp_sum(mean);
        for (int t = lane; t < time; t += 32)
        {
            score_gradients[t] = attention[t] * (score_gradients[t] - mean);
        }
    }

    __syncthreads();
    for (int tile = 0; tile < channels; tile += 32 * lanes)
    {
        int channel = tile + lane * lanes;
        float sums[lanes] = {};
        if (channel < channels)
        {
            float upstream[lanes], weight[lanes];
            load_group(dy + channel, channels - channel, aligned, upstream);
            load_floats(w + channel, channels - channel, weight);
            for (int t = warp; t < time; t += warps)
            {
                i64 place = (i64)t * channels + channel;
                float values[lanes], gradient[lanes];
                load_group(x + place, channels - channel, aligned, values);
                float a = attention[t], ds = score_gradients[t];
#pragma unroll
                for (int i = 0; i < lanes; i++)
                {
                    sums[i] = fmaf(ds, values[i], sums[i]);
                    gradient[i] = fmaf(ds, weight[i], a * upstream[i]);
                }

                store_group(dx + place, channels - channel, aligned, gradient);
            }
        }

        float sum = sum_of_warps(sums);
        if (threadIdx.x < 32 * lanes && tile + (int)threadIdx.x < channels)
        {
            parts[tile + threadIdx.x] = sum;
        }
    }
}

// dw[c] += Σ_b parts[b, c]; blocks of 32 channels × 8.
extern "C" __global__ void __launch_bounds__(256) attention_pool_weight_gradient(int batch, int channels, const float *__restrict__ parts, float *__restrict__ d_weight)
{
    __shared__ float sums[8][32];
    int channel = blockIdx.x * 32 + threadIdx.x;
    float sum = 0.0f;
    if (channel < channels)
    {
        for (int b = threadIdx.y; b < batch; b += 8)
        {
            sum += parts[(i64)b * channels + channel];
        }
    }

    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && channel < channels)
    {
        for (int i = 1; i < 8; i++)
        {
            sum += sums[i][threadIdx.x];
        }

        d_weight[channel] += sum;
    }
}

#define ATTENTION_POOL(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) attention_pool_forward_##SUFFIX( \
        int time, int channels, const T *x, const float *w, T *y, float *attention, int aligned) \
    { \
        forward<T>(time, channels, x, w, y, attention, aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256) attention_pool_backward_##SUFFIX( \
        int time, int channels, const T *dy, const T *x, const float *w, const float *attention, T *dx, float *parts, float *score_gradients, int aligned) \
    { \
        backward<T>(time, channels, dy, x, w, attention, dx, parts, score_gradients, aligned); \
    }

ATTENTION_POOL(float, f32)
ATTENTION_POOL(half, f16)
