#include "image.h"

#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

namespace sim {
namespace {

bool writeAll(int file, const char* data, size_t bytes) {
    while (bytes > 0) {
        ssize_t written = write(file, data, bytes);
        if (written <= 0) return false;
        data += written;
        bytes -= (size_t)written;
    }

    return true;
}

// Through a file of its own, so that each module has its variables for itself.
CUresult open(const std::string& object, Image& image) {
    image.file = memfd_create("cudasim-kernels", MFD_CLOEXEC);
    if (image.file < 0 || !writeAll(image.file, object.data(), object.size())) return CUDA_ERROR_OPERATING_SYSTEM;
    std::string path = "/proc/self/fd/" + std::to_string(image.file);
    image.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (image.library) return CUDA_SUCCESS;
    std::fprintf(stderr, "cudasim: %s\n", dlerror());
    return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
}

}  // namespace

Image::~Image() {
    if (library) dlclose(library);
    if (file >= 0) close(file);
}

CUresult loadImage(const char* text, Image& image, std::string& log) {
    // A text begins with a directive or a comment; whatever else this is, it is no PTX.
    const char* start = text + std::strspn(text, " \t\r\n");
    if (*start != '.' && *start != '/') return CUDA_ERROR_INVALID_IMAGE;
    ptx::Program& program = image.program = ptx::load(text);
    log = program.log;
    if (program.code) return program.code;
    if (CUresult status = open(program.object, image)) return status;
    program.object.clear();
    for (ptx::Kernel& kernel : program.kernels) {
        kernel.call = reinterpret_cast<void (*)(void**)>(dlsym(image.library, kernel.symbol.c_str()));
        if (!kernel.call) return CUDA_ERROR_INVALID_IMAGE;
        kernel.info.own[0].begin = static_cast<char*>(dlsym(image.library, "cudasim_ptx_globals"));
        kernel.info.own[1].begin = static_cast<char*>(dlsym(image.library, "cudasim_ptx_constants"));
    }

    return CUDA_SUCCESS;
}

}  // namespace sim
