// The code of a module: a shared object with kernels that once were CUDA C++ or PTX.
#pragma once

#include "api.h"

#include "../ptx/load.h"
#include "grid.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sim {

/// A loaded shared object; kept by the module and by launches that have not run yet.
struct Image {
    Image() = default;
    Image(const Image&) = delete;
    ~Image();

    const cudasim_kernel& kernel(size_t index) const { return info ? info->kernel[index] : abi[index]; }
    const ptx::KernelInfo* ptxOf(size_t index) const { return info ? nullptr : &program.kernels[index].info; }
    size_t kernels() const { return info ? (size_t)info->kernels : abi.size(); }
    int staticShared(size_t index) const { return info ? (int)(info->shared_end - info->shared_begin) : (int)ptxOf(index)->staticShared; }

    void* library = nullptr;
    int file = -1;
    const cudasim_module_info* info = nullptr;  // of CUDA C++; null: PTX
    ptx::Program program;
    std::vector<cudasim_kernel> abi;            // of PTX
    std::mutex running;
};

/// What cuModuleLoadData is given: an image that our NVRTC made, or PTX. The log says what is wrong with PTX, or how it went.
CUresult loadImage(const char* data, Image& image, std::string& log);

}  // namespace sim
