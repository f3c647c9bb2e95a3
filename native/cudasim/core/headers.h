// The headers that emulated kernels are compiled with.
#pragma once

#include "sim.h"

namespace sim {

extern SIM_API const char* const kernelAbiHeader;
extern SIM_API const char* const emulationHeader;

/// What goes before the C code of translated PTX.
SIM_API const std::string& ptxHeaders();

/// What the processor can do, in its own words: code for one that can do more does not run here.
SIM_API std::string processorFlags();

/// Differs between versions of the headers and between processors: a compiled kernel is good for one value only.
SIM_API unsigned long long emulationBuild();

}  // namespace sim
