// Configuration and counters: what tests set and read.
#pragma once

#include "sim.h"

namespace sim {

/// True once, when a key that holds a number k is asked for the k-th time since it was set, or, when it holds k+, from then on: faults that
/// tests plan ahead.
SIM_API bool countdown(const char* key);

/// Like countdown, and also when the key holds this name instead of a number.
SIM_API bool countdownOrName(const char* key, const std::string& name);

/// The seed of the adversarial order; 0: work runs in the order it came.
SIM_API unsigned long long seed();

}  // namespace sim
