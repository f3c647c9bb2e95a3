// CUDA C++ for the system's C++ compiler: what a kernel may use without any header of CUDA's. Put before every .cu file by the
// simulated NVRTC. Includes nothing but kernel_abi.h, so that kernels cannot lean on the system's headers.
//
// __global__, __shared__ and __launch_bounds__ are not macros: the simulated NVRTC handles them in the preprocessed text.
#pragma once

#include "kernel_abi.h"

#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __attribute__((aligned(n)))

// ---- Where a thread is

#define threadIdx (cudasim_here.thread)
#define blockIdx (cudasim_here.block)
#define blockDim (cudasim_here.threads)
#define gridDim (cudasim_here.blocks)
#define warpSize 32

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

// ---- Vectors

#define CUDASIM_VECTORS(type, name, align2, align4)                                                            \
    struct __attribute__((aligned(sizeof(type)))) name##1 { type x; };                                         \
    struct __attribute__((aligned(align2))) name##2 { type x, y; };                                            \
    struct name##3 { type x, y, z; };                                                                          \
    struct __attribute__((aligned(align4))) name##4 { type x, y, z, w; };                                      \
    inline name##1 make_##name##1(type x) { return {x}; }                                                      \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                           \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                                \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

CUDASIM_VECTORS(signed char, char, 2, 4)
CUDASIM_VECTORS(unsigned char, uchar, 2, 4)
CUDASIM_VECTORS(short, short, 4, 8)
CUDASIM_VECTORS(unsigned short, ushort, 4, 8)
CUDASIM_VECTORS(int, int, 8, 16)
CUDASIM_VECTORS(unsigned, uint, 8, 16)
CUDASIM_VECTORS(float, float, 8, 16)
CUDASIM_VECTORS(long long, longlong, 16, 16)
CUDASIM_VECTORS(unsigned long long, ulonglong, 16, 16)
CUDASIM_VECTORS(double, double, 16, 16)
#undef CUDASIM_VECTORS

// ---- Mathematics

extern "C" {
float expf(float) noexcept; float exp2f(float) noexcept; float exp10f(float) noexcept; float expm1f(float) noexcept;
float logf(float) noexcept; float log2f(float) noexcept; float log10f(float) noexcept; float log1pf(float) noexcept;
float sinf(float) noexcept; float cosf(float) noexcept; float tanf(float) noexcept; float tanhf(float) noexcept;
float sinhf(float) noexcept; float coshf(float) noexcept; float atanf(float) noexcept; float atan2f(float, float) noexcept;
float asinf(float) noexcept; float acosf(float) noexcept; float erff(float) noexcept; float erfcf(float) noexcept;
float powf(float, float) noexcept; float fmodf(float, float) noexcept; float cbrtf(float) noexcept; float ldexpf(float, int) noexcept;
double exp(double) noexcept; double exp2(double) noexcept; double expm1(double) noexcept; double log(double) noexcept;
double log2(double) noexcept; double log10(double) noexcept; double log1p(double) noexcept; double sin(double) noexcept;
double cos(double) noexcept; double tan(double) noexcept; double tanh(double) noexcept; double pow(double, double) noexcept;
double fmod(double, double) noexcept; double erf(double) noexcept; double atan2(double, double) noexcept; double cbrt(double) noexcept;
int printf(const char*, ...);
}

#define CUDASIM_BUILTIN1(name)                                                    \
    inline float name##f(float x) { return __builtin_##name##f(x); }              \
    inline double name(double x) { return __builtin_##name(x); }                  \
    inline float name(float x) { return __builtin_##name##f(x); }
CUDASIM_BUILTIN1(sqrt)
CUDASIM_BUILTIN1(fabs)
CUDASIM_BUILTIN1(floor)
CUDASIM_BUILTIN1(ceil)
CUDASIM_BUILTIN1(trunc)
CUDASIM_BUILTIN1(round)
CUDASIM_BUILTIN1(rint)
CUDASIM_BUILTIN1(nearbyint)
#undef CUDASIM_BUILTIN1

inline float exp(float x) { return expf(x); }
inline float log(float x) { return logf(x); }
inline float sin(float x) { return sinf(x); }
inline float cos(float x) { return cosf(x); }
inline float tanh(float x) { return tanhf(x); }
inline float pow(float x, float y) { return powf(x, y); }
inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
inline float fma(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
// As on the device: of a number and a NaN the number.
inline float fminf(float x, float y) { return x != x ? y : y != y ? x : x < y ? x : y; }
inline float fmaxf(float x, float y) { return x != x ? y : y != y ? x : x > y ? x : y; }
inline double fmin(double x, double y) { return x != x ? y : y != y ? x : x < y ? x : y; }
inline double fmax(double x, double y) { return x != x ? y : y != y ? x : x > y ? x : y; }
inline float fmin(float x, float y) { return fminf(x, y); }
inline float fmax(float x, float y) { return fmaxf(x, y); }
inline float copysignf(float x, float y) { return __builtin_copysignf(x, y); }
inline double copysign(double x, double y) { return __builtin_copysign(x, y); }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
inline float __frsqrt_rn(float x) { return 1.0f / __builtin_sqrtf(x); }
inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double __fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }
// Not contracted with what surrounds them.
__attribute__((optimize("fp-contract=off"), noinline)) inline float __fmul_rn(float x, float y) { return x * y; }
__attribute__((optimize("fp-contract=off"), noinline)) inline float __fadd_rn(float x, float y) { return x + y; }
__attribute__((optimize("fp-contract=off"), noinline)) inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline bool isnan(float x) { return __builtin_isnan(x); }
inline bool isnan(double x) { return __builtin_isnan(x); }
inline bool isinf(float x) { return __builtin_isinf_sign(x) != 0; }
inline bool isinf(double x) { return __builtin_isinf_sign(x) != 0; }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline bool isfinite(double x) { return __builtin_isfinite(x); }
inline bool signbit(float x) { return __builtin_signbitf(x) != 0; }

#define CUDASIM_MIN_MAX(type)                                      \
    inline type min(type x, type y) { return x < y ? x : y; }      \
    inline type max(type x, type y) { return x > y ? x : y; }
CUDASIM_MIN_MAX(int)
CUDASIM_MIN_MAX(unsigned)
CUDASIM_MIN_MAX(long)
CUDASIM_MIN_MAX(unsigned long)
CUDASIM_MIN_MAX(long long)
CUDASIM_MIN_MAX(unsigned long long)
#undef CUDASIM_MIN_MAX
inline unsigned min(int x, unsigned y) { return min((unsigned)x, y); }
inline unsigned min(unsigned x, int y) { return min(x, (unsigned)y); }
inline unsigned max(int x, unsigned y) { return max((unsigned)x, y); }
inline unsigned max(unsigned x, int y) { return max(x, (unsigned)y); }
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }
inline double min(double x, double y) { return fmin(x, y); }
inline double max(double x, double y) { return fmax(x, y); }
inline int abs(int x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline float abs(float x) { return __builtin_fabsf(x); }

// ---- Bits and integers

template <class To, class From>
inline To cudasim_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "the same size");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

inline int __float_as_int(float x) { return cudasim_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return cudasim_bits<unsigned>(x); }
inline float __int_as_float(int x) { return cudasim_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return cudasim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return cudasim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cudasim_bits<double>(x); }
inline int __float2int_rn(float x) { return (int)__builtin_rintf(x); }
inline int __float2int_rz(float x) { return (int)x; }
inline int __float2int_rd(float x) { return (int)__builtin_floorf(x); }
inline int __float2int_ru(float x) { return (int)__builtin_ceilf(x); }
inline unsigned __float2uint_rn(float x) { return (unsigned)__builtin_rintf(x); }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }
inline float __double2float_rn(double x) { return (float)x; }
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
inline int __mulhi(int x, int y) { return (int)((long long)x * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) { return (unsigned long long)((unsigned __int128)x * y >> 64); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int bit = 0; bit < 32; bit++) result |= (x >> bit & 1) << (31 - bit);
    return result;
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    unsigned long long bytes = (unsigned long long)y << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) result |= (unsigned)(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
    return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    shift &= 31;
    return shift ? high << shift | low >> (32 - shift) : high;
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    shift &= 31;
    return shift ? low >> shift | high << (32 - shift) : low;
}

// ---- Half precision, as bits

inline float cudasim_half_to_float(unsigned short bits) {
    unsigned sign = (unsigned)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    if (exponent == 0) {
        float value = (float)mantissa * 0x1p-24f;
        return sign ? -value : value;
    }
    return __uint_as_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

// To the nearest, halves to even; too large becomes infinite, NaN stays NaN.
inline unsigned short cudasim_float_to_half(float value) {
    unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000u) return 0x7fff;
    if (magnitude >= 0x477ff000u) return (unsigned short)(sign | 0x7c00);
    if (magnitude < 0x38800000u) {
        // Adding 0.5 leaves the mantissa of a subnormal half, correctly rounded, in the last bits.
        float shifted = __uint_as_float(magnitude) + 0.5f;
        return (unsigned short)(sign | (__float_as_uint(shifted) - 0x3f000000u));
    }
    return (unsigned short)(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - 0x1c000);
}

// ---- Memory

template <class T> inline T __ldg(const T* address) { return *address; }
template <class T> inline T __ldcg(const T* address) { return *address; }
template <class T> inline T __ldcs(const T* address) { return *address; }
template <class T> inline T __ldca(const T* address) { return *address; }
template <class T> inline void __stcg(T* address, T value) { *address = value; }
template <class T> inline void __stcs(T* address, T value) { *address = value; }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Integers only: sums of floats in no fixed order have no place here.
#define CUDASIM_ATOMICS(type)                                                                                             \
    inline type atomicAdd(type* p, type v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }                         \
    inline type atomicExch(type* p, type v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }                       \
    inline type atomicCAS(type* p, type expected, type v) {                                                              \
        __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                          \
        return expected;                                                                                                  \
    }                                                                                                                     \
    inline type atomicMax(type* p, type v) {                                                                              \
        type old = *p;                                                                                                    \
        while (old < v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}         \
        return old;                                                                                                       \
    }                                                                                                                     \
    inline type atomicMin(type* p, type v) {                                                                              \
        type old = *p;                                                                                                    \
        while (old > v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}         \
        return old;                                                                                                       \
    }
CUDASIM_ATOMICS(int)
CUDASIM_ATOMICS(unsigned)
CUDASIM_ATOMICS(unsigned long long)
#undef CUDASIM_ATOMICS
inline int atomicOr(int* p, int v) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
inline unsigned atomicOr(unsigned* p, unsigned v) { return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); }
inline int atomicAnd(int* p, int v) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); }
inline unsigned atomicAnd(unsigned* p, unsigned v) { return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); }
inline unsigned atomicInc(unsigned* p, unsigned limit) {
    unsigned old = *p;
    while (!__atomic_compare_exchange_n(p, &old, old >= limit ? 0 : old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
    return old;
}

// ---- Threads together. The line in the source tells which of several barriers a thread waits at.

inline void __syncthreads(int line = __builtin_LINE()) { cudasim_barrier(line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) { cudasim_warp(cudasim_warp_barrier, mask, 0, 0, line); }
inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return (unsigned)cudasim_warp(cudasim_ballot, mask, predicate != 0, 0, line);
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) { return __ballot_sync(mask, predicate, line) != 0; }
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) { return __ballot_sync(mask, !predicate, line) == 0; }
inline unsigned __activemask() { return 1u << cudasim_here.lane; }
inline int __syncthreads_count(int) = delete;

template <class T>
inline T cudasim_shuffle_from(unsigned mask, T value, unsigned from, int line) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 32 or 64 bits");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    bits = cudasim_warp(cudasim_shuffle, mask, bits, from, line);
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

#define CUDASIM_SHUFFLES(type)                                                                                             \
    inline type __shfl_sync(unsigned mask, type value, int from, int width = 32, int line = __builtin_LINE()) {            \
        unsigned lane = cudasim_here.lane;                                                                                 \
        return cudasim_shuffle_from(mask, value, (lane & ~(width - 1)) | (from & (width - 1)), line);                      \
    }                                                                                                                      \
    inline type __shfl_up_sync(unsigned mask, type value, unsigned delta, int width = 32, int line = __builtin_LINE()) {   \
        unsigned lane = cudasim_here.lane;                                                                                 \
        return cudasim_shuffle_from(mask, value, (lane & (width - 1)) >= delta ? lane - delta : lane, line);               \
    }                                                                                                                      \
    inline type __shfl_down_sync(unsigned mask, type value, unsigned delta, int width = 32, int line = __builtin_LINE()) { \
        unsigned lane = cudasim_here.lane;                                                                                 \
        return cudasim_shuffle_from(mask, value, (lane & (width - 1)) + delta < (unsigned)width ? lane + delta : lane, line); \
    }                                                                                                                      \
    inline type __shfl_xor_sync(unsigned mask, type value, int lanes, int width = 32, int line = __builtin_LINE()) {       \
        unsigned lane = cudasim_here.lane, from = lane ^ (unsigned)lanes;                                                  \
        return cudasim_shuffle_from(mask, value, from <= (lane | (width - 1)) && from < 32 ? from : lane, line);           \
    }
CUDASIM_SHUFFLES(int)
CUDASIM_SHUFFLES(unsigned)
CUDASIM_SHUFFLES(float)
CUDASIM_SHUFFLES(long)
CUDASIM_SHUFFLES(unsigned long)
CUDASIM_SHUFFLES(long long)
CUDASIM_SHUFFLES(unsigned long long)
CUDASIM_SHUFFLES(double)
#undef CUDASIM_SHUFFLES

// ---- Ends

inline void __trap() { cudasim_trap("__trap()"); }
#define CUDASIM_TEXT2(x) #x
#define CUDASIM_TEXT(x) CUDASIM_TEXT2(x)
#define assert(condition) ((condition) ? (void)0 : cudasim_trap("assertion failed in line " CUDASIM_TEXT(__LINE__) ": " #condition))

// ---- From an array of pointers to the arguments of a kernel

template <class F> struct cudasim_parameters;
template <class T> struct cudasim_is_pointer { enum { value = 0 }; };
template <class T> struct cudasim_is_pointer<T*> { enum { value = 1 }; };
template <int... I> struct cudasim_indices {};
template <int N, int... I> struct cudasim_make_indices : cudasim_make_indices<N - 1, N - 1, I...> {};
template <int... I> struct cudasim_make_indices<0, I...> { using type = cudasim_indices<I...>; };

template <class... A>
struct cudasim_parameters<void (*)(A...)> {
    enum { count = sizeof...(A) };
    static constexpr unsigned sizes[count + 1] = {(unsigned)sizeof(A)..., 0};
    static constexpr unsigned char pointers[count + 1] = {(unsigned char)cudasim_is_pointer<A>::value..., 0};

    template <int... I>
    static inline __attribute__((always_inline)) void call(void (*kernel)(A...), void** parameters, cudasim_indices<I...>) {
        (void)parameters;
        kernel(*static_cast<A*>(parameters[I])...);
    }
    static inline __attribute__((always_inline)) void call(void (*kernel)(A...), void** parameters) {
        call(kernel, parameters, typename cudasim_make_indices<(int)sizeof...(A)>::type());
    }
};
