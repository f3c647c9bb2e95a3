// Runs all tests, or those whose name contains an argument. Exit code 1 when one fails. The last line counts.
#include "kernels_ptx.h"

#include <cmath>
#include <cstring>

namespace test {
namespace {

int failures = 0;
const char* running = "";

}  // namespace

std::vector<Test>& tests() {
    static std::vector<Test> list;
    return list;
}

bool add(const char* name, void (*run)()) {
    tests().push_back({name, run});
    return true;
}

void fail(const char* file, int line, const std::string& message) {
    failures++;
    const char* slash = std::strrchr(file, '/');
    std::printf("%s:%d: %s: %s\n", slash ? slash + 1 : file, line, running, message.c_str());
}

void equal(const char* file, int line, const char* what, long long expected, long long actual) {
    if (expected == actual) return;
    fail(file, line, std::string(what) + " is " + std::to_string(actual) + ", not " + std::to_string(expected) +
        "; last fault: " + cudasimLastFault());
}

void close(const char* file, int line, const char* what, double expected, double actual) {
    if (std::abs(expected - actual) <= 1e-5 * (1 + std::abs(expected))) return;
    fail(file, line, std::string(what) + " is " + std::to_string(actual) + ", not " + std::to_string(expected));
}

void fault(const char* file, int line, const char* text) {
    if (std::strstr(cudasimLastFault(), text)) return;
    fail(file, line, std::string("the last fault says \"") + cudasimLastFault() + "\", without \"" + text + "\"");
}

Gpu::Gpu(int device) : device_(device) {
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&context, device));
    OK(cuCtxSetCurrent(context));
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
}

Gpu::~Gpu() {
    cuCtxSetCurrent(context);
    for (CUmodule module : modules_) cuModuleUnload(module);
    for (CUevent event : events_) cuEventDestroy_v2(event);
    for (CUstream other : streams_) cuStreamDestroy_v2(other);
    cuStreamDestroy_v2(stream);
    cuDevicePrimaryCtxRelease_v2(device_);
    cuCtxSetCurrent(nullptr);
}

CUdeviceptr Gpu::alloc(size_t bytes) {
    CUdeviceptr memory = 0;
    OK(cuMemAlloc_v2(&memory, bytes));
    return memory;
}

CUstream Gpu::newStream() {
    CUstream made = nullptr;
    OK(cuStreamCreate(&made, CU_STREAM_NON_BLOCKING));
    streams_.push_back(made);
    return made;
}

CUevent Gpu::newEvent() {
    CUevent made = nullptr;
    OK(cuEventCreate(&made, CU_EVENT_DISABLE_TIMING));
    events_.push_back(made);
    return made;
}

CUfunction Gpu::kernel(const std::string& text, const char* name) {
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    OK(cuModuleLoadData(&module, text.c_str()));
    OK(cuModuleGetFunction(&function, module, name));
    modules_.push_back(module);
    return function;
}

CUfunction Gpu::kernel(const char* name) { return kernel(kernels, name); }

}  // namespace test

int main(int argc, char** argv) {
    using namespace test;
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    // Whatever the environment of the tests configures is not meant for this one.
    for (const char* key : {"DEVICES", "MEMORY", "COMPUTE_CAPABILITY", "DRIVER_VERSION", "PEER", "SEED", "FAIL_ALLOC", "FAIL_LAUNCH",
             "FAIL_NCCL", "LOSE_DEVICE", "IGNORE_WAITS", "NCCL_TIMEOUT", "RACES"})
        unsetenv((std::string("CUDASIM_") + key).c_str());
    cudasimReset();
    int failed = 0, passed = 0;
    for (const Test& one : tests()) {
        if (argc > 1 && !std::strstr(one.name, argv[1])) continue;
        running = one.name;
        int before = failures;
        cudasimReset();
        one.run();
        cudasimReset();
        for (const char* counter : {"allocations", "pinned", "streams", "events", "modules", "graphs", "graph_execs", "contexts",
                 "communicators"})
            if (const long long left = cudasimCounter((std::string("live_") + counter).c_str()))
                fail(__FILE__, __LINE__, std::to_string(left) + " " + counter + " live at the end");
        failures > before ? failed++ : passed++;
    }

    std::printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
