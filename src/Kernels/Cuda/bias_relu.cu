// x[i, j] = x[i, j] + bias[j], then max(·, 0) where asked; in place.
//
// Shapes  x [rows, columns] float or half; bias [columns] float.
// Cost    x read and written once, 2 FLOPs an element: bound by memory (the bias stays in the cache).
// Access  16 bytes a thread where rows begin on 16 bytes, else element by element.
// Order   every element is computed by one thread from one element: no reduction.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void bias_relu(i64 rows, int columns, T *__restrict__ x, const float *__restrict__ bias, int with_relu, int aligned)
{
    const int lanes = Group<T>::lanes;
    int groups = (columns + lanes - 1) / lanes;
    for (i64 index = first_item(); index < rows * groups; index += item_stride())
    {
        i64 row = quotient(index, groups);
        int column = (int)(index - row * groups) * lanes;
        float values[lanes], offsets[lanes];
        load_group(x + row * columns + column, columns - column, aligned, values);
        load_floats(bias + column, columns - column, offsets);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            values[lane] += offsets[lane];
            values[lane] = with_relu ? relu(values[lane]) : values[lane];
        }

        store_group(x + row * columns + column, columns - column, aligned, values);
    }
}

#define BIAS_RELU(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) bias_relu_##SUFFIX(i64 rows, int columns, T *x, const float *bias, int with_relu, int aligned) \
    { \
        bias_relu<T>(rows, columns, x, bias, with_relu, aligned); \
    }

BIAS_RELU(float, f32)
BIAS_RELU(half, f16)
