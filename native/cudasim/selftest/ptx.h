// What the tests of PTX share.
#pragma once

#include "selftest.h"

#include <cstdint>
#include <cstring>

namespace test {

inline const std::string ptxHeader = ".version 7.0\n.target sm_80\n.address_size 64\n";

inline uint64_t bits(double value) {
    uint64_t result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

inline uint64_t bits(float value) {
    uint32_t result;
    std::memcpy(&result, &value, sizeof result);
    return result;
}

/// Loads PTX, with the words of both logs.
struct Loaded {
    explicit Loaded(const std::string& text) {
        char error[2000] = "", words[2000] = "";
        CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_INFO_LOG_BUFFER,
            CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
        void* values[] = {error, reinterpret_cast<void*>(sizeof error), words, reinterpret_cast<void*>(sizeof words)};
        code = cuModuleLoadDataEx(&module, text.c_str(), 4, options, values);
        log = error;
        info = words;
        EQUAL(log.empty() ? 0 : log.size() + 1, reinterpret_cast<size_t>(values[1]));
    }
    Loaded(const Loaded&) = delete;
    ~Loaded() {
        if (module) cuModuleUnload(module);  // a fault may have ended the context
    }
    CUfunction function(const char* name) const {
        CUfunction found = nullptr;
        EQUAL(CUDA_SUCCESS, code);
        if (code) fail(__FILE__, __LINE__, log);
        OK(cuModuleGetFunction(&found, module, name));
        return found;
    }

    CUmodule module = nullptr;
    CUresult code;
    std::string log, info;
};

}  // namespace test
