#include "image.h"

#include "headers.h"

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
CUresult open(const char* object, size_t bytes, Image& image) {
    image.file = memfd_create("cudasim-kernels", MFD_CLOEXEC);
    if (image.file < 0 || !writeAll(image.file, object, bytes)) return CUDA_ERROR_OPERATING_SYSTEM;
    std::string path = "/proc/self/fd/" + std::to_string(image.file);
    image.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (image.library) return CUDA_SUCCESS;
    std::fprintf(stderr, "cudasim: %s\n", dlerror());
    return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
}

CUresult loadCompiled(const char* data, Image& image) {
    cudasim_image_header header;
    std::memcpy(&header, data, sizeof header);
    if (header.abi != cudasim_abi || header.build != emulationBuild()) return CUDA_ERROR_INVALID_IMAGE;

    // A cubin runs on its own generation from its minor version on, PTX on everything as new as its architecture.
    const int here = computeCapability(), made = header.architecture;
    const bool runs = made < 0 ? -made <= here : made / 10 == here / 10 && made <= here;
    if (!runs) return made < 0 ? CUDA_ERROR_INVALID_PTX : CUDA_ERROR_NO_BINARY_FOR_GPU;
    if (CUresult status = open(data + sizeof header, header.bytes, image)) return status;
    image.info = static_cast<const cudasim_module_info*>(dlsym(image.library, "cudasim_module"));
    return image.info && image.info->abi == cudasim_abi ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

CUresult loadPtx(const char* text, Image& image, std::string& log) {
    image.program = ptx::load(text);
    log = image.program.log;
    if (image.program.code) return image.program.code;
    if (CUresult status = open(image.program.object.data(), image.program.object.size(), image)) return status;
    image.program.object.clear();
    for (ptx::Kernel& kernel : image.program.kernels) {
        auto call = reinterpret_cast<void (*)(void**)>(dlsym(image.library, kernel.symbol.c_str()));
        if (!call) return CUDA_ERROR_INVALID_IMAGE;
        // Views and structs: which parameters hold addresses is not known, and every access is checked.
        static const unsigned char none[4096] = {};
        if (kernel.parameterBytes.size() >= sizeof none) return CUDA_ERROR_INVALID_PTX;
        image.abi.push_back({kernel.name.c_str(), call, (int)kernel.parameterBytes.size(), kernel.parameterBytes.data(), none,
            kernel.maxThreads});
        char* globals = static_cast<char*>(dlsym(image.library, "cudasim_ptx_globals"));
        char* constants = static_cast<char*>(dlsym(image.library, "cudasim_ptx_constants"));
        kernel.info.own[0].begin = globals;
        kernel.info.own[1].begin = constants;
    }

    return CUDA_SUCCESS;
}

}  // namespace

Image::~Image() {
    if (library) dlclose(library);
    if (file >= 0) close(file);
}

CUresult loadImage(const char* data, Image& image, std::string& log) {
    if (!std::strncmp(data, "CUDASIM CUBIN", sizeof cudasim_image_header::magic)) return loadCompiled(data, image);
    // A text begins with a directive or a comment; whatever else this is, it is no PTX.
    const char* start = data + std::strspn(data, " \t\r\n");
    if (*start != '.' && *start != '/') return CUDA_ERROR_INVALID_IMAGE;
    return loadPtx(data, image, log);
}

}  // namespace sim
