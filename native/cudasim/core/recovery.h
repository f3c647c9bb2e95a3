// Runs code that may touch what it should not, and lives.
#pragma once

#include "sim.h"

namespace sim {

/// Runs work on this thread. A memory fault, abandon() or a thrown Fault end it; what it had on the stack is then lost without
/// destructors (except for a thrown Fault). Returns the error and says in `message` what happened. May be nested.
SIM_API CUresult guarded(const std::function<void()>& work, std::string& message);

/// Ends the innermost guarded() of this thread, from any stack.
[[noreturn]] SIM_API void abandon(CUresult code, const char* message);

}  // namespace sim
