// previous[b, t] = y[b, t − 1], or y[b, t + 1] when the layer runs in reverse, and 0 where there is no such step: what the gradient of W_hh multiplies.
//
// Shapes  y, previous [B, T, H] float or half.
// Cost    each element read and written once, no FLOPs: bound by memory; 64×20×128 halves are 0.3 MB an array.
// Access  16 bytes a thread where rows begin on 16 bytes, else element by element.
// Order   moves elements only.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void previous_states(i64 rows, int time, int hidden, const T *__restrict__ y, T *__restrict__ previous, int reverse, int aligned)
{
    const int lanes = Group<T>::lanes;
    int groups = (hidden + lanes - 1) / lanes;
    for (i64 index = first_item(); index < rows * groups; index += item_stride())
    {
        i64 row = quotient(index, groups);
        int unit = (int)(index - row * groups) * lanes, t = (int)(row - quotient(row, time) * time);
        float values[lanes] = {};
        if (t != (reverse ? time - 1 : 0))
        {
            load_group(y + (row + (reverse ? 1 : -1)) * hidden + unit, hidden - unit, aligned, values);
        }

        store_group(previous + row * hidden + unit, hidden - unit, aligned, values);
    }
}

#define PREVIOUS_STATES(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) previous_states_##SUFFIX(i64 rows, int time, int hidden, const T *y, T *previous, int reverse, int aligned) \
    { \
        previous_states<T>(rows, time, hidden, y, previous, reverse, aligned); \
    }

PREVIOUS_STATES(float, f32)
PREVIOUS_STATES(half, f16)
