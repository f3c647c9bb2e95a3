// Forward   y = dropout(relu(x)), each part where asked; dropout multiplies element e by 0 or 1/(1−p).
// Backward  dx = dy·factor where x > 0 (or everywhere without a ReLU), else 0.
//
// Shapes  [count], float or half.
// Cost    forward reads and writes each element once, backward reads one array more; the mask is computed again instead of stored, about 25 integer
//         instructions an element. Bound by memory in float; in half the mask takes about as long as the memory.
// Access  16 bytes a thread where the arrays are aligned, else element by element; either way a thread has the neighbours that share Philox blocks.
// Order   every element is computed by one thread: no reduction. The mask depends on seed, step, layer and element alone.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void forward(
    i64 count, const T *x, T *y, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned)
{
    const int lanes = Group<T>::lanes;
    Dropout dropout = make_dropout(probability, scale, seed, layer, first_element, state);
    for (i64 first = first_item() * lanes; first < count; first += item_stride() * lanes)
    {
        float values[lanes];
        load_group(x + first, count - first, aligned, values);
        if (with_relu)
        {
#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                values[lane] = relu(values[lane]);
            }
        }

        apply_dropout(dropout, first, values);
        store_group(y + first, count - first, aligned, values);
    }
}

template <typename T>
__device__ __forceinline__ void backward(
    i64 count, const T *dy, const T *x, T *dx, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned)
{
    const int lanes = Group<T>::lanes;
    Dropout dropout = make_dropout(probability, scale, seed, layer, first_element, state);
    for (i64 first = first_item() * lanes; first < count; first += item_stride() * lanes)
    {
        float values[lanes];
        load_group(dy + first, count - first, aligned, values);
        apply_dropout(dropout, first, values);
        if (with_relu)
        {
            float inputs[lanes];
            load_group(x + first, count - first, aligned, inputs);
#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                values[lane] = inputs[lane] > 0.0f ? values[lane] : 0.0f;
            }
        }

        store_group(dx + first, count - first, aligned, values);
    }
}

#define ACTIVATION_DROPOUT(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) activation_dropout_forward_##SUFFIX( \
        i64 count, const T *x, T *y, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        forward<T>(count, x, y, with_relu, probability, scale, seed, layer, first_element, state, aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256) activation_dropout_backward_##SUFFIX( \
        i64 count, const T *dy, const T *x, T *dx, int with_relu, float probability, float scale, u64 seed, int layer, i64 first_element, const StepState *state, int aligned) \
    { \
        backward<T>(count, dy, x, dx, with_relu, probability, scale, seed, layer, first_element, state, aligned); \
    }

ACTIVATION_DROPOUT(float, f32)
ACTIVATION_DROPOUT(half, f16)
