#include "api.h"

#include "config.h"
#include "grid.h"
#include "image.h"

#include <algorithm>
#include <cstring>

struct CUfunc_st {
    CUmodule module;
    const sim::ptx::Kernel* kernel;
    int dynamicLimit;
};

struct CUmod_st {
    int device;
    std::shared_ptr<sim::Image> image;
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

/// The arguments of a launch, as they were when it was made.
struct Arguments {
    Arguments(const sim::ptx::Kernel& kernel, void* const* parameters) {
        size_t chunks = 0;
        for (unsigned bytes : kernel.parameterBytes) chunks += (bytes + 15) / 16;
        storage.resize(chunks);
        Chunk* at = storage.data();
        for (unsigned bytes : kernel.parameterBytes) {
            std::memcpy(at, parameters[pointers.size()], bytes);
            pointers.push_back(at);
            at += (bytes + 15) / 16;
        }
    }

    struct alignas(16) Chunk {
        char bytes[16];
    };
    std::vector<Chunk> storage;
    std::vector<void*> pointers;
};

void runKernel(int device, const sim::ptx::Kernel& kernel, cudasim_dim3 blocks, cudasim_dim3 threads, size_t dynamicShared,
               const Arguments& arguments) {
    if (sim::countdownOrName("FAIL_LAUNCH", kernel.name.c_str()))
        throw sim::Fault(CUDA_ERROR_LAUNCH_FAILED, "the launch failed, as configured");

    // A kernel may change its parameters, and a graph run them again.
    Arguments mine(kernel, arguments.pointers.data());
    sim::runGrid({kernel, device, blocks, threads, dynamicShared, mine.pointers.data()});
}

// As much of the logs as there is room for, and how much that is.
void fillLogs(unsigned count, const CUjit_option* options, void** values, const std::string& info, const std::string& error) {
    for (const bool isError : {false, true}) {
        const std::string& log = isError ? error : info;
        char* buffer = nullptr;
        size_t room = 0;
        void** size = nullptr;
        for (unsigned i = 0; i < count; i++) {
            if (options[i] == (isError ? CU_JIT_ERROR_LOG_BUFFER : CU_JIT_INFO_LOG_BUFFER)) buffer = static_cast<char*>(values[i]);
            if (options[i] != (isError ? CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES : CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)) continue;
            size = &values[i];
            room = (size_t)(unsigned)reinterpret_cast<uintptr_t>(values[i]);
        }

        if (!buffer || !room) continue;
        const size_t bytes = std::min(log.size(), room - 1);
        std::memcpy(buffer, log.data(), bytes);
        buffer[bytes] = '\0';
        *size = reinterpret_cast<void*>(bytes ? bytes + 1 : 0);
    }
}

}  // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule* module, const void* image) { return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr); }

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned int numOptions, CUjit_option* options, void** optionValues) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(module && image && (!numOptions || (options && optionValues)), CUDA_ERROR_INVALID_VALUE)
    if (CUresult forbidden = sim::forbidInCapture()) return forbidden;
    auto loaded = std::make_shared<sim::Image>();
    std::string log;
    const CUresult status = sim::loadImage(static_cast<const char*>(image), *loaded, log);
    fillLogs(numOptions, options, optionValues, status ? "" : log, status ? log : "");
    if (status) return status;
    sim::count("module_loads");
    sim::count("live_modules");
    *module = new CUmod_st{device, loaded, {}};
    for (const sim::ptx::Kernel& kernel : loaded->program.kernels) {
        auto* function = new CUfunc_st{*module, &kernel, (48 << 10) - (int)kernel.info.staticShared};
        (*module)->functions.push_back(std::unique_ptr<CUfunc_st>(function));
        functions().add(function);
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
        if (function->kernel->name != name) continue;
        *hfunc = function.get();
        return CUDA_SUCCESS;
    }

    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuFuncGetAttribute(int* pi, CUfunction_attribute attrib, CUfunction hfunc) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(pi, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(hfunc && functions().has(hfunc), CUDA_ERROR_INVALID_HANDLE)
    const sim::ptx::KernelInfo& info = hfunc->kernel->info;
    switch (attrib) {
        case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *pi = hfunc->kernel->maxThreads; break;
        case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES: *pi = (int)info.staticShared; break;
        case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: *pi = (int)info.constants; break;
        case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *pi = (int)info.local; break;
        case CU_FUNC_ATTRIBUTE_NUM_REGS: *pi = info.registers; break;
        case CU_FUNC_ATTRIBUTE_PTX_VERSION: *pi = info.version; break;
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
    CUDASIM_REQUIRE(value >= 0 && value + (int)hfunc->kernel->info.staticShared <= sim::sharedBytesOptin(), CUDA_ERROR_INVALID_VALUE)
    hfunc->dynamicLimit = value;
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* numBlocks, CUfunction func, int blockSize, size_t dynamicSMemSize) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(func && functions().has(func), CUDA_ERROR_INVALID_HANDLE)
    CUDASIM_REQUIRE(numBlocks && blockSize > 0, CUDA_ERROR_INVALID_VALUE)
    const int perMultiprocessor = sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, device);
    const long long shared = sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, device);
    const long long each = 1024 + func->kernel->info.staticShared + (long long)dynamicSMemSize;
    long long blocks = blockSize > func->kernel->maxThreads ? 0 : perMultiprocessor / ((blockSize + 31) / 32 * 32);
    if (shared / each < blocks) blocks = shared / each;
    // A warp's registers are given out 256 at a time.
    const long long warps = (blockSize + 31) / 32, words = warps * ((func->kernel->info.registers * 32 + 255) / 256 * 256);
    if (sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, device) / words < blocks)
        blocks = sim::attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, device) / words;
    *numBlocks = (int)(blocks > 32 ? 32 : blocks);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(
    CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
    unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream, void** kernelParams, void** extra) {
    CUDASIM_CURRENT(device)
    CUDASIM_REQUIRE(f && functions().has(f), CUDA_ERROR_INVALID_HANDLE)
    CUDASIM_REQUIRE(f->module->device == device && sim::deviceOf(hStream) == device, CUDA_ERROR_INVALID_HANDLE)
    // Keeps the image as long as the launch may run.
    const std::shared_ptr<const sim::ptx::Kernel> kernel(f->module->image, f->kernel);
    CUDASIM_REQUIRE(!extra && (kernelParams || kernel->parameterBytes.empty()), CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(gridDimX && gridDimY && gridDimZ && blockDimX && blockDimY && blockDimZ, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(gridDimX <= 0x7fffffffu && gridDimY <= 65535 && gridDimZ <= 65535, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(blockDimX <= 1024 && blockDimY <= 1024 && blockDimZ <= 64, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE(blockDimX * blockDimY * blockDimZ <= 1024, CUDA_ERROR_INVALID_VALUE)
    CUDASIM_REQUIRE((int)(blockDimX * blockDimY * blockDimZ) <= kernel->maxThreads, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
    CUDASIM_REQUIRE(sharedMemBytes <= (unsigned)f->dynamicLimit, CUDA_ERROR_INVALID_VALUE)
    const unsigned* required = kernel->info.required;
    CUDASIM_REQUIRE(!required[0] || (blockDimX == required[0] && blockDimY == required[1] && blockDimZ == required[2]),
                    CUDA_ERROR_INVALID_VALUE)
    auto arguments = std::make_shared<const Arguments>(*kernel, kernelParams);
    sim::count("launches");
    cudasim_dim3 blocks{gridDimX, gridDimY, gridDimZ}, threads{blockDimX, blockDimY, blockDimZ};
    return sim::submit(hStream, sim::NodeKind::Kernel, kernel->name,
                       [=] { runKernel(device, *kernel, blocks, threads, sharedMemBytes, *arguments); });
}

}  // extern "C"
