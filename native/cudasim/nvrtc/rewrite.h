// From preprocessed CUDA C++ to C++: what the emulation header cannot do with macros.
#pragma once

#include <string>

namespace sim {

struct Rewritten {
    std::string text;   // compiles with the emulation header in front
    int kernels = 0;
};

/// Shared variables become statics of a section, `extern __shared__` a pointer to the launch's dynamic memory; each
/// `extern "C" __global__ void name(…)` gets an entry in a table at the end, with its launch bounds.
Rewritten rewriteKernels(const std::string& preprocessed);

}  // namespace sim
