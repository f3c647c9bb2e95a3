// Stream capture and graphs.
#include "kernels_ptx.h"

#include <thread>

using test::Gpu;

namespace {

CUgraphExec instantiate(CUgraph graph) {
    CUgraphExec executable = nullptr;
    OK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    OK(cuGraphDestroy(graph));
    return executable;
}

size_t nodesOf(CUgraph graph) {
    size_t count = 0;
    OK(cuGraphGetNodes(graph, nullptr, &count));
    return count;
}

}  // namespace

TEST(AGraphRepeatsWhatWasCaptured) {
    Gpu gpu;
    CUfunction increase = gpu.kernel("increase"), multiply = gpu.kernel("multiply");
    int* host = nullptr;
    OK(cuMemHostAlloc((void**)&host, 32, 0));
    CUdeviceptr x = gpu.alloc(32);
    int ran = 0;
    OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(sim::isCapturing(gpu.stream));
    OK(cuMemcpyHtoDAsync_v2(x, host, 32, gpu.stream));
    OK(gpu.launch(increase, 1, 8, 0, x, 2));
    OK(gpu.launch(multiply, 1, 8, 0, x, 3));
    OK(sim::enqueue(gpu.stream, "libraryCall", [&ran] { ran++; }));
    OK(cuMemcpyDtoHAsync_v2(host, x, 32, gpu.stream));
    CUgraph graph = nullptr;
    OK(cuStreamEndCapture(gpu.stream, &graph));
    CHECK(!sim::isCapturing(gpu.stream));
    EQUAL(5, nodesOf(graph));
    for (int i = 0; i < 8; i++) host[i] = i;
    OK(gpu.sync());
    EQUAL(0, ran);
    EQUAL(7, host[7]);  // nothing has run
    CUgraphExec executable = instantiate(graph);
    for (int i = 0; i < 3; i++) OK(cuGraphLaunch(executable, gpu.stream));
    OK(gpu.sync());
    EQUAL(3, ran);
    for (int i = 0; i < 8; i++) EQUAL((((i + 2) * 3 + 2) * 3 + 2) * 3, host[i]);
    EQUAL(3, cudasimCounter("graph_launches"));
    OK(cuGraphExecDestroy(executable));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuGraphExecDestroy(executable));
    OK(cuMemFreeHost(host));
}

TEST(CapturesForkAndJoin) {
    for (const char* seed : {"0", "1", "2", "3", "4", "5"}) {
        cudasimConfigure("SEED", seed);
        Gpu gpu;
        CUstream side = gpu.newStream();
        CUevent forked = gpu.newEvent(), joined = gpu.newEvent();
        CUfunction increase = gpu.kernel("increase"), multiply = gpu.kernel("multiply"), combine = gpu.kernel("combine");
        CUdeviceptr x = gpu.upload(std::vector<int>(8, 1)), y = gpu.upload(std::vector<int>(8, 2)), z = gpu.alloc(32);
        OK(gpu.sync());
        OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(gpu.launch(increase, 1, 8, 0, y, 1));
        OK(cuEventRecord(forked, gpu.stream));
        OK(cuStreamWaitEvent(side, forked, 0));
        OK(gpu.launch(increase, 1, 8, 0, x, 1));
        int ten = 10;
        void* onSide[] = {&y, &ten};
        OK(cuLaunchKernel(multiply, 1, 1, 1, 8, 1, 1, 0, side, onSide, nullptr));
        OK(cuEventRecord(joined, side));
        OK(cuStreamWaitEvent(gpu.stream, joined, 0));
        OK(gpu.launch(combine, 1, 8, 0, x, y, z));
        CUgraph graph = nullptr;
        OK(cuStreamEndCapture(gpu.stream, &graph));
        EQUAL(4, nodesOf(graph));
        CUgraphExec executable = instantiate(graph);
        OK(cuGraphLaunch(executable, gpu.stream));
        CHECK(gpu.download<int>(z, 8) == std::vector<int>(8, 2030));
        OK(cuGraphLaunch(executable, gpu.stream));
        CHECK(gpu.download<int>(z, 8) == std::vector<int>(8, 3310));
        OK(cuGraphExecDestroy(executable));
    }
}

TEST(AForkedStreamMustJoin) {
    Gpu gpu;
    CUstream side = gpu.newStream();
    CUevent forked = gpu.newEvent();
    CUfunction increase = gpu.kernel("increase");
    CUdeviceptr x = gpu.alloc(32);
    int one = 1;
    void* onSide[] = {&x, &one};
    CUgraph graph = nullptr;
    OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuEventRecord(forked, gpu.stream));
    OK(cuStreamWaitEvent(side, forked, 0));
    OK(cuLaunchKernel(increase, 1, 1, 1, 8, 1, 1, 0, side, onSide, nullptr));
    EQUAL(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(gpu.stream, &graph));
    CHECK(!graph);
    EQUAL(CUDA_ERROR_CAPTURED_EVENT, cuStreamWaitEvent(gpu.stream, forked, 0));  // an event of a capture that is over
    OK(cuLaunchKernel(increase, 1, 1, 1, 8, 1, 1, 0, side, onSide, nullptr));
    OK(cuStreamSynchronize(side));
}

TEST(WhatBreaksACapture) {
    Gpu gpu;
    CUevent before = gpu.newEvent();
    OK(cuEventRecord(before, gpu.stream));
    CUfunction increase = gpu.kernel("increase");
    CUdeviceptr x = gpu.alloc(32);
    OK(gpu.sync());
    struct Case {
        CUresult expected;
        std::function<CUresult()> call;
    };
    char host[32] = {};
    CUdeviceptr memory = 0;
    void* pinned = nullptr;
    CUmodule module = nullptr;
    const Case cases[] = {
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuMemAlloc_v2(&memory, 16); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuMemFree_v2(x); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuMemHostAlloc(&pinned, 16, 0); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuStreamSynchronize(gpu.stream); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuCtxSynchronize(); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuEventQuery(before); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuModuleLoadData(&module, test::kernels.c_str()); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] { return cuMemcpyHtoDAsync_v2(x, host, 32, gpu.stream); }},
        {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, [&] { return cuStreamWaitEvent(gpu.stream, before, 0); }},
        {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, [&] {
             // Another thread's call is as bad, in a global capture.
             CUresult result = CUDA_SUCCESS;
             std::thread([&] {
                 cuCtxSetCurrent(gpu.context);
                 result = cuMemAlloc_v2(&memory, 16);
             }).join();
             return result;
         }},
    };
    int number = 0;
    for (const Case& one : cases) {
        CUgraph graph = nullptr;
        OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(gpu.launch(increase, 1, 8, 0, x, 1));
        CUresult got = one.call();
        if (got != one.expected) test::fail(__FILE__, __LINE__, "case " + std::to_string(number) + " gives " + std::to_string(got));
        EQUAL(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, gpu.launch(increase, 1, 8, 0, x, 1));
        EQUAL(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(gpu.stream, &graph));
        OK(gpu.launch(increase, 1, 8, 0, x, 1));  // the stream works again
        OK(gpu.sync());
        number++;
    }

    CUgraph graph = nullptr;
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuStreamEndCapture(gpu.stream, &graph));
    OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    std::thread([&] {
        cuCtxSetCurrent(gpu.context);
        OK(cuMemAlloc_v2(&memory, 16));
        CUgraph theirs = nullptr;
        EQUAL(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, cuStreamEndCapture(gpu.stream, &theirs));
    }).join();
    OK(cuStreamEndCapture(gpu.stream, &graph));
    OK(cuGraphDestroy(graph));
}

// A graph whose memory is gone faults when it is launched, and says in which kernel.
TEST(GraphsOutliveTheirMemoryBadly) {
    Gpu gpu;
    CUdeviceptr x = gpu.alloc(32);
    CUgraph graph = nullptr;
    CUfunction increase = gpu.kernel("increase");
    OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(gpu.launch(increase, 1, 8, 0, x, 1));
    OK(cuStreamEndCapture(gpu.stream, &graph));
    CUgraphExec executable = instantiate(graph);
    OK(cuMemFree_v2(x));
    OK(cuGraphLaunch(executable, gpu.stream));
    EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
    FAULT("increase: line ");
    FAULT("where nothing is allocated (any more)");
    OK(cuGraphExecDestroy(executable));
}
