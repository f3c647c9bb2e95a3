// One hop of a ring all-reduce between GPUs; the protocol is in src/Engine/Parallel/CudaRing.cs.
//
// ring_add_f32   values ← values + arriving
// ring_add_f16   values ← values + arriving, departing ← half(values); at the last hop also values ← departing, so that everybody ends with the same rounded sum
// ring_take_f16  values ← arriving, departing ← arriving
//
// Shapes  values [count] float; arriving, departing [count] half (ring_add_f32: arriving float). arriving may be another GPU's memory.
// Cost    ring_add_f32: 4 bytes read from the neighbour, 8 of own memory; ring_add_f16: 2 from the neighbour, 10 of own. Bound by the link: PCIe 4 x16 moves about 25 GB/s
//         each way, NVLink 4 to 450, the memory 1,000 to 3,000.
// Access  16 bytes a thread where the arrays are aligned, else element by element. Every element of `arriving` crosses the link once.
// Order   every element is computed by one thread from two numbers: no reduction, no atomics.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) ring_add_f32(i64 count, const float *__restrict__ arriving, float *__restrict__ values, int aligned)
{
    for (i64 first = first_item() * 4; first < count; first += item_stride() * 4)
    {
        float sums[4], addends[4];
        load_group(arriving + first, count - first, aligned, addends);
        load_group(values + first, count - first, aligned, sums);
#pragma unroll
        for (int lane = 0; lane < 4; lane++)
        {
            sums[lane] += addends[lane];
        }

        store_group(values + first, count - first, aligned, sums);
    }
}

// Eight floats behind eight halves.
__device__ __forceinline__ void load_eight(const float *from, i64 available, bool aligned, float (&values)[8])
{
    float low[4], high[4];
    load_group(from, available, aligned, low);
    load_group(from + 4, available - 4, aligned, high);
#pragma unroll
    for (int lane = 0; lane < 4; lane++)
    {
        values[lane] = low[lane];
        values[lane + 4] = high[lane];
    }
}

__device__ __forceinline__ void store_eight(float *to, i64 available, bool aligned, const float (&values)[8])
{
    float low[4], high[4];
#pragma unroll
    for (int lane = 0; lane < 4; lane++)
    {
        low[lane] = values[lane];
        high[lane] = values[lane + 4];
    }

    store_group(to, available, aligned, low);
    store_group(to + 4, available - 4, aligned, high);
}

extern "C" __global__ void __launch_bounds__(256) ring_add_f16(
    i64 count, const half *__restrict__ arriving, float *__restrict__ values, half *__restrict__ departing, int is_last, int aligned)
{
    for (i64 first = first_item() * 8; first < count; first += item_stride() * 8)
    {
        i64 available = count - first;
        float sums[8], addends[8];
        load_group(arriving + first, available, aligned, addends);
        load_eight(values + first, available, aligned, sums);
#pragma unroll
        for (int lane = 0; lane < 8; lane++)
        {
            sums[lane] += addends[lane];
            sums[lane] = is_last ? to_float(from_float<half>(sums[lane])) : sums[lane];
        }

        store_group(departing + first, available, aligned, sums);
        store_eight(values + first, available, aligned, sums);
    }
}

extern "C" __global__ void __launch_bounds__(256) ring_take_f16(
    i64 count, const half *__restrict__ arriving, float *__restrict__ values, half *__restrict__ departing, int aligned)
{
    for (i64 first = first_item() * 8; first < count; first += item_stride() * 8)
    {
        i64 available = count - first;
        float taken[8];
        load_group(arriving + first, available, aligned, taken);
        store_group(departing + first, available, aligned, taken);
        store_eight(values + first, available, aligned, taken);
    }
}
