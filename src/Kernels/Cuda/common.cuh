// What all kernels share: half precision, 16-byte accesses with tails, reductions in a fixed order, the dropout mask, the step state.
// Compiled by NVRTC (11.2 or newer) without any header of CUDA's, and by the simulator with the system's compiler.
#pragma once

typedef unsigned long long u64;
typedef long long i64;

// ---- Half precision ------------------------------------------------------------------------------------------------------------

// A half as it lies in memory. All arithmetic is float: load, convert, compute, round once.
struct half
{
    unsigned short bits;
};

__device__ __forceinline__ float to_float(float value)
{
    return value;
}

__device__ __forceinline__ float to_float(half value)
{
#ifdef __CUDASIM__
    return cudasim_half_to_float(value.bits);
#else
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
    return result;
#endif
}

template <typename T>
__device__ __forceinline__ T from_float(float value);

template <>
__device__ __forceinline__ float from_float<float>(float value)
{
    return value;
}

// Rounds to nearest even; what is too large becomes infinite.
template <>
__device__ __forceinline__ half from_float<half>(float value)
{
    half result;
#ifdef __CUDASIM__
    result.bits = cudasim_float_to_half(value);
#else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#endif
    return result;
}

// The lower and the upper half of a 32-bit word.
__device__ __forceinline__ float low_half(unsigned word)
{
    half value;
    value.bits = (unsigned short)(word & 0xffff);
    return to_float(value);
}

__device__ __forceinline__ float high_half(unsigned word)
{
    half value;
    value.bits = (unsigned short)(word >> 16);
    return to_float(value);
}

__device__ __forceinline__ unsigned pack_halves(float low, float high)
{
#if !defined(__CUDASIM__) && __CUDA_ARCH__ >= 800
    unsigned word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
#else
    return from_float<half>(low).bits | ((unsigned)from_float<half>(high).bits << 16);
#endif
}

// ---- Groups of elements --------------------------------------------------------------------------------------------------------

// Elements of a 16-byte access: 4 floats or 8 halves.
template <typename T>
struct Group
{
    enum
    {
        lanes = 16 / sizeof(T),
    };
};

__device__ __forceinline__ void unpack(const uint4 &words, const float *, float (&values)[4])
{
    values[0] = __uint_as_float(words.x);
    values[1] = __uint_as_float(words.y);
    values[2] = __uint_as_float(words.z);
    values[3] = __uint_as_float(words.w);
}

__device__ __forceinline__ void unpack(const uint4 &words, const half *, float (&values)[8])
{
    values[0] = low_half(words.x);
    values[1] = high_half(words.x);
    values[2] = low_half(words.y);
    values[3] = high_half(words.y);
    values[4] = low_half(words.z);
    values[5] = high_half(words.z);
    values[6] = low_half(words.w);
    values[7] = high_half(words.w);
}

__device__ __forceinline__ uint4 pack(const float *, const float (&values)[4])
{
    return make_uint4(__float_as_uint(values[0]), __float_as_uint(values[1]), __float_as_uint(values[2]), __float_as_uint(values[3]));
}

__device__ __forceinline__ uint4 pack(const half *, const float (&values)[8])
{
    return make_uint4(pack_halves(values[0], values[1]), pack_halves(values[2], values[3]), pack_halves(values[4], values[5]), pack_halves(values[6], values[7]));
}

// Reads the group that begins at `from`: in one access if it is whole and aligned, else element by element, with 0 for those at `available` and behind.
template <typename T, int LANES>
__device__ __forceinline__ void load_group(const T *from, i64 available, bool aligned, float (&values)[LANES])
{
    if (aligned && available >= LANES)
    {
        unpack(*(const uint4 *)from, from, values);
        return;
    }

#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        values[lane] = lane < available ? to_float(from[lane]) : 0.0f;
    }
}

template <typename T, int LANES>
__device__ __forceinline__ void store_group(T *to, i64 available, bool aligned, const float (&values)[LANES])
{
    if (aligned && available >= LANES)
    {
        *(uint4 *)to = pack(to, values);
        return;
    }

#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        if (lane < available)
        {
            to[lane] = from_float<T>(values[lane]);
        }
    }
}

// Floats that belong to the lanes of a group whatever its type is, for example a bias; in 16-byte accesses where they can be.
template <int LANES>
__device__ __forceinline__ void load_floats(const float *from, i64 available, float (&values)[LANES])
{
    if (available >= LANES && ((u64)from & 15) == 0)
    {
#pragma unroll
        for (int lane = 0; lane < LANES; lane += 4)
        {
            float4 four = *(const float4 *)(from + lane);
            values[lane] = four.x;
            values[lane + 1] = four.y;
            values[lane + 2] = four.z;
            values[lane + 3] = four.w;
        }

        return;
    }

#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        values[lane] = lane < available ? from[lane] : 0.0f;
    }
}

// Where the thread begins in a loop over items, and how far apart its items are.
__device__ __forceinline__ i64 first_item()
{
    return (i64)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ i64 item_stride()
{
    return (i64)gridDim.x * blockDim.x;
}

// index / divisor; 64-bit division takes several times as long and is rarely needed.
__device__ __forceinline__ i64 quotient(i64 index, int divisor)
{
    return (index >> 32) == 0 ? (i64)((unsigned)index / (unsigned)divisor) : index / divisor;
}

// max(x, 0); NaN stays NaN.
__device__ __forceinline__ float relu(float x)
{
    return x <= 0.0f ? 0.0f : x;
}

__device__ __forceinline__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

// ---- Reductions: butterflies, so that every lane has the same bits and the order never changes ---------------------------------------

#define FULL_WARP 0xffffffffu

__device__ __forceinline__ float shuffle_xor(float value, int mask)
{
    return __shfl_xor_sync(FULL_WARP, value, mask);
}

__device__ __forceinline__ int shuffle_xor(int value, int mask)
{
    return __shfl_xor_sync(FULL_WARP, value, mask);
}

__device__ __forceinline__ double shuffle_xor(double value, int mask)
{
    union
    {
        double number;
        i64 bits;
    } word;
    word.number = value;
    word.bits = __shfl_xor_sync(FULL_WARP, word.bits, mask);
    return word.number;
}

template <typename T>
__device__ __forceinline__ T warp_sum(T value)
{
#pragma unroll
    for (int mask = 16; mask > 0; mask >>= 1)
    {
        value += shuffle_xor(value, mask);
    }

    return value;
}

__device__ __forceinline__ float warp_max(float value)
{
#pragma unroll
    for (int mask = 16; mask > 0; mask >>= 1)
    {
        value = fmaxf(value, shuffle_xor(value, mask));
    }

    return value;
}

// The sum over a one-dimensional block of whole warps, for every thread. `parts` has a place for each warp; a barrier must stand between two uses.
template <typename T>
__device__ __forceinline__ T block_sum(T value, T *parts)
{
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0)
    {
        parts[threadIdx.x / 32] = value;
    }

    __syncthreads();
    T sum = parts[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; warp++)
    {
        sum += parts[warp];
    }

    return sum;
}

// ---- The scalars of a step; src/Kernels/StepState.cs -----------------------------------------------------------------------------

struct StepState
{
    float learning_rate;
    float loss_scale;
    float loss;
    float gradient_norm;
    int found_non_finite;
    int adam_steps;
    int good_steps;
    int skipped_steps;
    int consecutive_skips;
    int correct;
    float step_loss_scale;
    float stop_requests;
};

// ---- Dropout; src/Kernels/Philox.cs and Dropout.cs -------------------------------------------------------------------------------

// The block of four random words of Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).
__device__ __forceinline__ uint4 philox(u64 counter_low, u64 counter_high, u64 key)
{
    unsigned x0 = (unsigned)counter_low, x1 = (unsigned)(counter_low >> 32);
    unsigned x2 = (unsigned)counter_high, x3 = (unsigned)(counter_high >> 32);
    unsigned key0 = (unsigned)key, key1 = (unsigned)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++)
    {
        u64 product0 = (u64)0xD2511F53u * x0;
        u64 product1 = (u64)0xCD9E8D57u * x2;
        x0 = (unsigned)(product1 >> 32) ^ x1 ^ key0;
        x1 = (unsigned)product1;
        x2 = (unsigned)(product0 >> 32) ^ x3 ^ key1;
        x3 = (unsigned)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }

    return make_uint4(x0, x1, x2, x3);
}

// A layer's dropout in the current step.
struct Dropout
{
    float scale;
    unsigned threshold;
    u64 seed;
    u64 stream;
    i64 first;
    bool active;
};

// `first` is the number of the tensor's first element in the mask; `state` may be null: step 0.
__device__ __forceinline__ Dropout make_dropout(float probability, float scale, u64 seed, int layer, i64 first, const StepState *state)
{
    Dropout dropout;
    dropout.active = probability > 0.0f;
    dropout.scale = scale;
    // An element is kept when (x >> 8)·2⁻²⁴ ≥ p. p·2²⁴ is exact, so that is x ≥ ⌈p·2²⁴⌉·2⁸ in integers.
    dropout.threshold = (unsigned)ceilf(probability * 16777216.0f) << 8;
    dropout.seed = seed;
    unsigned step = state == nullptr ? 0u : (unsigned)(state->adam_steps + state->skipped_steps);
    dropout.stream = ((u64)step << 8) | (unsigned)layer;
    dropout.first = first;
    return dropout;
}

__device__ __forceinline__ unsigned kept_bits(const Dropout &dropout, u64 block)
{
    uint4 words = philox(block, dropout.stream, dropout.seed);
    return (words.x >= dropout.threshold ? 1u : 0u) | (words.y >= dropout.threshold ? 2u : 0u) | (words.z >= dropout.threshold ? 4u : 0u) |
           (words.w >= dropout.threshold ? 8u : 0u);
}

// Multiplies the LANES elements of the tensor from number `first` on by 0 or 1/(1−p).
template <int LANES>
__device__ __forceinline__ void apply_dropout(const Dropout &dropout, i64 first, float (&values)[LANES])
{
    if (!dropout.active)
    {
        return;
    }

    first += dropout.first;

    // A Philox block has the words of four neighbours; a group that begins between two blocks needs one block more.
    unsigned kept = 0;
    u64 block = (u64)first / 4;
    int skip = (int)(first & 3);
    if (skip == 0)
    {
#pragma unroll
        for (int i = 0; i < LANES / 4; i++)
        {
            kept |= kept_bits(dropout, block + i) << (4 * i);
        }
    }
    else
    {
#pragma unroll 1
        for (int i = 0; i <= LANES / 4; i++)
        {
            kept |= kept_bits(dropout, block + i) << (4 * i);
        }

        kept >>= skip;
    }

#pragma unroll
    for (int lane = 0; lane < LANES; lane++)
    {
        values[lane] *= (kept >> lane) & 1u ? dropout.scale : 0.0f;
    }
}
