// Streams, events, the adversarial order, planned faults.
#include "kernels_ptx.h"

#include <atomic>
#include <chrono>
#include <thread>

using test::Gpu;

namespace {

std::string seedText(int seed) { return std::to_string(seed); }

// One stream fills, the other copies what it filled: right only if the second waits for the first.
bool waitHolds(Gpu& gpu, bool wait) {
    const int n = 256;
    CUstream second = gpu.newStream();
    CUevent filled = gpu.newEvent();
    CUdeviceptr x = gpu.alloc(n * 4), y = gpu.alloc(n * 4);
    OK(cuMemsetD8Async(y, 0, n * 4, second));
    OK(cuStreamSynchronize(second));
    OK(gpu.launch(gpu.kernel("fill"), 1, n, 0, x, 5));
    OK(cuEventRecord(filled, gpu.stream));
    if (wait) OK(cuStreamWaitEvent(second, filled, 0));
    OK(cuMemcpyDtoDAsync_v2(y, x, n * 4, second));
    OK(cuStreamSynchronize(second));
    OK(gpu.sync());
    return gpu.download<int>(y, n) == std::vector<int>(n, 5);
}

}  // namespace

TEST(WorkOfAStreamRunsInOrder) {
    for (int seed = 0; seed <= 5; seed++) {
        cudasimConfigure("SEED", seedText(seed).c_str());
        Gpu gpu;
        const int n = 1000;
        CUfunction fill = gpu.kernel("fill"), sum = gpu.kernel("add");
        CUdeviceptr x = gpu.alloc(n * 4), y = gpu.alloc(n * 4);
        for (int round = 1; round <= 10; round++) {
            OK(gpu.launch(fill, 4, n / 4, 0, x, round));
            if (round == 1) OK(cuMemsetD8Async(y, 0, n * 4, gpu.stream));
            OK(gpu.launch(sum, 4, n / 4, 0, x, y));
        }

        CHECK(gpu.download<int>(y, n) == std::vector<int>(n, 55));
        EQUAL(20, cudasimCounter("launches"));
        cudasimReset();
    }
}

TEST(AMissingWaitShows) {
    int broken = 0;
    for (int seed = 1; seed <= 20; seed++) {
        cudasimConfigure("SEED", seedText(seed).c_str());
        {
            Gpu gpu;
            CHECK(waitHolds(gpu, true));
        }
        {
            Gpu gpu;
            broken += !waitHolds(gpu, false);
        }
    }

    CHECK(broken >= 3);
    // The mutation that other tests are tried with.
    cudasimConfigure("IGNORE_WAITS", "1");
    broken = 0;
    for (int seed = 1; seed <= 20; seed++) {
        cudasimConfigure("SEED", seedText(seed).c_str());
        Gpu gpu;
        broken += !waitHolds(gpu, true);
    }

    CHECK(broken >= 3);
}

TEST(PinnedMemoryIsReadWhenTheCopyRuns) {
    int early = 0;
    for (int seed = 1; seed <= 20; seed++) {
        cudasimConfigure("SEED", seedText(seed).c_str());
        Gpu gpu;
        int* host = nullptr;
        OK(cuMemHostAlloc((void**)&host, 4, CU_MEMHOSTALLOC_PORTABLE));
        CUdeviceptr x = gpu.alloc(4);
        *host = 1;
        OK(cuMemcpyHtoDAsync_v2(x, host, 4, gpu.stream));
        *host = 2;  // too early
        early += gpu.download<int>(x, 1)[0] == 2;
        // Pageable memory is staged.
        int local = 3;
        OK(cuMemcpyHtoDAsync_v2(x, &local, 4, gpu.stream));
        local = 4;
        EQUAL(3, gpu.download<int>(x, 1)[0]);
        OK(cuMemFreeHost(host));
    }

    CHECK(early >= 3);
}

TEST(EventsSayWhatHasHappened) {
    cudasimConfigure("SEED", "7");
    Gpu gpu;
    CUevent start, end, plain = gpu.newEvent();
    OK(cuEventCreate(&start, CU_EVENT_DEFAULT));
    OK(cuEventCreate(&end, CU_EVENT_DEFAULT));
    float milliseconds = -1;
    OK(cuEventQuery(start));  // never recorded
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, end));
    CUdeviceptr x = gpu.alloc(1 << 20);
    OK(cuEventRecord(start, gpu.stream));
    std::atomic<bool> open{false};
    OK(sim::enqueue(gpu.stream, "gate", [&open] {
        while (!open) std::this_thread::yield();
    }));
    OK(cuMemsetD8Async(x, 1, 1 << 20, gpu.stream));
    OK(cuEventRecord(end, gpu.stream));
    EQUAL(CUDA_ERROR_NOT_READY, cuEventQuery(end));
    open = true;
    OK(cuEventSynchronize(end));
    OK(cuEventQuery(end));
    OK(cuEventElapsedTime(&milliseconds, start, end));
    CHECK(milliseconds > 0);
    OK(cuEventRecord(plain, gpu.stream));
    OK(gpu.sync());
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&milliseconds, start, plain));
    OK(cuEventDestroy_v2(start));
    OK(cuEventDestroy_v2(end));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy_v2(end));
}

// A wait is for the last recording before it, not for later ones.
TEST(WaitsTakeTheRecordingOfTheirTime) {
    Gpu gpu;
    CUstream second = gpu.newStream();
    CUevent event = gpu.newEvent();
    OK(cuStreamWaitEvent(second, event, 0));  // never recorded: no wait
    OK(cuStreamSynchronize(second));
    OK(cuEventRecord(event, gpu.stream));
    OK(cuStreamWaitEvent(second, event, 0));
    OK(cuStreamWaitEvent(gpu.stream, event, 0));
    OK(cuEventRecord(event, second));  // would be a ring if waits looked at the event when they run
    OK(cuStreamSynchronize(second));
    OK(gpu.sync());
}

TEST(LaunchesFailAsPlanned) {
    for (const char* plan : {"3", "fill"}) {
        Gpu gpu;
        CUfunction fill = gpu.kernel("fill"), sum = gpu.kernel("add");
        CUdeviceptr x = gpu.upload(std::vector<int>(4, 1));
        cudasimConfigure("FAIL_LAUNCH", plan);
        OK(gpu.launch(sum, 1, 4, 0, x, x));
        OK(gpu.launch(sum, 1, 4, 0, x, x));
        OK(gpu.sync());
        OK(gpu.launch(fill, 1, 4, 0, x, 9));
        EQUAL(CUDA_ERROR_LAUNCH_FAILED, gpu.sync());
        FAULT("device 0: fill: the launch failed");
        EQUAL(CUDA_ERROR_LAUNCH_FAILED, gpu.launch(sum, 1, 4, 0, x, x));
        EQUAL(CUDA_ERROR_LAUNCH_FAILED, cuMemsetD8Async(x, 0, 4, gpu.stream));
        EQUAL(1, cudasimCounter("faults"));
        cudasimReset();
        OK(gpu.sync());
    }
}

TEST(DevicesGetLost) {
    {
        Gpu gpu;
        CUdeviceptr x = gpu.alloc(64);
        cudasimConfigure("LOSE_DEVICE", "3");
        OK(cuMemsetD8Async(x, 0, 64, gpu.stream));
        OK(cuMemsetD8Async(x, 0, 64, gpu.stream));
        EQUAL(CUDA_ERROR_ECC_UNCORRECTABLE, cuMemsetD8Async(x, 0, 64, gpu.stream));
        EQUAL(CUDA_ERROR_ECC_UNCORRECTABLE, gpu.sync());
        EQUAL(CUDA_ERROR_ECC_UNCORRECTABLE, cuMemFree_v2(x));
    }

    CUcontext context;
    EQUAL(CUDA_ERROR_ECC_UNCORRECTABLE, cuDevicePrimaryCtxRetain(&context, 0));  // for good
    Gpu other(1);
    OK(cuMemsetD8Async(other.alloc(8), 0, 8, other.stream));
    OK(other.sync());
}

TEST(LibraryWorkRunsOnItsStream) {
    Gpu gpu;
    CUdeviceptr x = gpu.upload(std::vector<int>(1000, 3));
    int* values = reinterpret_cast<int*>(x);
    OK(sim::enqueue(gpu.stream, "libraryCall", [=] {
        sim::parallelFor(1000, 10, [=](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) values[i] *= (int)i;
        });
    }));
    std::vector<int> got = gpu.download<int>(x, 1000);
    for (size_t i = 0; i < 1000; i++) EQUAL(3 * i, got[i]);
    EQUAL(1, cudasimCounter("library_calls"));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, sim::enqueue(nullptr, "libraryCall", [] {}));
    EQUAL(0, sim::deviceOf(gpu.stream));

    // A fault on the helper's side is the stream's.
    OK(sim::enqueue(gpu.stream, "libraryCall", [=] {
        sim::parallelFor(64, 1, [=](int64_t begin, int64_t) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            if (begin == 63) values[5000] = 1;
        });
    }));
    EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
    FAULT("libraryCall: illegal access");
    cudasimReset();
    OK(sim::enqueue(gpu.stream, "libraryCall", [] { throw sim::Fault(CUDA_ERROR_MISALIGNED_ADDRESS, "said so"); }));
    EQUAL(CUDA_ERROR_MISALIGNED_ADDRESS, gpu.sync());
    FAULT("libraryCall: said so");
}

TEST(ManyThreadsMayUseOneDevice) {
    cudasimConfigure("SEED", "3");
    Gpu gpu;
    CUfunction fill = gpu.kernel("fill"), sum = gpu.kernel("add");
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            CUstream stream;
            cuCtxSetCurrent(gpu.context);
            wrong += cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING) != CUDA_SUCCESS;
            for (int round = 0; round < 10; round++) {
                CUdeviceptr x = 0;
                std::vector<int> got(500);
                int value = t * 100 + round;
                wrong += cuMemAlloc_v2(&x, 2000) != CUDA_SUCCESS;
                void* filling[] = {&x, &value};
                void* adding[] = {&x, &x};
                wrong += cuLaunchKernel(fill, 2, 1, 1, 250, 1, 1, 0, stream, filling, nullptr) != CUDA_SUCCESS;
                wrong += cuLaunchKernel(sum, 2, 1, 1, 250, 1, 1, 0, stream, adding, nullptr) != CUDA_SUCCESS;
                wrong += cuMemcpyDtoHAsync_v2(got.data(), x, 2000, stream) != CUDA_SUCCESS;
                wrong += got != std::vector<int>(500, 2 * value);
                wrong += cuMemFree_v2(x) != CUDA_SUCCESS;
            }

            cuStreamDestroy_v2(stream);
        });
    for (std::thread& thread : threads) thread.join();
    EQUAL(0, wrong.load());
}
