// The ranks of one communicator, threads of one process or processes of one machine, and the shared memory they meet in.
//
// All ranks run the same sequence of exchanges. In each one a rank fills its staging area, comes to the meeting and, when all have
// come, reads the areas of the others. There are two areas for each rank, used in turn: whoever fills one has seen all ranks at the
// meeting after the one that it was read in.
//
// A rank holds a lock on its byte of the shared memory's file from joining to leaving. The kernel gives the lock back when a process
// dies, however it does, so that the others can tell who is late from who is gone.
#pragma once

#include "device.h"

#include <nccl.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace nccl {

/// A GPU belongs to one rank only.
constexpr int maxRanks = sim::maxDevices;

constexpr size_t chunkBytes = 128 * 1024;

/// What goes wrong with a collective.
struct Failure {
    ncclResult_t code;
    std::string text;
};

enum class Kind { None, AllReduce, Broadcast, AllGather };

/// What all ranks must agree on.
struct Call {
    Kind kind;
    ncclDataType_t type;
    int root;
    uint64_t count;

    bool operator==(const Call& other) const { return kind == other.kind && type == other.type && root == other.root && count == other.count; }
};

const char* nameOf(Kind kind);

struct Segment;

class Group {
public:
    Group(std::string name, int rank, int size, int device);
    ~Group();
    Group(const Group&) = delete;

    /// Waits until all ranks have joined. Throws Failure: a rank joins twice, with another size, or with a GPU that another has.
    void join();

    /// Calls `write` with this rank's staging area, and when all ranks have written, `read` with everybody's.
    /// Throws Failure when a rank is gone, calls something else or does not come, and when this one is aborted.
    void exchange(const Call& call, const std::function<void(char* own)>& write, const std::function<void(const char* const* areas)>& read);

    /// Makes exchanges of this rank end, whoever they wait for. From any thread.
    void abort();
    bool aborted() const { return aborted_; }

    /// The others shall not wait for this rank any more.
    void leave();

    const int rank;
    const int size;
    const int device;

private:
    void attach();
    void meet();
    bool isGone(int other) const;
    char* area(int owner, int turn) const;

    const std::string name_;
    std::atomic<int> lock_{-1};  // file that holds this rank's lock
    int look_ = -1;              // another one, to ask for the locks of others: a file does not see its own
    Segment* segment_ = nullptr;
    uint64_t meetings_ = 0;
    std::atomic<bool> aborted_{false};
};

}  // namespace nccl
