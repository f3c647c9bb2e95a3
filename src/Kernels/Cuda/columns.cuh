// How batch_norm.cuh and column_sums.cu divide a matrix whose columns are reduced over the rows: a block of 256 threads owns 16 columns for good, a thread a
// 16-byte group of them in every rows_apart-th row. Hence full 32-byte sectors in half precision too, and sums whose order depends on the shape alone.
#pragma once
#include "common.cuh"

template <typename T>
struct ColumnBlock
{
    enum
    {
        lanes = Group<T>::lanes,
        columns = 16,
        threads = 256,
        groups = columns / lanes,
        rows_apart = threads / groups,

        // Rows that are summed on their own before they join the total; bounds the rounding error of tall matrices.
        rows_together = 16,
    };

    int columns_total;
    int group;
    int row;
    int column;
    int available;

    __device__ __forceinline__ explicit ColumnBlock(int total)
    {
        columns_total = total;
        group = threadIdx.x % groups;
        row = threadIdx.x / groups;
        column = blockIdx.x * columns + group * lanes;
        available = total - column;
    }

    // Adds up what every thread has for its lanes over all threads of the same columns; each thread gets the totals of its own lanes. Every thread of the block calls.
    __device__ __forceinline__ void sum(float (&values)[lanes]) const
    {
        __shared__ float parts[threads / 32][columns];
        __shared__ float totals[columns];
#pragma unroll
        for (int mask = 16; mask >= groups; mask >>= 1)
        {
#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                values[lane] += shuffle_xor(values[lane], mask);
            }
        }

        if (threadIdx.x % 32 < groups)
        {
#pragma unroll
            for (int lane = 0; lane < lanes; lane++)
            {
                parts[threadIdx.x / 32][group * lanes + lane] = values[lane];
            }
        }

        __syncthreads();
        if (threadIdx.x < columns)
        {
            float total = 0.0f;
            for (int warp = 0; warp < threads / 32; warp++)
            {
                total += parts[warp][threadIdx.x];
            }

            totals[threadIdx.x] = total;
        }

        __syncthreads();
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            values[lane] = totals[group * lanes + lane];
        }
    }
};
