#include "api.h"

#include "config.h"
#include "grid.h"
#include "headers.h"

#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

/// A loaded shared object; kept by the module and by launches that have not run yet.
struct Image {
    void* library = nullptr;
    int file = -1;
    const cudasim_module_info* info = nullptr;
    std::mutex running;

    ~Image() {
        if (library) dlclose(library);
        if (file >= 0) close(file);
    }

    int staticShared() const { return (int)(info->shared_end - info->shared_begin); }
};

}  // namespace

struct CUfunc_st {
    CUmodule module;
    const cudasim_kernel* kernel;
    int dynamicLimit;
};

struct CUmod_st {
    int device;
    std::shared_ptr<Image> image;
    std::vector<std::unique_ptr<CUfunc_st>> functions;
};

namespace {

sim::Handles<CUmod_st>& modules() {
    static auto& handles = *new sim::Handles<CUmod_st>;
    return handles;
}

sim::Handles<CUfunc_st>& functions() {
    static auto& handles = *new sim::Handles<CUfunc_st>;
    return handles;
}

void unload(CUmodule module) {
    if (!modules().remove(module)) return;
    for (auto& function : module->functions) functions().remove(function.get());
    delete module;
    sim::count("live_modules", -1);
}

const bool registered = [] {
    sim::atContextEnd([](int device) {
        for (CUmodule module : modules().all())
            if (module->device == device) unload(module);
    });
    return true;
}();

bool writeAll(int file, const char* data, size_t bytes) {
    while (bytes > 0) {
        ssize_t written = write(file, data, bytes);
        if (written <= 0) return false;
        data += written;
        bytes -= (size_t)written;
    }

    return true;
}

CUresult open(const cudasim_image_header& header, const char* object, Image& image) {
    image.file = memfd_create("cudasim-kernels", MFD_CLOEXEC);
    if (image.file < 0 || !writeAll(image.file, object, header.bytes)) return CUDA_ERROR_OPERATING_SYSTEM;
    std::string path = "/proc/self/fd/" + std::to_string(image.file);
    image.library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!image.library) {
        std::fprintf(stderr, "cudasim: %s\n", dlerror());
        return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
    }

    image.info = static_cast<const cudasim_module_info*>(dlsym(image.library, "cudasim_module"));
    return image.info && image.info->abi == cudasim_abi ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

/// The arguments of a launch, as they were when it was made.
struct Arguments {
    explicit Arguments(const cudasim_kernel& kernel, void** parameters) {
        size_t bytes = 0;
        for (int i = 0; i < kernel.parameters; i++) bytes += (kernel.sizes[i] + 15) / 16 * 16;
        storage.resize(bytes / 16);
        char* at = reinterpret_cast<char*>(storage.data());
        for (int i = 0; i < kernel.parameters; i++) {
            std::memcpy(at, parameters[i], kernel.sizes[i]);
            pointers.push_back(at);
            at += (kernel.sizes[i] + 15) / 16 * 16;
        }
    }

    struct alignas(16) Chunk {
        char bytes[16];
    };
    std::vector<Chunk> storage;
    std::vector<void*> pointers;
};

void runKernel(int device, const std::shared_ptr<Image>& image, const cudasim_kernel* kernel, cudasim_dim3 blocks, cudasim_dim3 threads,
               size_t dynamicShared, const Arguments& arguments) {
    if (sim::countdownOrName("FAIL_LAUNCH", kernel->name)) throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "the launch failed, as configured");
    for (int i = 0; i < kernel->parameters; i++) {
        if (!kernel->pointers[i]) continue;
        void* address;
        std::memcpy(&address, arguments.pointers[(size_t)i], sizeof address);
        if (sim::kernelMayHave(device, address)) continue;
        int owner = sim::ownerOf(address);
        char text[320];
        std::snprintf(text, sizeof text, "parameter %d is %p: %s%s", i, address, sim::describeAddress(address).c_str(),
                      owner >= 0 ? ", which is a peer without access" : "");
        throw sim::Fault(CUDA_ERROR_ILLEGAL_ADDRESS, text);
    }

    // A kernel may change its parameters, and a graph run them again.
    Arguments mine(*kernel, const_cast<void**>(arguments.pointers.data()));
    sim::runGrid({kernel, image->info, &image->running, blocks, threads, dynamicShared, mine.pointers.data()});
}

}  // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(module && image, CUDA_ERROR_INVALID_VALUE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    cudasim_image_header header;
    CUDASIM_REQUIRE(!std::strncmp(static_cast<const char*>(image), "CUDASIM CUBIN", sizeof header.magic), CUDA_ERROR_INVALID_IMAGE)
    std::memcpy(&header, image, sizeof header);
    CUDASIM_REQUIRE(header.abi == cudasim_abi && header.build == sim::emulationBuild(), CUDA_ERROR_INVALID_IMAGE)

    // A cubin runs on its own generation from its minor version on, PTX on everything as new as its architecture.
    const int here = sim::computeCapability(), made = header.architecture;
    const bool runs = made < 0 ? -made <= here : made / 10 == here / 10 && made <= here;
    CUDASIM_REQUIRE(runs, made < 0 ? CUDA_ERROR_INVALID_PTX : CUDA_ERROR_NO_BINARY_FOR_GPU)
    auto loaded = std::make_shared<Image>();
    if (CUresult status = open(header, static_cast<const char*>(image) + sizeof header, *loaded)) return status;
    sim::count("module_loads");
    sim::count("live_modules");
    *module = new CUmod_st{device, loaded, {}};
    for (int i = 0; i < loaded->info->kernels; i++) {
        int limit = (48 << 10) - loaded->staticShared();
        (*module)->functions.push_back(std::unique_ptr<CUfunc_st>(new CUfunc_st{*module, &loaded->info->kernel[i], limit < 0 ? 0 : limit}));
        functions().add((*module)->functions.back().get());
    }

    modules().add(*module);
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule hmod) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(hmod && modules().has(hmod), CUDA_ERROR_INVALID_HANDLE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    unload(hmod);
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* hfunc, CUmodule hmod, const char* name) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(hfunc && name, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(hmod && modules().has(hmod), CUDA_ERROR_INVALID_HANDLE)
    for (auto& function : hmod->functions) {
        if (std::strcmp(function->kernel->name, name)) continue;
        *hfunc = function.get();
        return CUDA_SUCCESS;
    }

    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int* pi, CUfunction_attribute attrib, CUfunction hfunc) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(pi, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(hfunc && functions().has(hfunc), CUDA_ERROR_INVALID_HANDLE)
    switch (attrib) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *pi = hfunc->kernel->max_threads; break;
        case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *pi = hfunc->module->image->staticShared(); break;
        case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
        case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *pi = 0; break;
        case CU_FUNC_ATTRIBUTE_NUM_REGS: *pi = 32; break;
        case CU_FUNC_ATTRIBUTE_PTX_VERSION:
        case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *pi = sim::computeCapability(); break;
        case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *pi = hfunc->dynamicLimit; break;
        default: return CUDA_ERROR_INVALID_VALUE;
    }

    return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(hfunc && functions().has(hfunc), CUDA_ERROR_INVALID_HANDLE)
    if (attrib == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
        return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    CUDASIM_REQUIRE(attrib == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(value >= 0 && value + hfunc->module->image->staticShared() <= sim::sharedBytesOptin(), CUDA_ERROR_INVALID_VALUE)
    hfunc->dynamicLimit = value;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* numBlocks, CUfunction func, int blockSize, size_t dynamicSMemSize) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(func && functions().has(func), CUDA_ERROR_INVALID_HANDLE)
    CUDASIM_REQUIRE(numBlocks && blockSize > 0, CUDA_ERROR_INVALID_VALUE)
    const int perMultiprocessor = sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, device);
    const long long shared = sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, device);
    const long long each = 1024 + func->module->image->staticShared() + (long long)dynamicSMemSize;
    long long blocks = blockSize > func->kernel->max_threads ? 0 : perMultiprocessor / ((blockSize + 31) / 32 * 32);
    if (shared / each < blocks) blocks = shared / each;
    *numBlocks = (int)(blocks > 32 ? 32 : blocks);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
    unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams, void** extra) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(f && functions().has(f), CUDA_ERROR_INVALID_HANDLE)
    CUDASIM_REQUIRE(f->module->device == device && sim::deviceOf(hStream) == device, CUDA_ERROR_INVALID_HANDLE)
    const cudasim_kernel* kernel = f->kernel;
    CUDASIM_REQUIRE(!extra && (kernelParams || kernel->parameters == 0), CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(gridDimX && gridDimY && gridDimZ && blockDimX && blockDimY && blockDimZ, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(gridDimX <= 0x7fffffffu && gridDimY <= 65535 && gridDimZ <= 65535, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(blockDimX <= 1024 && blockDimY <= 1024 && blockDimZ <= 64, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(blockDimX * blockDimY * blockDimZ <= 1024, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE((int)(blockDimX * blockDimY * blockDimZ) <= kernel->max_threads, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
    CUDASIM_REQUIRE(sharedMemBytes <= (unsigned)f->dynamicLimit, CUDA_ERROR_INVALID_VALUE)
    auto arguments = std::make_shared<const Arguments>(*kernel, kernelParams);
    std::shared_ptr<Image> image = f->module->image;
    sim::count("launches");
    cudasim_dim3 blocks{gridDimX, gridDimY, gridDimZ}, threads{blockDimX, blockDimY, blockDimZ};
    return sim::submit(hStream, sim::NodeKind::Kernel, kernel->name,
                       [=] { runKernel(device, image, kernel, blocks, threads, sharedMemBytes, *arguments); });
}

}  // extern "C"
