// Configuration and counters: what tests set and read.
#pragma once

#include "sim.h"

namespace sim {

/// For a key that holds a number k: true when it is asked for the k-th time since it was set. Faults that tests plan ahead.
/// Several of them may be given, as in "3,4".
SIM_API bool countdown(const char* key);

/// Like countdown, and also when the key holds this name instead of a number.
SIM_API bool countdownOrName(const char* key, const std::string& name);

/// The seed of the adversarial order; 0: work runs in the order it came.
SIM_API unsigned long long seed();

}  // namespace sim
