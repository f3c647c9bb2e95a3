// Inner kernels by instructions that .NET does not offer. Everything around them (blocking, packing, threads) is C#: src/Kernels.
#ifndef CUDATRAINER_KERNELS_H
#define CUDATRAINER_KERNELS_H

#include <stdint.h>

#define CTK_ABI 1

#define CTK_API __attribute__((visibility("default")))

CTK_API int32_t ctk_abi(void);

// Whether this machine has AVX512_BF16.
CTK_API int32_t ctk_has_bf16(void);

// tile[r, j] (+)= sum over p of a[r, p]·b[p, j], each a pair of bfloat16 whose two products are added to a float32 sum (VDPBF16PS: pairs
// in rising order of p, each product rounded once when it is added, subnormal numbers are 0), and is added to the tile or, without `add`,
// overwrites it. a: blocks of 16 pairs, in each the rows one behind the other, a_block pairs from block to block; b: [pairs][32]. 1 to 12
// rows; up to three rows more are computed and stored.
CTK_API void ctk_bf16_tile(int32_t rows, int64_t pairs, const uint32_t *a, int64_t a_block, const uint32_t *b, float *tile, int64_t stride,
                           int32_t add);

#endif
