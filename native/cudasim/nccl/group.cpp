#include "group.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace nccl {

/// One rank's place.
struct alignas(64) Seat {
    std::atomic<int> taken;
    int device;
    std::atomic<uint64_t> arrived;  // meetings that this rank has come to
    Call calls[2];                  // what its staging areas are for
};

/// The shared memory. All zero when it is new.
struct Segment {
    std::atomic<int> size;       // ranks; 0 until the first has joined
    std::atomic<uint32_t> bell;  // goes up when there is something to look at
    Seat seats[maxRanks];
    alignas(4096) char areas[maxRanks][2][chunkBytes];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free, "processes cannot share a lock of a library");

namespace {

using Clock = std::chrono::steady_clock;

// How often whoever waits looks whether the others are still there.
constexpr long lookNanoseconds = 20 * 1000 * 1000;

void ring(Segment* segment) {
    segment->bell++;
    syscall(SYS_futex, &segment->bell, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

void waitForBell(Segment* segment, uint32_t heard) {
    timespec patience{0, lookNanoseconds};
    syscall(SYS_futex, &segment->bell, FUTEX_WAIT, heard, &patience, nullptr, 0);
}

Failure systemFailure(const std::string& what) { return {ncclSystemError, what + ": " + std::strerror(errno)}; }

std::chrono::seconds patience() { return std::chrono::seconds(sim::settingNumber("NCCL_TIMEOUT", 120)); }

struct flock byteOf(int rank) {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = rank;
    range.l_len = 1;
    return range;
}

std::string describe(const Call& call) {
    std::string text = std::string(nameOf(call.kind)) + " of " + std::to_string(call.count) + " elements of type " + std::to_string(call.type);
    return call.kind == Kind::Broadcast ? text + " from rank " + std::to_string(call.root) : text;
}

}  // namespace

const char* nameOf(Kind kind) {
    switch (kind) {
        case Kind::AllReduce: return "ncclAllReduce";
        case Kind::Broadcast: return "ncclBroadcast";
        case Kind::AllGather: return "ncclAllGather";
        default: return "ncclCommInitRank";
    }
}

Group::Group(std::string name, int rank, int size, int device) : rank(rank), size(size), device(device), name_(std::move(name)) {}

Group::~Group() {
    leave();
    if (segment_) munmap(segment_, sizeof(Segment));
    if (look_ >= 0) close(look_);
}

// Whoever comes first makes the memory. Its pages are there from the beginning: a full file system must not show as a bus error.
void Group::attach() {
    lock_ = shm_open(name_.c_str(), O_RDWR | O_CREAT, 0600);
    look_ = shm_open(name_.c_str(), O_RDWR, 0600);
    if (lock_ < 0 || look_ < 0) throw systemFailure("shm_open " + name_);
    if (int error = posix_fallocate(lock_, 0, sizeof(Segment))) {
        errno = error;
        throw systemFailure("no room for " + std::to_string(sizeof(Segment)) + " bytes of shared memory");
    }

    void* memory = mmap(nullptr, sizeof(Segment), PROT_READ | PROT_WRITE, MAP_SHARED, lock_, 0);
    if (memory == MAP_FAILED) throw systemFailure("mmap");
    segment_ = static_cast<Segment*>(memory);
}

void Group::join() {
    // In every outcome the name has done its work: late ranks must not meet those that have given up.
    struct Unlink {
        const std::string& name;
        ~Unlink() { shm_unlink(name.c_str()); }
    } unlink{name_};

    attach();
    int none = 0;
    if (!segment_->size.compare_exchange_strong(none, size) && none != size)
        throw Failure{ncclInvalidArgument, "rank " + std::to_string(rank) + " joins " + std::to_string(size) + " ranks, and another one " + std::to_string(none)};
    struct flock own = byteOf(rank);
    Seat& seat = segment_->seats[rank];
    if (fcntl(lock_, F_OFD_SETLK, &own) != 0 || seat.taken.exchange(1) != 0)
        throw Failure{ncclInvalidArgument, "rank " + std::to_string(rank) + " joins twice"};
    seat.device = device;
    meet();
    for (int other = 0; other < size; other++)
        if (other != rank && segment_->seats[other].device == device)
            throw Failure{ncclInvalidUsage, "Duplicate GPU detected: rank " + std::to_string(rank) + " and rank " + std::to_string(other) + " both on CUDA device " + std::to_string(device)};
}

void Group::exchange(const Call& call, const std::function<void(char*)>& write, const std::function<void(const char* const*)>& read) {
    const int turn = (int)(meetings_ & 1);
    segment_->seats[rank].calls[turn] = call;
    write(area(rank, turn));
    meet();
    const char* areas[maxRanks];
    for (int other = 0; other < size; other++) {
        const Call& theirs = segment_->seats[other].calls[turn];
        if (!(theirs == call))
            throw Failure{ncclInvalidUsage, "rank " + std::to_string(rank) + " calls " + describe(call) + ", rank " + std::to_string(other) + " " + describe(theirs)};
        areas[other] = area(other, turn);
    }

    read(areas);
}

void Group::meet() {
    const uint64_t meeting = ++meetings_;
    segment_->seats[rank].arrived = meeting;
    ring(segment_);
    const auto late = Clock::now() + patience();
    for (;;) {
        const uint32_t heard = segment_->bell;
        int missing = -1;
        for (int other = 0; other < size; other++) {
            Seat& seat = segment_->seats[other];
            if (seat.arrived >= meeting) continue;
            missing = other;
            // It may have come to this meeting and left after it since we looked.
            if (seat.taken && isGone(other) && seat.arrived < meeting)
                throw Failure{aborted_ ? ncclInvalidUsage : ncclRemoteError, "rank " + std::to_string(other) + " is gone: its process died, or it failed or was aborted"};
        }

        if (missing < 0) return;
        if (aborted_) throw Failure{ncclInvalidUsage, "the communicator was aborted"};
        if (sim::deviceStatus(device) != CUDA_SUCCESS) throw Failure{ncclUnhandledCudaError, "the device has failed"};
        if (Clock::now() > late) throw Failure{ncclSystemError, "rank " + std::to_string(missing) + " did not come within " + std::to_string(patience().count()) + " s"};
        waitForBell(segment_, heard);
    }
}

bool Group::isGone(int other) const {
    if (other == rank) return false;
    struct flock lock = byteOf(other);
    return fcntl(look_, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

void Group::abort() {
    aborted_ = true;
    leave();
}

void Group::leave() {
    int file = lock_.exchange(-1);
    if (file < 0) return;
    close(file);
    if (segment_) ring(segment_);
}

char* Group::area(int owner, int turn) const { return segment_->areas[owner][turn]; }

}  // namespace nccl
