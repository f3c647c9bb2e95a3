// The recurrent products of lstm.cu and gru.cu. A block runs one sequence from its first step to its last, so steps need nothing but __syncthreads().
//
// Forward  sums[r] = Σ_k W[r, k]·h[k], backward sums[k] = Σ_r W[r, k]·d[r], W [GATES·H, H].
//
// In registers (halves, H ≤ 128): GATES·128 threads, thread (gate, unit) = (i / 128, i % 128). Forward it keeps row `unit` of the gate, backward column `unit` of the gate's
// rows: 128 halves in 64 registers, read once. A step then reads only h or d, floats in shared memory, by broadcasts: 128 conversions and 128 FMAs a thread, with 16 warps
// about 1000 cycles, where the L2 cache would need 2000 to deliver 128 KiB to one multiprocessor.
//
// In general: 512 threads, W comes from the L2 cache at every step in accesses of whole lines. Forward a warp has a row and its lanes stretches of it; backward a lane has
// four columns and a warp every 16th row.
#pragma once
#include "common.cuh"

static const int register_hidden = 128;
static const int general_threads = 512;
static const int general_warps = general_threads / 32;

// Hidden units that the general forward kernel finishes at a time.
static const int forward_tile = 128;

// Time of a step counted in the direction of the layer.
__device__ __forceinline__ int time_of(int step, int time, int reverse)
{
    return reverse ? time - 1 - step : step;
}

// ---- Weights in registers --------------------------------------------------------------------------------------------------------

// A row of W, two halves a register, with zeros behind its end.
__device__ __forceinline__ void load_row(const half *__restrict__ row, int hidden, unsigned (&weights)[register_hidden / 2])
{
    bool aligned = hidden % 8 == 0 && ((u64)row & 15) == 0;
#pragma unroll
    for (int i = 0; i < register_hidden / 8; i++)
    {
        uint4 words = make_uint4(0u, 0u, 0u, 0u);
        if (aligned)
        {
            if (8 * i < hidden)
            {
                words = ((const uint4 *)row)[i];
            }
        }
        else
        {
            unsigned bits[8];
#pragma unroll
            for (int k = 0; k < 8; k++)
            {
                bits[k] = 8 * i + k < hidden ? row[8 * i + k].bits : 0u;
            }

            words = make_uint4(bits[0] | bits[1] << 16, bits[2] | bits[3] << 16, bits[4] | bits[5] << 16, bits[6] | bits[7] << 16);
        }

        weights[4 * i] = words.x;
        weights[4 * i + 1] = words.y;
        weights[4 * i + 2] = words.z;
        weights[4 * i + 3] = words.w;
    }
}

// A column of H rows, two halves a register, with zeros behind its end.
__device__ __forceinline__ void load_column(const half *__restrict__ column, int hidden, unsigned (&weights)[register_hidden / 2])
{
#pragma unroll
    for (int i = 0; i < register_hidden / 2; i++)
    {
        unsigned low = 2 * i < hidden ? column[(i64)(2 * i) * hidden].bits : 0u;
        unsigned high = 2 * i + 1 < hidden ? column[(i64)(2 * i + 1) * hidden].bits : 0u;
        weights[i] = low | high << 16;
    }
}

__device__ __forceinline__ void clear(unsigned (&weights)[register_hidden / 2])
{
#pragma unroll
    for (int i = 0; i < register_hidden / 2; i++)
    {
        weights[i] = 0u;
    }
}

// Keeps the compiler from converting the weights once and for all in front of the loop over the steps: as floats they would not fit the registers.
__device__ __forceinline__ void keep_packed(unsigned (&weights)[register_hidden / 2])
{
#ifndef __CUDASIM__
#pragma unroll
    for (int i = 0; i < register_hidden / 2; i++)
    {
        asm volatile("" : "+r"(weights[i]));
    }
#endif
}

// Σ weights·vector over 128 places; `vector` in shared memory, aligned to 16 bytes, finite behind `hidden` too. Skips what is zero anyway in steps of 32.
__device__ __forceinline__ float dot(unsigned (&weights)[register_hidden / 2], const float *vector, int hidden)
{
    keep_packed(weights);
    float sum0 = 0.0f, sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
#pragma unroll
    for (int part = 0; part < register_hidden; part += 32)
    {
        if (part < hidden)
        {
#pragma unroll
            for (int k = part; k < part + 32; k += 4)
            {
                float4 values = *(const float4 *)(vector + k);
                sum0 = fmaf(low_half(weights[k / 2]), values.x, sum0);
                sum1 = fmaf(high_half(weights[k / 2]), values.y, sum1);
                sum2 = fmaf(low_half(weights[k / 2 + 1]), values.z, sum2);
                sum3 = fmaf(high_half(weights[k / 2 + 1]), values.w, sum3);
            }
        }
    }

    return (sum0 + sum1) + (sum2 + sum3);
}

// ---- Weights in memory -----------------------------------------------------------------------------------------------------------

// sums[gate·forward_tile + i] = Σ_k W[gate·H + tile + i, k]·state[k] for the units of a tile.
template <typename T, int GATES>
__device__ __forceinline__ void multiply_rows(const T *__restrict__ weights, int hidden, const float *state, int tile, int units, float *sums, bool aligned)
{
    const int lanes = Group<T>::lanes;
    int lane = threadIdx.x % 32;
#pragma unroll 2
    for (int i = threadIdx.x / 32; i < units; i += general_warps)
    {
        // The gates of a unit together: independent loads, and their butterflies overlap.
        float products[GATES] = {};
        for (int k = lane * lanes; k < hidden; k += 32 * lanes)
        {
            float before[lanes];
            load_floats(state + k, hidden - k, before);
#pragma unroll
            for (int gate = 0; gate < GATES; gate++)
            {
                float values[lanes];
                load_group(weights + ((i64)gate * hidden + tile + i) * hidden + k, hidden - k, aligned, values);
#pragma unroll
                for (int j = 0; j < lanes; j++)
                {
                    products[gate] = fmaf(values[j], before[j], products[gate]);
                }
            }
        }

#pragma unroll
        for (int gate = 0; gate < GATES; gate++)
        {
            products[gate] = warp_sum(products[gate]);
            if (lane == 0)
            {
                sums[gate * forward_tile + i] = products[gate];
            }
        }
    }
}

// Four neighbours of a row: one access of 16 or 8 bytes where rows begin on it.
__device__ __forceinline__ void load_four(const float *from, int available, bool aligned, float (&values)[4])
{
    load_group(from, available, aligned, values);
}

__device__ __forceinline__ void load_four(const half *from, int available, bool aligned, float (&values)[4])
{
    if (aligned && available >= 4)
    {
        uint2 words = *(const uint2 *)from;
        values[0] = low_half(words.x);
        values[1] = high_half(words.x);
        values[2] = low_half(words.y);
        values[3] = high_half(words.y);
        return;
    }

#pragma unroll
    for (int lane = 0; lane < 4; lane++)
    {
        values[lane] = lane < available ? to_float(from[lane]) : 0.0f;
    }
}

// sums[k] = Σ_r W[r, k]·gradients[r] for all k; `parts` has general_warps·128 floats. Every thread of the block calls; sums are there after the next barrier.
template <typename T, int GATES>
__device__ __forceinline__ void multiply_columns(const T *__restrict__ weights, int hidden, const float *gradients, float *sums, float *parts, bool aligned)
{
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int tile = 0; tile < hidden; tile += 128)
    {
        int column = tile + 4 * lane;
        float totals[4] = {};
        if (column < hidden)
        {
#pragma unroll 8
            for (int row = warp; row < GATES * hidden; row += general_warps)
            {
                float values[4];
                load_four(weights + (i64)row * hidden + column, hidden - column, aligned, values);
                float gradient = gradients[row];
#pragma unroll
                for (int i = 0; i < 4; i++)
                {
                    totals[i] = fmaf(values[i], gradient, totals[i]);
                }
            }
        }

#pragma unroll
        for (int i = 0; i < 4; i++)
        {
            parts[warp * 128 + 4 * lane + i] = totals[i];
        }

        __syncthreads();
        if (threadIdx.x < 128 && tile + (int)threadIdx.x < hidden)
        {
            float sum = 0.0f;
            for (int i = 0; i < general_warps; i++)
            {
                sum += parts[i * 128 + threadIdx.x];
            }

            sums[tile + threadIdx.x] = sum;
        }

        __syncthreads();
    }
}
