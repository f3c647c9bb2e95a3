// NCCL: collectives of ranks on threads, what they refuse, what happens when a rank fails, stops or goes.
#include "libraries.h"

#include <nccl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

using namespace test;

namespace {

ncclUniqueId newId() {
    ncclUniqueId id;
    EQUAL(ncclSuccess, ncclGetUniqueId(&id));
    return id;
}

// Whatever the ranks do, each on its own thread and device.
void onRanks(int size, const std::function<void(Gpu& gpu, int rank)>& body) {
    cudasimConfigure("DEVICES", std::to_string(size).c_str());
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; rank++) {
        threads.emplace_back([&body, rank] {
            Gpu gpu(rank);
            body(gpu, rank);
        });
    }

    for (std::thread& thread : threads) thread.join();
}

void withCommunicators(int size, const std::function<void(Gpu& gpu, int rank, ncclComm_t comm)>& body) {
    ncclUniqueId id = newId();
    onRanks(size, [&](Gpu& gpu, int rank) {
        ncclComm_t comm = nullptr;
        EQUAL(ncclSuccess, ncclCommInitRank(&comm, size, id, rank));
        body(gpu, rank, comm);
    });
}

ncclResult_t errorOf(ncclComm_t comm) {
    ncclResult_t error = ncclInternalError;
    EQUAL(ncclSuccess, ncclCommGetAsyncError(comm, &error));
    return error;
}

void contains(const char* text, const char* part) {
    if (!std::strstr(text, part)) fail(__FILE__, __LINE__, std::string("\"") + text + "\" is without \"" + part + "\"");
}

}  // namespace

TEST(all_ranks_get_the_same_bits_summed_in_their_order) {
    const float inputs[3] = {1e8f, 1, -1e8f};  // (1e8 + 1) - 1e8 is 0 in single precision; another order gives 1
    withCommunicators(3, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        Array values(gpu, std::vector<float>(100000, inputs[rank]), false), halves(gpu, {rank == 1 ? 2048.0f : 1.0f}, true);
        EQUAL(ncclSuccess, ncclAllReduce(pointer(values.memory), pointer(values.memory), 100000, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclSuccess, ncclAllReduce(pointer(halves.memory), pointer(halves.memory), 1, ncclFloat16, ncclSum, comm, gpu.stream));
        for (float value : values.download(gpu)) EQUAL(0, value);
        // 1 + 2048 is 2048 in half precision, and 2050 is not reached when each sum is rounded.
        EQUAL(2050, halves.download(gpu)[0]);
        EQUAL(ncclSuccess, errorOf(comm));
        EQUAL(ncclSuccess, ncclCommDestroy(comm));
    });
}

TEST(a_captured_collective_is_done_at_each_launch_and_not_after_its_communicator) {
    withCommunicators(2, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        Array values(gpu, {1.0f + (float)rank}, false);
        OK(gpu.sync());
        CUgraph graph = nullptr;
        CUgraphExec exec = nullptr;
        OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_RELAXED));
        EQUAL(ncclSuccess, ncclAllReduce(pointer(values.memory), pointer(values.memory), 1, ncclFloat32, ncclSum, comm, gpu.stream));
        OK(cuStreamEndCapture(gpu.stream, &graph));
        OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
        EQUAL(1 + rank, values.download(gpu)[0]);
        for (int launch = 0; launch < 3; launch++) OK(cuGraphLaunch(exec, gpu.stream));
        EQUAL(12, values.download(gpu)[0]);
        EQUAL(ncclSuccess, ncclCommDestroy(comm));
        cuGraphLaunch(exec, gpu.stream);
        EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
        FAULT("whose communicator has been destroyed");
        cuGraphExecDestroy(exec);
        cuGraphDestroy(graph);
    });
}

TEST(collectives_refuse_wrong_arguments) {
    withCommunicators(2, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        CUdeviceptr memory = gpu.alloc(64);
        void *good = pointer(memory), *odd = pointer(memory + 2);
        auto reduce = [&](void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t on, CUstream stream) { return ncclAllReduce(from, to, count, type, op, on, stream); };
        EQUAL(ncclInvalidArgument, reduce(good, good, 17, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(odd, odd, 2, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(good, pointer(memory + 4), 2, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(nullptr, good, 2, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(good, good, 2, ncclFloat32, ncclMax, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(good, good, 2, ncclInt32, ncclSum, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(good, good, 2, ncclFloat32, ncclSum, nullptr, gpu.stream));
        EQUAL(ncclInvalidArgument, reduce(good, good, 2, ncclFloat32, ncclSum, comm, nullptr));
        EQUAL(ncclInvalidArgument, ncclBroadcast(good, good, 2, ncclInt8, 2, comm, gpu.stream));
        EQUAL(ncclInvalidArgument, ncclAllGather(pointer(memory + 32 * (1 - rank)), good, 32, ncclInt8, comm, gpu.stream));
        EQUAL(ncclSuccess, ncclAllGather(pointer(memory + 32 * rank), good, 32, ncclInt8, comm, gpu.stream));
        EQUAL(ncclSuccess, reduce(nullptr, nullptr, 0, ncclFloat32, ncclSum, comm, gpu.stream));
        OK(gpu.sync());
        EQUAL(ncclSuccess, ncclCommDestroy(comm));
        EQUAL(ncclInvalidArgument, ncclCommDestroy(comm));
        EQUAL(ncclInvalidArgument, reduce(good, good, 2, ncclFloat32, ncclSum, comm, gpu.stream));
        cuMemFree_v2(memory);
    });
}

TEST(joining_refuses_what_is_wrong) {
    ncclUniqueId id = newId();
    ncclComm_t comm = nullptr;
    EQUAL(ncclUnhandledCudaError, ncclCommInitRank(&comm, 1, id, 0));
    std::atomic<int> refused{0};
    {
        Gpu gpu;
        EQUAL(ncclInvalidArgument, ncclCommInitRank(&comm, 2, id, 2));
        EQUAL(ncclInvalidArgument, ncclCommInitRank(&comm, 0, id, 0));
        ncclUniqueId wrong{};
        EQUAL(ncclInvalidArgument, ncclCommInitRank(&comm, 1, wrong, 0));
        cudasimConfigure("NCCL_TIMEOUT", "0");
        EQUAL(ncclSystemError, ncclCommInitRank(&comm, 2, id, 0));
        contains(ncclGetLastError(nullptr), "SIMULATED: ncclCommInitRank: rank 1 did not come");
        cudasimConfigure("NCCL_TIMEOUT", nullptr);

        // Two ranks of one GPU.
        id = newId();
        std::vector<std::thread> threads;
        for (int rank = 0; rank < 2; rank++) {
            threads.emplace_back([&, rank] {
                ncclComm_t own = nullptr;
                OK(cuCtxSetCurrent(gpu.context));
                refused += ncclCommInitRank(&own, 2, id, rank) == ncclInvalidUsage;
            });
        }

        for (std::thread& thread : threads) thread.join();
        EQUAL(2, refused);
        contains(ncclGetLastError(nullptr), "Duplicate GPU");
    }
}

TEST(ranks_that_call_different_things_are_told) {
    withCommunicators(2, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        CUdeviceptr memory = gpu.alloc(64);
        EQUAL(ncclSuccess, ncclAllReduce(pointer(memory), pointer(memory), 4 + rank, ncclFloat32, ncclSum, comm, gpu.stream));
        OK(gpu.sync());
        EQUAL(ncclInvalidUsage, errorOf(comm));
        contains(ncclGetLastError(comm), "ncclAllReduce of 5 elements");
        EQUAL(ncclInvalidUsage, ncclAllReduce(pointer(memory), pointer(memory), 4, ncclFloat32, ncclSum, comm, gpu.stream));
        EQUAL(ncclSuccess, ncclCommAbort(comm));
        cuMemFree_v2(memory);
    });
}

TEST(a_failed_rank_is_noticed_by_the_others_and_nobody_gets_a_result) {
    withCommunicators(3, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        Array in(gpu, {1}, false), out(gpu, {5}, false);
        cudasimConfigure("FAIL_NCCL", "rank1");
        EQUAL(ncclSuccess, ncclAllReduce(pointer(in.memory), pointer(out.memory), 1, ncclFloat32, ncclSum, comm, gpu.stream));
        CHECK(std::isnan(out.download(gpu)[0]));
        EQUAL(rank == 1 ? ncclSystemError : ncclRemoteError, errorOf(comm));
        contains(ncclGetLastError(comm), rank == 1 ? "collective 1 of rank 1: the collective failed, as configured" : " is gone");
        EQUAL(ncclSuccess, ncclCommAbort(comm));
    });
}

TEST(aborting_frees_a_rank_whose_peer_does_not_come) {
    cudasimConfigure("NCCL_TIMEOUT", "600");  // longer than a hanging test is given
    std::atomic<bool> freed{false};
    withCommunicators(2, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        if (rank == 1) {
            while (!freed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            EQUAL(ncclSuccess, ncclCommAbort(comm));
            return;
        }

        Array values(gpu, {1}, false);
        EQUAL(ncclSuccess, ncclBroadcast(pointer(values.memory), pointer(values.memory), 1, ncclFloat32, 1, comm, gpu.stream));
        CUevent after = gpu.newEvent();
        OK(cuEventRecord(after, gpu.stream));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        EQUAL(CUDA_ERROR_NOT_READY, cuEventQuery(after));
        EQUAL(ncclSuccess, ncclCommAbort(comm));
        OK(gpu.sync());
        freed = true;
    });
}

TEST(collectives_of_two_streams_at_once_are_told) {
    std::atomic<bool> freed{false};
    withCommunicators(2, [&](Gpu& gpu, int rank, ncclComm_t comm) {
        if (rank == 1) {
            while (!freed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            EQUAL(ncclSuccess, ncclCommAbort(comm));
            return;
        }

        Array values(gpu, {1, 2}, false);
        CUstream side = gpu.newStream();
        OK(gpu.sync());
        for (CUstream stream : {gpu.stream, side})
            EQUAL(ncclSuccess, ncclAllReduce(pointer(values.memory), pointer(values.memory), 2, ncclFloat32, ncclSum, comm, stream));
        while (errorOf(comm) == ncclSuccess) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EQUAL(ncclInvalidUsage, errorOf(comm));
        contains(ncclGetLastError(comm), "two streams");
        EQUAL(ncclSuccess, ncclCommAbort(comm));
        OK(gpu.sync());
        OK(cuStreamSynchronize(side));
        freed = true;
    });
}
