// packed[k, tap, c] = weights[k, c, tap] for c < channels, else 0: filters as tensor-core convolutions read them (KRSC).
//
// Shapes  weights [k, c, 3, 3] float; packed [k, 3, 3, padded] float or half.
// Cost    each element read and written once, no FLOPs. Runs once for each layer when weights are loaded, so reads are simply strided by 9; writes are whole lines.
// Order   moves elements only.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void pack_filters(i64 count, int channels, int padded, const float *__restrict__ weights, T *__restrict__ packed)
{
    for (i64 index = first_item(); index < count; index += item_stride())
    {
        i64 place = quotient(index, padded);
        i64 filter = quotient(place, 9);
        int channel = (int)(index - place * padded), tap = (int)(place - filter * 9);
        packed[index] = from_float<T>(channel < channels ? weights[(filter * channels + channel) * 9 + tap] : 0.0f);
    }
}

#define PACK_FILTERS(T, SUFFIX) \
    extern "C" __global__ void __launch_bounds__(256) pack_filters_##SUFFIX(i64 count, int channels, int padded, const float *weights, T *packed) \
    { \
        pack_filters<T>(count, channels, padded, weights, packed); \
    }

PACK_FILTERS(float, f32)
PACK_FILTERS(half, f16)
