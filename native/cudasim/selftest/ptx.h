// What the tests of PTX share.
#pragma once

#include "selftest.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace test {

inline const std::string ptxHeader = ".version 7.0\n.target sm_80\n.address_size 64\n";

/// A kernel "f" with registers of all kinds; `data` is the address of its memory in %data.
inline std::string kernel(const std::string& body, const std::string& before = "") {
    return ptxHeader + before + R"(.visible .entry f(.param .u64 data, .param .u32 n)
{
	.reg .pred %p<4>;
	.reg .b16 %h<8>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<20>;
	.reg .f32 %f<20>;
	.reg .f64 %fd<4>;
	.reg .b64 %data;
	.reg .b32 %n, %thread, %at;
	.reg .b64 %mine;
	ld.param.u64 %data, [data];
	ld.param.u32 %n, [n];
	mov.u32 %thread, %tid.x;
	mov.u32 %at, %ntid.x;
	mov.u32 %r0, %ctaid.x;
	mad.lo.u32 %at, %at, %r0, %thread;
	mad.wide.u32 %mine, %at, 4, %data;
)" + body + "\n\tret;\n}\n";
}

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
