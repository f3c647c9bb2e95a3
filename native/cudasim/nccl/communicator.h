// A communicator: a rank of a group, what is queued on it and what went wrong.
#pragma once

#include "group.h"

#include <memory>
#include <mutex>

namespace nccl {

/// Buffers of one collective; null `send` where this rank sends nothing.
struct Buffers {
    const void* send;
    void* receive;
    size_t sendBytes;
    size_t receiveBytes;
};

class Communicator : public std::enable_shared_from_this<Communicator> {
public:
    Communicator(const std::string& name, int rank, int size, int device) : group(name, rank, size, device) {}

    /// Queues a collective whose arguments are right.
    CUresult queue(const Call& call, const Buffers& buffers, CUstream stream);

    /// Waits for what was queued, captured graphs aside, and leaves.
    void finish();
    void abort();

    /// What went wrong in the stream.
    ncclResult_t error(std::string* text = nullptr);

    Group group;

private:
    void run(const Call& call, const Buffers& buffers);
    void perform(const Call& call, const Buffers& buffers);
    void fail(ncclResult_t code, const std::string& text);

    std::mutex lock_;
    ncclResult_t error_ = ncclSuccess;
    std::string text_;
    std::atomic<bool> finished_{false};
    std::atomic<bool> busy_{false};
    long long collectives_ = 0;
    // Held by all that is queued, whether it runs or is dropped by a dead device.
    std::shared_ptr<int> queued_ = std::make_shared<int>();
};

}  // namespace nccl
