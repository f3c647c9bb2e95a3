// Runs the grid of a kernel on the calling thread: block after block, the threads of a block as fibres.
#pragma once

#include "../include/kernel_abi.h"
#include "sim.h"

#include <mutex>

namespace sim {

namespace ptx {
struct KernelInfo;
}

struct Launch {
    const cudasim_kernel* kernel;
    const cudasim_module_info* module;
    std::mutex* moduleLock;  // its static shared variables exist once
    cudasim_dim3 blocks, threads;
    size_t dynamicShared;
    void** parameters;
    const ptx::KernelInfo* ptx = nullptr;  // of a kernel that was PTX
    int device = 0;
};

/// Throws Fault, or leaves by abandon(), when the kernel does what a kernel must not do.
SIM_API void runGrid(const Launch& launch);

}  // namespace sim
