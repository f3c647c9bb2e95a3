// sums[j] += Σ_i x[i, j]
//
// Shapes  x [rows, columns] float or half; sums [columns] float.
// Cost    x read once, 1 FLOP an element: bound by memory or, for the sizes of a classifier (1280×512 halves, 1.3 MB in the L2 cache), by latency: ten rows a thread.
// Access  columns.cuh.
// Order   columns.cuh: fixed by the shape; no atomics, every column belongs to one block.
#include "columns.cuh"

template <typename T>
__device__ __forceinline__ void column_sums(i64 rows, int columns, const T *__restrict__ x, float *__restrict__ sums, int aligned)
{
    const int lanes = Group<T>::lanes;
    ColumnBlock<T> block(columns);
    float totals[lanes] = {};
    if (block.available > 0)
    {
        const T *from = x + block.column;
        for (i64 begin = block.row; begin < rows; begin += block.rows_together * block.rows_apart)
        {
            float parts[lanes] = {};
#pragma unroll 4
            for (int i = 0; i < block.rows_together; i++)
            {
                i64 row = begin + i * block.rows_apart;
                if (row < rows)
                {
                    float values[lanes];
                    load_group(from + row * columns, block.available, aligned, values);
#pragma unroll
                    for (int lane = 0; lane < lanes; lane++)
                    {
                        parts[lane] += values[lane];
                    }
                }
            }

#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                totals[lane] += parts[lane];
            }
        }
    }

    block.sum(totals);
    if (block.row == 0)
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            if (lane < block.available)
            {
                sums[block.column + lane] += totals[lane];
            }
        }
    }
}

#define COLUMN_SUMS(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) column_sums_##SUFFIX(i64 rows, int columns, const T *x, float *sums, int aligned) \
    { \
        column_sums<T>(rows, columns, x, sums, aligned); \
    }

COLUMN_SUMS(float, f32)
COLUMN_SUMS(half, f16)
