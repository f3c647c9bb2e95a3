// Runs the grid of a kernel on the calling thread: block after block, the threads of a block as fibres.
#pragma once

#include "../ptx/load.h"

namespace sim {

struct Launch {
    const ptx::Kernel& kernel;
    int device;
    cudasim_dim3 blocks, threads;
    size_t dynamicShared;
    void** parameters;
};

/// Throws Fault, or leaves by abandon(), when the kernel does what a kernel must not do.
SIM_API void runGrid(const Launch& launch);

}  // namespace sim
