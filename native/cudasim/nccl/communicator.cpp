#include "communicator.h"

#include "config.h"
#include "gemm.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace nccl {
namespace {

// Sums in single precision in the order of the ranks, so that every rank gets the same bits. Halves are rounded once, at the end.
void sum(const char* const* areas, int ranks, bool isHalf, size_t count, void* out) {
    constexpr size_t block = 1024;
    float sums[block], addend[block];
    for (size_t start = 0; start < count; start += block) {
        const size_t length = std::min(block, count - start);
        sim::loadRow(areas[0], isHalf, (int64_t)start, (int64_t)length, sums);
        for (int rank = 1; rank < ranks; rank++) {
            sim::loadRow(areas[rank], isHalf, (int64_t)start, (int64_t)length, addend);
            for (size_t i = 0; i < length; i++) sums[i] += addend[i];
        }

        for (size_t i = 0; i < length; i++) sim::store(out, isHalf, (int64_t)(start + i), sums[i]);
    }
}

}  // namespace

CUresult Communicator::queue(const Call& call, const Buffers& buffers, CUstream stream) {
    std::shared_ptr<int> token = sim::isCapturing(stream) ? nullptr : queued_;
    return sim::enqueue(stream, nameOf(call.kind), [self = shared_from_this(), token, call, buffers] { self->run(call, buffers); });
}

void Communicator::finish() {
    while (queued_.use_count() > 1 && sim::deviceStatus(group.device) == CUDA_SUCCESS) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    finished_ = true;
    group.leave();
}

void Communicator::abort() { group.abort(); }

ncclResult_t Communicator::error(std::string* text) {
    std::lock_guard<std::mutex> guard(lock_);
    if (text) *text = text_;
    return error_;
}

void Communicator::run(const Call& call, const Buffers& buffers) {
    if (finished_) throw sim::Fault(CUDA_ERROR_ILLEGAL_ADDRESS, "a graph was launched whose communicator has been destroyed");
    if (!group.aborted() && error() == ncclSuccess) {
        collectives_++;
        try {
            if (sim::countdownOrName("FAIL_NCCL", "rank" + std::to_string(group.rank))) throw Failure{ncclSystemError, "the collective failed, as configured"};
            // The real one would run them one after the other; which comes first would be chance, and not the same on all ranks.
            if (busy_.exchange(true)) throw Failure{ncclInvalidUsage, "collectives of two streams run at the same time"};
            perform(call, buffers);
            busy_ = false;
            return;
        } catch (const Failure& failure) {
            busy_ = false;
            fail(failure.code, std::string(nameOf(call.kind)) + ", collective " + std::to_string(collectives_) + " of rank " + std::to_string(group.rank) + ": " + failure.text);
        }
    }

    // Whoever uses what did not arrive shall notice.
    if (buffers.receive != buffers.send) sim::scribble(buffers.receive, buffers.receiveBytes);
}

void Communicator::perform(const Call& call, const Buffers& buffers) {
    const auto* send = static_cast<const char*>(buffers.send);
    auto* receive = static_cast<char*>(buffers.receive);
    const bool isHalf = call.type == ncclFloat16;
    const bool isSource = call.kind != Kind::Broadcast || call.root == group.rank;
    const size_t total = call.kind == Kind::AllGather ? buffers.sendBytes : buffers.receiveBytes;
    for (size_t offset = 0; offset < total; offset += chunkBytes) {
        const size_t bytes = std::min(chunkBytes, total - offset);
        group.exchange(
            call,
            [&](char* own) {
                if (isSource) std::memcpy(own, send + offset, bytes);
            },
            [&](const char* const* areas) {
                switch (call.kind) {
                    case Kind::AllReduce: sum(areas, group.size, isHalf, bytes / (isHalf ? 2 : 4), receive + offset); break;
                    case Kind::Broadcast: std::memcpy(receive + offset, areas[call.root], bytes); break;
                    default:
                        for (int rank = 0; rank < group.size; rank++) std::memcpy(receive + (size_t)rank * total + offset, areas[rank], bytes);
                }
            });
    }
}

void Communicator::fail(ncclResult_t code, const std::string& text) {
    if (!group.aborted()) {
        std::lock_guard<std::mutex> guard(lock_);
        error_ = code;
        text_ = std::string("SIMULATED: ") + text;
    }

    group.leave();
}

}  // namespace nccl
