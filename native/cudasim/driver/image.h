// The code of a module: a shared object that once was PTX.
#pragma once

#include "../ptx/load.h"

namespace sim {

/// Kept by the module and by launches that have not run yet.
struct Image {
    Image() = default;
    Image(const Image&) = delete;
    ~Image();

    ptx::Program program;
    int file = -1;
    void* library = nullptr;
};

/// From PTX text. The log says what is wrong with it, or how it went.
CUresult loadImage(const char* text, Image& image, std::string& log);

}  // namespace sim
