// The headers in include/ that translated kernels are compiled with.
#pragma once

#include <string>

namespace sim {

/// What goes before the C code of translated PTX.
const std::string& ptxHeaders();

}  // namespace sim
