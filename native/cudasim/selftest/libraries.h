// What the tests of cuBLAS and cuDNN share.
#pragma once

#include "gemm.h"
#include "selftest.h"

#include <algorithm>
#include <cmath>

namespace test {

inline void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(address); }

/// In [-1, 1), the same for the same seed.
inline std::vector<float> random(size_t count, unsigned seed) {
    std::vector<float> values(count);
    uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
    for (float& value : values) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = static_cast<float>(static_cast<int32_t>(state >> 32)) / 2147483648.0f;
    }

    return values;
}

/// Numbers in device memory, as floats or halves; `values` are what the device has, rounding included.
class Array {
public:
    Array(Gpu& gpu, std::vector<float> numbers, bool isHalf) : values(std::move(numbers)), isHalf_(isHalf) {
        bits_.resize(values.size());
        for (size_t i = 0; isHalf && i < values.size(); i++) {
            bits_[i] = sim::floatToHalf(values[i]);
            values[i] = sim::halfToFloat(bits_[i]);
        }

        memory = isHalf ? gpu.upload(bits_) : gpu.upload(values);
    }
    Array(const Array&) = delete;
    ~Array() { cuMemFree_v2(memory); }

    std::vector<float> download(Gpu& gpu) const {
        if (!isHalf_) {
            return gpu.download<float>(memory, values.size());
        }

        std::vector<float> result;
        for (uint16_t bits : gpu.download<uint16_t>(memory, values.size())) {
            result.push_back(sim::halfToFloat(bits));
        }

        return result;
    }

    std::vector<float> values;
    CUdeviceptr memory = 0;

private:
    std::vector<uint16_t> bits_;
    bool isHalf_;
};

}  // namespace test
