// The passes over rows that batch_norm.cu and sync_batch_norm.cu are made of; columns.cuh says which thread has which elements and in which order sums run.
#pragma once
#include "columns.cuh"

// γ/√(σ² + ε)·(x − μ) + β in one expression: backward sees the very number that forward clamped.
__device__ __forceinline__ float normalize(float x, float mean, float scale, float beta)
{
    return fmaf(x - mean, scale, beta);
}

// What one element adds to the sums that a visitor keeps; rows in the order of columns.cuh.
template <typename T, typename Visitor>
__device__ __forceinline__ void sum_rows(const ColumnBlock<T> &block, int rows, Visitor &visitor)
{
    if (block.available <= 0)
    {
        return;
    }

    for (i64 begin = block.row; begin < rows; begin += block.rows_together * block.rows_apart)
    {
        visitor.begin();
#pragma unroll 2
        for (int i = 0; i < block.rows_together; i++)
        {
            i64 row = begin + i * block.rows_apart;
            if (row < rows)
            {
                visitor.add(row * block.columns_total + block.column);
            }
        }

        visitor.end();
    }
}

// Σ (x − centre) or Σ (x − centre)².
template <typename T, bool SQUARED>
struct Moment
{
    enum
    {
        lanes = Group<T>::lanes,
    };

    const T *x;
    int available;
    bool aligned;
    float centre[lanes];
    float parts[lanes];
    float sums[lanes];

    __device__ __forceinline__ Moment(const T *from, int count, bool vectors) : x(from), available(count), aligned(vectors)
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            sums[lane] = 0.0f;
            centre[lane] = 0.0f;
        }
    }

    __device__ __forceinline__ void begin()
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            parts[lane] = 0.0f;
        }
    }

    __device__ __forceinline__ void add(i64 place)
    {
        float values[lanes];
        load_group(x + place, available, aligned, values);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            float value = values[lane] - centre[lane];
            parts[lane] += SQUARED ? value * value : value;
        }
    }

    __device__ __forceinline__ void end()
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            sums[lane] += parts[lane];
        }
    }
};

// Mean and Σ(x − mean)² of the lanes' columns. Every thread of the block calls.
template <typename T, int LANES>
__device__ __forceinline__ void batch_moments(const ColumnBlock<T> &block, int rows, const T *x, bool aligned, float (&mean)[LANES], float (&squares)[LANES])
{
    float per_row = 1.0f / (float)rows;
    Moment<T, false> first(x, block.available, aligned);
    sum_rows(block, rows, first);
    block.sum(first.sums);
    Moment<T, true> second(x, block.available, aligned);
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        mean[lane] = first.sums[lane] * per_row;
        second.centre[lane] = mean[lane];
    }

    sum_rows(block, rows, second);
    block.sum(second.sums);
#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        squares[lane] = second.sums[lane];
    }
}

// y = dropout(relu(normalize(x))) for the thread's columns in every gridDim.y-th of its rows; `scale` is γ/√(σ² + ε).
template <typename T, int LANES>
__device__ __forceinline__ void normalize_rows(
    const ColumnBlock<T> &block, int rows, const T *x, T *y, const float (&mean)[LANES], const float (&scale)[LANES], const float (&shift)[LANES], bool with_relu,
    const Dropout &dropout, bool aligned)
{
    for (i64 row = block.row + (i64)blockIdx.y * block.rows_apart; row < rows; row += (i64)gridDim.y * block.rows_apart)
    {
        i64 place = row * block.columns_total + block.column;
        float values[LANES];
        load_group(x + place, block.available, aligned, values);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
        {
            values[lane] = normalize(values[lane], mean[lane], scale[lane], shift[lane]);
            values[lane] = with_relu ? relu(values[lane]) : values[lane];
        }

        apply_dropout(dropout, place, values);
        store_group(y + place, block.available, aligned, values);
    }
}

// Σg and Σg·x̂.
template <typename T>
struct GradientSums
{
    enum
    {
        lanes = Group<T>::lanes,
    };

    const T *dy;
    const T *x;
    int available;
    bool aligned;
    bool with_relu;
    Dropout dropout;
    float mean[lanes];
    float inverse[lanes];
    float scale[lanes];
    float shift[lanes];
    float shift_parts[lanes];
    float scale_parts[lanes];
    float shift_sums[lanes];
    float scale_sums[lanes];

    __device__ __forceinline__ GradientSums(
        const ColumnBlock<T> &block, const T *gradient, const T *from, const float *gamma, const float *beta, const float *means, const float *inverses, bool relu_follows,
        const Dropout &dropout_follows, bool vectors)
        : dy(gradient), x(from), available(block.available), aligned(vectors), with_relu(relu_follows), dropout(dropout_follows)
    {
        load_floats(means + block.column, available, mean);
        load_floats(inverses + block.column, available, inverse);
        load_floats(gamma + block.column, available, scale);
        load_floats(beta + block.column, available, shift);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            scale[lane] *= inverse[lane];
            shift_sums[lane] = 0.0f;
            scale_sums[lane] = 0.0f;
        }
    }

    // g and x̂ of the group at `place`.
    __device__ __forceinline__ void load(i64 place, float (&gradient)[lanes], float (&normalized)[lanes]) const
    {
        load_group(dy + place, available, aligned, gradient);
        load_group(x + place, available, aligned, normalized);
        apply_dropout(dropout, place, gradient);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            bool passed = !with_relu || normalize(normalized[lane], mean[lane], scale[lane], shift[lane]) > 0.0f;
            gradient[lane] = passed ? gradient[lane] : 0.0f;
            normalized[lane] = (normalized[lane] - mean[lane]) * inverse[lane];
        }
    }

    __device__ __forceinline__ void begin()
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            shift_parts[lane] = 0.0f;
            scale_parts[lane] = 0.0f;
        }
    }

    __device__ __forceinline__ void add(i64 place)
    {
        float gradient[lanes], normalized[lanes];
        load(place, gradient, normalized);
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            shift_parts[lane] += gradient[lane];
            scale_parts[lane] = fmaf(gradient[lane], normalized[lane], scale_parts[lane]);
        }
    }

    __device__ __forceinline__ void end()
    {
#pragma unroll
        for (int lane = 0; lane < lanes; lane++)
        {
            shift_sums[lane] += shift_parts[lane];
            scale_sums[lane] += scale_parts[lane];
        }
    }
};

// dx for the thread's columns in every gridDim.y-th of its rows, given Σg and Σg·x̂ divided by how many rows they are of.
template <typename T, int LANES>
__device__ __forceinline__ void input_gradient_rows(
    const ColumnBlock<T> &block, int rows, const GradientSums<T> &pass, const float (&mean_gradient)[LANES], const float (&mean_product)[LANES], T *dx)
{
    for (i64 row = block.row + (i64)blockIdx.y * block.rows_apart; row < rows; row += (i64)gridDim.y * block.rows_apart)
    {
        i64 place = row * block.columns_total + block.column;
        float gradient[LANES], normalized[LANES];
        pass.load(place, gradient, normalized);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++)
        {
            gradient[lane] = pass.scale[lane] * (gradient[lane] - mean_gradient[lane] - normalized[lane] * mean_product[lane]);
        }

        store_group(dx + place, block.available, pass.aligned, gradient);
    }
}
