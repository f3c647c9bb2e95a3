// Arithmetic that rounds otherwise than to the nearest: by the processor's own modes. The operands are volatile, so that the compiler
// can neither compute with another mode nor move anything out of it.
#include "../include/ptx_abi.h"

#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct Rounding {
    explicit Rounding(int mode) : before(std::fegetround()) {
        static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
        std::fesetround(modes[mode]);
    }
    ~Rounding() { std::fesetround(before); }
    int before;
};

template <class T>
T compute(int operation, int mode, T first, T second, T third) {
    Rounding rounding(mode);
    volatile T a = first, b = second, c = third, result;
    switch (operation) {
        case 0: result = a + b; break;
        case 1: result = a * b; break;
        case 2: result = a / b; break;
        case 3: result = std::fma(T(a), T(b), T(c)); break;
        default: result = std::sqrt(T(a)); break;
    }

    return result;
}

template <class To, class From>
To convert(int mode, From from) {
    Rounding rounding(mode);
    volatile From value = from;
    volatile To result = (To)value;
    return result;
}

}  // namespace

float cudasim_ptx_rounded_f32(int operation, int mode, float a, float b, float c) { return compute(operation, mode, a, b, c); }
double cudasim_ptx_rounded_f64(int operation, int mode, double a, double b, double c) { return compute(operation, mode, a, b, c); }
float cudasim_ptx_f64_to_f32(int mode, double value) { return convert<float>(mode, value); }
float cudasim_ptx_s64_to_f32(int mode, long long value) { return convert<float>(mode, value); }
double cudasim_ptx_s64_to_f64(int mode, long long value) { return convert<double>(mode, value); }

// Processors convert signed numbers only: a large one is halved first, with what is lost kept as its last bit.
float cudasim_ptx_u64_to_f32(int mode, unsigned long long value) {
    if (value >> 63) return 2 * convert<float>(mode, (long long)(value >> 1 | (value & 1)));
    return convert<float>(mode, (long long)value);
}
double cudasim_ptx_u64_to_f64(int mode, unsigned long long value) {
    if (value >> 63) return 2 * convert<double>(mode, (long long)(value >> 1 | (value & 1)));
    return convert<double>(mode, (long long)value);
}

// From the bits: 10 of 52 digits stay, fewer for subnormal numbers.
unsigned short cudasim_ptx_f64_to_f16(int mode, double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const unsigned sign = (unsigned)(bits >> 48) & 0x8000;
    const int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint64_t mantissa = bits & 0xfffffffffffffull;
    if (exponent == 1024) return (unsigned short)(mantissa ? 0x7fff : sign | 0x7c00);
    if (exponent > -1023) mantissa |= 1ull << 52;
    int drop = exponent < -14 ? 42 + (-14 - exponent) : 42;
    if (drop > 62) drop = 62;
    uint64_t kept = mantissa >> drop, lost = mantissa & ((1ull << drop) - 1), middle = 1ull << (drop - 1);
    const bool up = mode == 0 ? lost > middle || (lost == middle && (kept & 1)) : mode == 1 ? false : lost && (mode == 2) == (sign != 0);
    kept += up;
    // A digit that is carried over raises the exponent by itself.
    uint64_t half = exponent < -14 ? kept : kept + ((uint64_t)(exponent + 14) << 10);
    if (half >= 0x7c00) half = mode == 0 || (mode >= 2 && (mode == 2) == (sign != 0)) ? 0x7c00 : 0x7bff;
    return (unsigned short)(sign | half);
}
