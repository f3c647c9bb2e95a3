// The headers that emulated kernels are compiled with.
#pragma once

#include "sim.h"

namespace sim {

extern SIM_API const char* const kernelAbiHeader;
extern SIM_API const char* const emulationHeader;

/// Differs between versions of the headers and between processors: a compiled kernel is good for one value only.
SIM_API unsigned long long emulationBuild();

}  // namespace sim
