// unscale_gradients      g ← g/loss_scale in place, and a sum of squares for each stretch of 2048 gradients, cut where a parameter ends
// finish_gradient_norms  the norm of each parameter's gradient, and of all; whether every gradient is finite
//
// Shapes  g [n] float; segments [P + 1] int64; norms [P] float; parts [⌈n/2048⌉ + P] double.
// Cost    g read and, unless the scale is 1, written once: 4 or 8 bytes and 3 FLOPs a gradient, bound by memory. 2.5 M parameters: 20 MB. Squares are summed in double, so that
//         no finite gradient overflows and no small one is lost: 1.25 double FLOPs a gradient stay behind the memory even at 1/64 of the float rate.
// Access  a block has 2048 gradients, a thread two 16-byte groups; where n is not aligned, element by element.
// Order   stretches are fixed by n and the segments; within one butterflies and warps in order, then stretches, then parameters in order. A sum of squares is finite
//         exactly if every gradient in it is.
#include "common.cuh"

static const int chunk_length = 2048;

extern "C" __global__ void __launch_bounds__(256) unscale_gradients(
    i64 count, int parameters, float *gradients, const i64 *__restrict__ segments, const StepState *__restrict__ state, double *__restrict__ parts, int aligned)
{
    __shared__ double warp_parts[8];
    i64 begin = (i64)blockIdx.x * chunk_length, end = begin + chunk_length < count ? begin + chunk_length : count;
    float scale = state->loss_scale, factor = 1.0f / scale;
    float values[2][4];
#pragma unroll
    for (int k = 0; k < 2; k++)
    {
        i64 first = begin + k * 1024 + threadIdx.x * 4;
        load_group(gradients + first, count - first, aligned, values[k]);
        if (scale != 1.0f)
        {
#pragma unroll
            for (int lane = 0; lane < 4; lane++)
            {
                values[k][lane] *= factor;
            }

            store_group(gradients + first, count - first, aligned, values[k]);
        }
    }

    // The last parameter that begins at or before the stretch; empty ones before it have nothing here.
    int low = 0, high = parameters;
    while (high - low > 1)
    {
        int middle = (low + high) / 2;
        if (segments[middle] <= begin)
        {
            low = middle;
        }
        else
        {
            high = middle;
        }
    }

    for (int parameter = low; parameter < parameters && segments[parameter] < end; parameter++)
    {
        i64 from = segments[parameter], to = segments[parameter + 1];
        if (to <= from || to <= begin)
        {
            continue;
        }

        double sum = 0.0;
#pragma unroll
        for (int k = 0; k < 2; k++)
        {
            i64 first = begin + k * 1024 + threadIdx.x * 4;
#pragma unroll
            for (int lane = 0; lane < 4; lane++)
            {
                double value = first + lane >= from && first + lane < to ? (double)values[k][lane] : 0.0;
                sum += value * value;
            }
        }

        sum = block_sum(sum, warp_parts);
        if (threadIdx.x == 0)
        {
            // Going on to the next stretch or the next parameter raises the sum of both numbers, so that no two parts share a place.
            parts[blockIdx.x + parameter] = sum;
        }

        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(512) finish_gradient_norms(
    int parameters, const i64 *__restrict__ segments, const double *__restrict__ parts, float *__restrict__ norms, StepState *state)
{
    __shared__ double totals[16];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    double total = 0.0;
    for (int parameter = warp; parameter < parameters; parameter += 16)
    {
        i64 begin = segments[parameter], end = segments[parameter + 1];
        double sum = 0.0;
        if (begin < end)
        {
            i64 last = (end - 1) / chunk_length;
#pragma unroll 8
            for (i64 chunk = begin / chunk_length + lane; chunk <= last; chunk += 32)
            {
                sum += parts[chunk + parameter];
            }
        }

        sum = warp_sum(sum);
        total += sum;
        if (lane == 0)
        {
            norms[parameter] = (float)sqrt(sum);
        }
    }

    if (lane == 0)
    {
        totals[warp] = total;
    }

    __syncthreads();
    if (threadIdx.x == 0)
    {
        for (int i = 1; i < 16; i++)
        {
            total += totals[i];
        }

        float norm = (float)sqrt(total);
        state->gradient_norm = norm;
        state->found_non_finite = isfinite(norm) ? 0 : 1;
    }
}
