// A small test runner for the simulator: checks that go on after a failure, a fresh configuration for each test, and the least
// that is needed to load and launch a kernel.
#pragma once

#include "sim.h"

#include <cuda.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace test {

struct Test {
    const char* name;
    void (*run)();
};

std::vector<Test>& tests();
bool add(const char* name, void (*run)());
void fail(const char* file, int line, const std::string& message);

#define TEST(name)                                       \
    static void name();                                  \
    static const bool name##_added = test::add(#name, name); \
    static void name()

#define CHECK(condition) ((condition) ? (void)0 : test::fail(__FILE__, __LINE__, #condition))

/// Compares and shows both sides.
#define EQUAL(expected, actual) test::equal(__FILE__, __LINE__, #actual, (long long)(expected), (long long)(actual))
#define CLOSE(expected, actual) test::close(__FILE__, __LINE__, #actual, expected, actual)
/// A call that must succeed.
#define OK(call) EQUAL(CUDA_SUCCESS, call)
/// cudasimLastFault must contain the text.
#define FAULT(text) test::fault(__FILE__, __LINE__, text)

void equal(const char* file, int line, const char* what, long long expected, long long actual);
void close(const char* file, int line, const char* what, double expected, double actual);
void fault(const char* file, int line, const char* text);

/// A current context on a device, and a stream; all memory and modules made through it end with it.
class Gpu {
public:
    explicit Gpu(int device = 0);
    ~Gpu();
    CUcontext context = nullptr;
    CUstream stream = nullptr;

    CUdeviceptr alloc(size_t bytes);
    template <class T>
    CUdeviceptr upload(const std::vector<T>& values) {
        CUdeviceptr memory = alloc(values.size() * sizeof(T));
        OK(cuMemcpyHtoDAsync_v2(memory, values.data(), values.size() * sizeof(T), stream));
        return memory;
    }
    template <class T>
    std::vector<T> download(CUdeviceptr memory, size_t count) {
        std::vector<T> values(count);
        OK(cuMemcpyDtoHAsync_v2(values.data(), memory, count * sizeof(T), stream));
        return values;
    }
    CUstream newStream();
    CUevent newEvent();
    /// One of a text of PTX, which is loaded for it; or of those in kernels_ptx.h.
    CUfunction kernel(const std::string& text, const char* name);
    CUfunction kernel(const char* name);
    /// Launches on `stream` and answers what cuLaunchKernel says.
    template <class... A>
    CUresult launch(CUfunction f, unsigned blocks, unsigned threads, unsigned shared, A... arguments) {
        void* pointers[] = {&arguments..., nullptr};
        return cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, shared, stream, pointers, nullptr);
    }
    CUresult sync() { return cuStreamSynchronize(stream); }

private:
    int device_;
    std::vector<CUstream> streams_;
    std::vector<CUevent> events_;
    std::vector<CUmodule> modules_;
};

}  // namespace test
