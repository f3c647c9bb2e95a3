// What the C code of a translated PTX kernel is written in: types, bits, and one small function for each meaning that C's own
// operators do not have. It includes no header of the system, which keeps the compiler fast.
#pragma once

#include "ptx_abi.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef float f32;
typedef double f64;
typedef unsigned __int128 u128;
typedef __int128 s128;

#define INLINE static inline __attribute__((always_inline))

float exp2f(float), log2f(float), sinf(float), cosf(float), tanhf(float);

// ---- Bits

INLINE f32 f32_bits(u32 bits) { f32 value; __builtin_memcpy(&value, &bits, 4); return value; }
INLINE u32 bits_f32(f32 value) { u32 bits; __builtin_memcpy(&bits, &value, 4); return bits; }
INLINE f64 f64_bits(u64 bits) { f64 value; __builtin_memcpy(&value, &bits, 8); return value; }
INLINE u64 bits_f64(f64 value) { u64 bits; __builtin_memcpy(&bits, &value, 8); return bits; }

INLINE u64 ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    u64 value;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#endif
}

// ---- Halves, as bits

#if defined(__F16C__)
typedef float four_floats __attribute__((vector_size(16)));
typedef short eight_halves __attribute__((vector_size(16)));
INLINE f32 f16_to_f32(u16 bits) {
    eight_halves halves = {(short)bits};
    return __builtin_ia32_vcvtph2ps(halves)[0];
}
#define CUDASIM_TO_HALF(value, mode) (u16) __builtin_ia32_vcvtps2ph((four_floats){value}, mode)[0]
// What is no number becomes the one pattern that GPUs have for it.
INLINE u16 f32_to_f16(f32 value) { return value != value ? 0x7fff : CUDASIM_TO_HALF(value, 0); }
INLINE u16 f32_to_f16_rz(f32 value) { return value != value ? 0x7fff : CUDASIM_TO_HALF(value, 3); }
INLINE u16 f32_to_f16_rm(f32 value) { return value != value ? 0x7fff : CUDASIM_TO_HALF(value, 1); }
INLINE u16 f32_to_f16_rp(f32 value) { return value != value ? 0x7fff : CUDASIM_TO_HALF(value, 2); }
#else
INLINE f32 f16_to_f32(u16 bits) {
    u32 sign = (u32)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    if (exponent == 31) return f32_bits(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent == 0) return f32_bits(sign | bits_f32((f32)mantissa * 0x1p-24f));
    return f32_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}
INLINE u16 f32_to_f16(f32 value) { return cudasim_ptx_f64_to_f16(0, value); }
INLINE u16 f32_to_f16_rz(f32 value) { return cudasim_ptx_f64_to_f16(1, value); }
INLINE u16 f32_to_f16_rm(f32 value) { return cudasim_ptx_f64_to_f16(2, value); }
INLINE u16 f32_to_f16_rp(f32 value) { return cudasim_ptx_f64_to_f16(3, value); }
#endif

INLINE u16 low_half(u32 pair) { return (u16)pair; }
INLINE u16 high_half(u32 pair) { return (u16)(pair >> 16); }
INLINE u32 halves(u16 low, u16 high) { return (u32)high << 16 | low; }

// ---- Floating point

INLINE f32 ftz_f32(f32 x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x; }
INLINE u16 ftz_f16(u16 x) { return x & 0x7c00 ? x : x & 0x8000; }
INLINE f32 sat_f32(f32 x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
INLINE f64 sat_f64(f64 x) { return x > 0.0 ? (x < 1.0 ? x : 1.0) : 0.0; }
INLINE u16 sat_f16(u16 x) { return f32_to_f16(sat_f32(f16_to_f32(x))); }

// Of a number and what is none the number; of two zeros the negative one is less.
#define CUDASIM_MINMAX(type, nan)                                                                             \
    INLINE type min_##type(type a, type b) {                                                                  \
        return a != a ? (b != b ? nan : b) : b != b ? a : a < b ? a : a > b ? b : __builtin_signbit(a) ? a : b; \
    }                                                                                                         \
    INLINE type max_##type(type a, type b) {                                                                  \
        return a != a ? (b != b ? nan : b) : b != b ? a : a > b ? a : a < b ? b : __builtin_signbit(a) ? b : a; \
    }                                                                                                         \
    INLINE type min_nan_##type(type a, type b) { return a != a || b != b ? nan : min_##type(a, b); }          \
    INLINE type max_nan_##type(type a, type b) { return a != a || b != b ? nan : max_##type(a, b); }
CUDASIM_MINMAX(f32, f32_bits(0x7fffffffu))
CUDASIM_MINMAX(f64, f64_bits(0x7fffffffffffffffull))

#define CUDASIM_COMPARE(type)                                                                   \
    INLINE u8 eq_##type(type a, type b) { return a == b; }                                      \
    INLINE u8 ne_##type(type a, type b) { return a < b || a > b; }                              \
    INLINE u8 lt_##type(type a, type b) { return a < b; }                                       \
    INLINE u8 le_##type(type a, type b) { return a <= b; }                                      \
    INLINE u8 gt_##type(type a, type b) { return a > b; }                                       \
    INLINE u8 ge_##type(type a, type b) { return a >= b; }                                      \
    INLINE u8 equ_##type(type a, type b) { return !(a < b || a > b); }                          \
    INLINE u8 neu_##type(type a, type b) { return a != b; }                                     \
    INLINE u8 ltu_##type(type a, type b) { return !(a >= b); }                                  \
    INLINE u8 leu_##type(type a, type b) { return !(a > b); }                                   \
    INLINE u8 gtu_##type(type a, type b) { return !(a <= b); }                                  \
    INLINE u8 geu_##type(type a, type b) { return !(a < b); }                                   \
    INLINE u8 num_##type(type a, type b) { return a == a && b == b; }                           \
    INLINE u8 nan_##type(type a, type b) { return a != a || b != b; }
CUDASIM_COMPARE(f32)
CUDASIM_COMPARE(f64)

// ---- Integers

#define CUDASIM_INTEGERS(u, s, bits, min)                                                                                      \
    /* A division by zero has all bits set, on GPUs as here. */                                                               \
    INLINE u div_##u(u a, u b) { return b ? (u)(a / b) : (u)~(u)0; }                                                           \
    INLINE u rem_##u(u a, u b) { return b ? (u)(a % b) : (u)~(u)0; }                                                           \
    INLINE s div_##s(s a, s b) { return b == 0 ? (s)-1 : b == -1 ? (s)(0 - (u)a) : (s)(a / b); }                               \
    INLINE s rem_##s(s a, s b) { return b == 0 ? (s)-1 : b == -1 ? 0 : (s)(a % b); }                                           \
    INLINE u shl_##u(u a, u32 by) { return by < bits ? (u)(a << by) : 0; }                                                     \
    INLINE u shr_##u(u a, u32 by) { return by < bits ? (u)(a >> by) : 0; }                                                     \
    INLINE s shr_##s(s a, u32 by) { return (s)(a >> (by < bits ? by : bits - 1)); }                                            \
    INLINE u min_##u(u a, u b) { return a < b ? a : b; }                                                                       \
    INLINE u max_##u(u a, u b) { return a > b ? a : b; }                                                                       \
    INLINE s min_##s(s a, s b) { return a < b ? a : b; }                                                                       \
    INLINE s max_##s(s a, s b) { return a > b ? a : b; }                                                                       \
    INLINE s abs_##s(s a) { return a < 0 ? (s)(0 - (u)a) : a; }                                                                \
    INLINE u sad_##u(u a, u b, u c) { return (u)(c + (a < b ? b - a : a - b)); }                                               \
    INLINE s sad_##s(s a, s b, s c) { return (s)((u)c + (a < b ? (u)b - (u)a : (u)a - (u)b)); }
CUDASIM_INTEGERS(u16, s16, 16, -32768)
CUDASIM_INTEGERS(u32, s32, 32, (-2147483647 - 1))
CUDASIM_INTEGERS(u64, s64, 64, (-9223372036854775807ll - 1))

INLINE u16 hi_u16(u16 a, u16 b) { return (u16)((u32)a * b >> 16); }
INLINE s16 hi_s16(s16 a, s16 b) { return (s16)((s32)a * b >> 16); }
INLINE u32 hi_u32(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }
INLINE s32 hi_s32(s32 a, s32 b) { return (s32)((s64)a * b >> 32); }
INLINE u64 hi_u64(u64 a, u64 b) { return (u64)((u128)a * b >> 64); }
INLINE s64 hi_s64(s64 a, s64 b) { return (s64)((s128)a * b >> 64); }

INLINE s32 sat_s32(s64 x) { return x > 2147483647 ? 2147483647 : x < -2147483647 - 1 ? -2147483647 - 1 : (s32)x; }

INLINE u32 popc_b32(u32 x) { return (u32)__builtin_popcount(x); }
INLINE u32 popc_b64(u64 x) { return (u32)__builtin_popcountll(x); }
INLINE u32 clz_b32(u32 x) { return x ? (u32)__builtin_clz(x) : 32; }
INLINE u32 clz_b64(u64 x) { return x ? (u32)__builtin_clzll(x) : 64; }
INLINE u32 brev_b32(u32 x) {
    x = (x & 0x55555555u) << 1 | (x >> 1 & 0x55555555u);
    x = (x & 0x33333333u) << 2 | (x >> 2 & 0x33333333u);
    x = (x & 0x0f0f0f0fu) << 4 | (x >> 4 & 0x0f0f0f0fu);
    return __builtin_bswap32(x);
}
INLINE u64 brev_b64(u64 x) { return (u64)brev_b32((u32)x) << 32 | brev_b32((u32)(x >> 32)); }
// The place of the highest bit that differs from the sign; with `shift` how far it is from the top.
INLINE u32 bfind_u32(u32 x, int shift) { return x ? (shift ? clz_b32(x) : 31 - clz_b32(x)) : ~0u; }
INLINE u32 bfind_s32(s32 x, int shift) { return bfind_u32((u32)(x < 0 ? ~x : x), shift); }
INLINE u32 bfind_u64(u64 x, int shift) { return x ? (shift ? clz_b64(x) : 63 - clz_b64(x)) : ~0u; }
INLINE u32 bfind_s64(s64 x, int shift) { return bfind_u64((u64)(x < 0 ? ~x : x), shift); }

// Position and length count modulo 256; what lies above the top is filled with the sign.
INLINE u64 bfe(u64 a, u32 position, u32 length, u32 top, u64 sign) {
    u64 result = 0;
    position &= 255;
    length &= 255;
    if (!length) return 0;
    if (sign) sign = a >> (position + length - 1 < top ? position + length - 1 : top) & 1;
    if (position <= top) result = a >> position;
    u32 known = position > top ? 0 : top - position + 1;
    if (length < known) known = length;
    u64 mask = known >= 64 ? ~0ull : (1ull << known) - 1;
    return (result & mask) | (sign ? ~mask : 0);
}
INLINE u32 bfe_u32(u32 a, u32 position, u32 length) { return (u32)bfe(a, position, length, 31, 0); }
INLINE s32 bfe_s32(s32 a, u32 position, u32 length) { return (s32)bfe((u32)a, position, length, 31, 1); }
INLINE u64 bfe_u64(u64 a, u32 position, u32 length) { return bfe(a, position, length, 63, 0); }
INLINE s64 bfe_s64(s64 a, u32 position, u32 length) { return (s64)bfe((u64)a, position, length, 63, 1); }
INLINE u64 bfi_b64(u64 a, u64 b, u32 position, u32 length) {
    position &= 255;
    length &= 255;
    if (position > 63 || !length) return b;
    u64 mask = (length > 63 ? ~0ull : (1ull << length) - 1) << position;
    return (b & ~mask) | (a << position & mask);
}
INLINE u32 bfi_b32(u32 a, u32 b, u32 position, u32 length) { return (position & 255) > 31 ? b : (u32)bfi_b64(a, b, position, length); }

INLINE u32 prmt_byte(u64 bytes, u32 selector) {
    u32 byte = (u32)(bytes >> 8 * (selector & 7)) & 0xff;
    return selector & 8 ? (byte & 0x80 ? 0xff : 0) : byte;
}
INLINE u32 prmt(u32 a, u32 b, u32 c) {
    u64 bytes = (u64)b << 32 | a;
    return prmt_byte(bytes, c) | prmt_byte(bytes, c >> 4) << 8 | prmt_byte(bytes, c >> 8) << 16 | prmt_byte(bytes, c >> 12) << 24;
}

INLINE u32 shf_l_wrap(u32 a, u32 b, u32 c) { return (u32)(((u64)b << 32 | a) << (c & 31) >> 32); }
INLINE u32 shf_r_wrap(u32 a, u32 b, u32 c) { return (u32)(((u64)b << 32 | a) >> (c & 31)); }
INLINE u32 shf_l_clamp(u32 a, u32 b, u32 c) { return c < 32 ? shf_l_wrap(a, b, c) : a; }
INLINE u32 shf_r_clamp(u32 a, u32 b, u32 c) { return c < 32 ? shf_r_wrap(a, b, c) : b; }

INLINE u32 lop3(u32 a, u32 b, u32 c, u32 table) {
    u32 result = 0;
    if (table & 0x01) result |= ~a & ~b & ~c;
    if (table & 0x02) result |= ~a & ~b & c;
    if (table & 0x04) result |= ~a & b & ~c;
    if (table & 0x08) result |= ~a & b & c;
    if (table & 0x10) result |= a & ~b & ~c;
    if (table & 0x20) result |= a & ~b & c;
    if (table & 0x40) result |= a & b & ~c;
    if (table & 0x80) result |= a & b & c;
    return result;
}

// ---- From floating point to integers: clamped, and a NaN becomes what the last argument says

#define CUDASIM_TO_INTEGER(to, least, most, from, beyond, nan) \
    INLINE to from##_to_##to(from x) { return x != x ? (to)(nan) : x >= beyond ? (to)(most) : x <= (from)(least) ? (to)(least) : (to)x; }
#define CUDASIM_TO_INTEGERS(from, none, none16, none8)                                       \
    CUDASIM_TO_INTEGER(u8, 0, 255, from, (from)255, none8)                                   \
    CUDASIM_TO_INTEGER(s8, -128, 127, from, (from)127, none8)                                \
    CUDASIM_TO_INTEGER(u16, 0, 65535, from, (from)65535, none16)                             \
    CUDASIM_TO_INTEGER(s16, -32768, 32767, from, (from)32767, none16)                        \
    CUDASIM_TO_INTEGER(u32, 0, 4294967295u, from, (from)0x1p32, none)                        \
    CUDASIM_TO_INTEGER(s32, -2147483647 - 1, 2147483647, from, (from)0x1p31, none)           \
    CUDASIM_TO_INTEGER(u64, 0, ~0ull, from, (from)0x1p64, 1ull << 63)                        \
    CUDASIM_TO_INTEGER(s64, -9223372036854775807ll - 1, 9223372036854775807ll, from, (from)0x1p63, 1ull << 63)
CUDASIM_TO_INTEGERS(f32, 0, 0, 0)
CUDASIM_TO_INTEGERS(f64, 0x80000000u, 0x8000u, 0x80u)

// ---- Memory. Each answers the place of an access that has been found allowed.

INLINE char* global_at(struct cudasim_ptx_launch* launch, u32 site, u64 address, u32 bytes) {
    const struct cudasim_site* known = &launch->sites[site];
    if (__builtin_expect(address - known->begin >= known->room || (address & (bytes - 1)), 0)) cudasim_ptx_global(site, address);
    return (char*)address;
}
INLINE char* shared_at(struct cudasim_ptx_launch* launch, u32 site, u64 offset, u32 bytes) {
    if (__builtin_expect(offset >= launch->shared_room[__builtin_ctz(bytes)] || (offset & (bytes - 1)), 0))
        cudasim_ptx_shared(site, offset);
    return launch->shared + offset;
}
INLINE char* window_at(char* window, u64 size, u32 site, u64 offset, u32 bytes, const char* space) {
    if (__builtin_expect(size < bytes || offset > size - bytes || (offset & (bytes - 1)), 0))
        cudasim_ptx_outside(site, offset, size, space);
    return window + offset;
}
INLINE char* generic_at(struct cudasim_ptx_launch* launch, u32 site, u64 address, u32 bytes, char* local, u64 size) {
    if (address - (u64)local < size) return window_at(local, size, site, address - (u64)local, bytes, "local memory");
    const struct cudasim_site* known = &launch->sites[site];
    if (__builtin_expect(address - known->begin >= known->room || (address & (bytes - 1)), 0)) cudasim_ptx_generic(site, address);
    return (char*)address;
}

// ---- Atomics: what was there before

#define CUDASIM_ATOMIC_LOOP(name, type, bits, load, store, value)                                                    \
    INLINE type atom_##name##_##type(char* p, type b) {                                                              \
        bits before = __atomic_load_n((bits*)p, __ATOMIC_SEQ_CST);                                                   \
        for (;;) {                                                                                                   \
            type a = load(before);                                                                                   \
            if (__atomic_compare_exchange_n((bits*)p, &before, store(value), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) \
                return a;                                                                                            \
        }                                                                                                            \
    }
#define CUDASIM_ATOMIC_INTEGERS(type, bits)                                         \
    CUDASIM_ATOMIC_LOOP(add, type, bits, (type), (bits), (bits)a + (bits)b)         \
    CUDASIM_ATOMIC_LOOP(min, type, bits, (type), (bits), a < b ? a : b)             \
    CUDASIM_ATOMIC_LOOP(max, type, bits, (type), (bits), a > b ? a : b)             \
    CUDASIM_ATOMIC_LOOP(and, type, bits, (type), (bits), a & b)                     \
    CUDASIM_ATOMIC_LOOP(or, type, bits, (type), (bits), a | b)                      \
    CUDASIM_ATOMIC_LOOP(xor, type, bits, (type), (bits), a ^ b)                     \
    CUDASIM_ATOMIC_LOOP(exch, type, bits, (type), (bits), b)                        \
    CUDASIM_ATOMIC_LOOP(inc, type, bits, (type), (bits), a >= b ? 0 : a + 1)        \
    CUDASIM_ATOMIC_LOOP(dec, type, bits, (type), (bits), a == 0 || a > b ? b : a - 1)
CUDASIM_ATOMIC_INTEGERS(u32, u32)
CUDASIM_ATOMIC_INTEGERS(s32, u32)
CUDASIM_ATOMIC_INTEGERS(u64, u64)
CUDASIM_ATOMIC_INTEGERS(s64, u64)
CUDASIM_ATOMIC_LOOP(add, f32, u32, f32_bits, bits_f32, a + b)
CUDASIM_ATOMIC_LOOP(add, f64, u64, f64_bits, bits_f64, a + b)
INLINE u32 atom_cas_u32(char* p, u32 expected, u32 value) {
    __atomic_compare_exchange_n((u32*)p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
INLINE u64 atom_cas_u64(char* p, u64 expected, u64 value) {
    __atomic_compare_exchange_n((u64*)p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
