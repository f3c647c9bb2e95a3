// Compiles the C code of kernels.
#pragma once

#include <string>

namespace sim::ptx {

/// The shared object of this code: from the folder of what was compiled before (CUDASIM_PTX_CACHE), or made anew. Throws.
std::string compileC(const std::string& code);

}  // namespace sim::ptx
