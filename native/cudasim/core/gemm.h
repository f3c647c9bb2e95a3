// Matrix products for the simulated libraries: single-precision sums, operands in single or half precision, any strides.
#pragma once

#include "sim.h"

#include <cstring>
#include <memory>
#include <vector>

namespace sim {

/// A matrix in memory: element (i, j) at data[i·rowStride + j·columnStride].
struct Matrix {
    const void* data;
    bool isHalf;
    int64_t rowStride;
    int64_t columnStride;
};

/// The right-hand operand [k, n], converted to float and laid out for the inner loop.
class SIM_API PackedMatrix {
public:
    PackedMatrix(const Matrix& b, int64_t k, int64_t n);

    int64_t k;
    int64_t n;
    std::vector<float> panels;
};

/// c[m, n] = a·b for rows [0, m), row-major with n columns; on the calling thread. Each sum has one order, whatever m is.
SIM_API void multiply(const Matrix& a, int64_t m, const PackedMatrix& b, float* c);

inline float halfToFloat(uint16_t bits) {
    _Float16 value;
    std::memcpy(&value, &bits, sizeof(value));
    return static_cast<float>(value);
}

/// Rounds to nearest, ties to even.
inline uint16_t floatToHalf(float value) {
    auto half = static_cast<_Float16>(value);
    uint16_t bits;
    std::memcpy(&bits, &half, sizeof(bits));
    return bits;
}

/// Element `index` of an array of floats or halves.
inline float load(const void* data, bool isHalf, int64_t index) {
    return isHalf ? halfToFloat(static_cast<const uint16_t*>(data)[index]) : static_cast<const float*>(data)[index];
}

/// Elements [index, index + count) as floats.
inline void loadRow(const void* data, bool isHalf, int64_t index, int64_t count, float* row) {
    if (isHalf) {
        const uint16_t* start = static_cast<const uint16_t*>(data) + index;
        for (int64_t i = 0; i < count; i++) {
            row[i] = halfToFloat(start[i]);
        }
    } else {
        std::memcpy(row, static_cast<const float*>(data) + index, count * sizeof(float));
    }
}

inline void store(void* data, bool isHalf, int64_t index, float value) {
    if (isHalf) {
        static_cast<uint16_t*>(data)[index] = floatToHalf(value);
    } else {
        static_cast<float*>(data)[index] = value;
    }
}

}  // namespace sim
