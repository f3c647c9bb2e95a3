// From PTX text to something that runs.
#pragma once

#include "runtime.h"

#include <memory>

namespace sim::ptx {

/// One .entry of a text.
struct Kernel {
    std::string name;
    std::string symbol;                    // of its C code
    std::vector<unsigned> parameterBytes;
    int maxThreads;
    KernelInfo info;
    void (*call)(void** parameters) = nullptr;  // the symbol, once the object is open
};

struct Program {
    CUresult code = CUDA_SUCCESS;  // else nothing but the log
    std::string log;               // what is wrong, with its line; or a line for each kernel
    std::string object;            // a shared object
    std::vector<Kernel> kernels;
};

/// Reads, translates and compiles (unless that has been done before) for the device and the driver that are configured.
SIM_API Program load(const std::string& text);

}  // namespace sim::ptx
