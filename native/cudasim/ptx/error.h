// What is wrong with a PTX text.
#pragma once

#include "sim.h"

#include <string>

namespace sim::ptx {

/// Thrown by everything that reads or translates PTX. The message has no line yet: what catches it adds line and text.
struct Error : std::runtime_error {
    Error(int line, const std::string& message, CUresult code = CUDA_ERROR_INVALID_PTX)
        : std::runtime_error(message), line(line), code(code) {}
    int line;
    CUresult code;
};

}  // namespace sim::ptx
