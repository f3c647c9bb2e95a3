// Matrix products of bfloat16 with float32 sums: the register tile of 12 rows by two vectors, as src/Kernels/Gemm/CpuMicroKernel.cs has
// it in single precision. Per pair of k it loads two vectors of B and broadcasts one pair of A per row.
#include "cudatrainer_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum
{
    block = 16, // pairs that lie contiguously in a row of packed A: one cache line
    width = 16, // floats of a vector
};

// Always inlined with a constant number of rows, so that the sums stay in registers.
__attribute__((always_inline, target("avx512f,avx512bf16"))) static inline void
multiply(const int rows, int64_t pairs, const uint32_t *a, int64_t a_block, const uint32_t *b, float *tile, int64_t stride, int32_t add)
{
    __m512 left[12], right[12];
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++)
        left[row] = right[row] = _mm512_setzero_ps();
    while (pairs > 0)
    {
        int64_t steps = pairs < block ? pairs : block;
        for (int64_t step = 0; step < steps; step++, b += 2 * width)
        {
            __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + width);
#pragma GCC unroll 12
            for (int row = 0; row < rows; row++)
            {
                __m512bh pair = (__m512bh)_mm512_set1_epi32((int)a[row * block + step]);
                left[row] = _mm512_dpbf16_ps(left[row], pair, b0);
                right[row] = _mm512_dpbf16_ps(right[row], pair, b1);
            }
        }
        a += a_block;
        pairs -= steps;
    }
#pragma GCC unroll 12
    for (int row = 0; row < rows; row++, tile += stride)
    {
        if (add)
        {
            left[row] = _mm512_add_ps(_mm512_loadu_ps(tile), left[row]);
            right[row] = _mm512_add_ps(_mm512_loadu_ps(tile + width), right[row]);
        }
        _mm512_storeu_ps(tile, left[row]);
        _mm512_storeu_ps(tile + width, right[row]);
    }
}

__attribute__((target("avx512f,avx512bf16"))) void ctk_bf16_tile(int32_t rows, int64_t pairs, const uint32_t *a, int64_t a_block,
                                                                const uint32_t *b, float *tile, int64_t stride, int32_t add)
{
    if (rows > 8)
        multiply(12, pairs, a, a_block, b, tile, stride, add);
    else if (rows > 4)
        multiply(8, pairs, a, a_block, b, tile, stride, add);
    else
        multiply(4, pairs, a, a_block, b, tile, stride, add);
}

int32_t ctk_has_bf16(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") != 0;
}

#else

void ctk_bf16_tile(int32_t rows, int64_t pairs, const uint32_t *a, int64_t a_block, const uint32_t *b, float *tile, int64_t stride,
                   int32_t add)
{
    (void)rows, (void)pairs, (void)a, (void)a_block, (void)b, (void)tile, (void)stride, (void)add;
}

int32_t ctk_has_bf16(void)
{
    return 0;
}

#endif

int32_t ctk_abi(void)
{
    return CTK_ABI;
}
