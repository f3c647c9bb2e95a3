// accumulate  y += x                      cast  y = x in the other precision                copy_rows  y[i, j] = (or +=) x[i, j], rows strides apart
//
// Shapes  [count] or [rows, columns] with row strides in elements; float or half.
// Cost    accumulate reads two arrays and writes one; cast and copy_rows read one and write one. At most 1 FLOP an element: bound by memory.
// Access  16 bytes a thread (cast: 16 on the half side, 32 on the float side) where everything is aligned, else element by element.
// Order   every element is computed by one thread: no reduction.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void accumulate(i64 count, const T *__restrict__ x, T *__restrict__ y, int aligned)
{
    const int lanes = Group<T>::lanes;
    for (i64 first = first_item() * lanes; first < count; first += item_stride() * lanes)
    {
        float terms[lanes], sums[lanes];
        load_group(x + first, count - first, aligned, terms);
        load_group(y + first, count - first, aligned, sums);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            sums[lane] += terms[lane];
        }

        store_group(y + first, count - first, aligned, sums);
    }
}

template <typename T>
__device__ __forceinline__ void copy_rows(
    i64 rows, int columns, const T *__restrict__ source, i64 source_stride, T *__restrict__ destination, i64 destination_stride, int accumulates, int aligned)
{
    const int lanes = Group<T>::lanes;
    int groups = (columns + lanes - 1) / lanes;
    for (i64 index = first_item(); index < rows * groups; index += item_stride())
    {
        i64 row = quotient(index, groups);
        int column = (int)(index - row * groups) * lanes;
        T *to = destination + row * destination_stride + column;
        float values[lanes];
        load_group(source + row * source_stride + column, columns - column, aligned, values);
        if (accumulates)
        {
            float before[lanes];
            load_group((const T *)to, columns - column, aligned, before);
#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                values[lane] += before[lane];
            }
        }

        store_group(to, columns - column, aligned, values);
    }
}

#define ELEMENTWISE(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) accumulate_##SUFFIX(i64 count, const T *x, T *y, int aligned) \
    { \
        accumulate<T>(count, x, y, aligned); \
    } \
    extern "C" __global__ void __launch_bounds__(256) copy_rows_##SUFFIX( \
        i64 rows, int columns, const T *source, i64 source_stride, T *destination, i64 destination_stride, int accumulates, int aligned) \
    { \
        copy_rows<T>(rows, columns, source, source_stride, destination, destination_stride, accumulates, aligned); \
    }

ELEMENTWISE(float, f32)
ELEMENTWISE(half, f16)

// A group of eight: two accesses on the float side, one on the half side.
extern "C" __global__ void __launch_bounds__(256) cast_f32_f16(i64 count, const float *__restrict__ x, half *__restrict__ y, int aligned)
{
    for (i64 first = first_item() * 8; first < count; first += item_stride() * 8)
    {
        float low[4], high[4];
        load_group(x + first, count - first, aligned, low);
        load_group(x + first + 4, count - first - 4, aligned, high);
        float values[8] = {low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
        store_group(y + first, count - first, aligned, values);
    }
}

extern "C" __global__ void __launch_bounds__(256) cast_f16_f32(i64 count, const half *__restrict__ x, float *__restrict__ y, int aligned)
{
    for (i64 first = first_item() * 8; first < count; first += item_stride() * 8)
    {
        float values[8];
        load_group(x + first, count - first, aligned, values);
        float low[4] = {values[0], values[1], values[2], values[3]}, high[4] = {values[4], values[5], values[6], values[7]};
        store_group(y + first, count - first, aligned, low);
        store_group(y + first + 4, count - first - 4, aligned, high);
    }
}
