#include "grid.h"

#include "config.h"
#include "fibre.h"
#include "recovery.h"

#include "../ptx/run.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

__thread cudasim_place cudasim_here;

namespace sim {
namespace {

constexpr unsigned warpSize = 32;

/// What a lane brings to a step of its warp and takes from it.
struct Lane {
    int kind = 0;  // 0: not waiting
    unsigned mask = 0;
    unsigned from = 0;
    int line = 0;
    unsigned long long value = 0;
    unsigned long long result = 0;
};

/// Everything one stream thread needs to run blocks. Kept from launch to launch for its stacks.
class Block {
public:
    void run(const Launch& launch);
    unsigned barrier(int line, bool predicate);
    unsigned long long warp(int kind, unsigned mask, unsigned long long value, unsigned from, int line);

private:
    struct Fibre {
        void* pointer = nullptr;
        bool fresh = true;
        std::unique_ptr<FibreStack> stack;
    };

    static void enter();
    void loop();
    void startThread(unsigned thread);
    void exitThread();
    /// Leaves the running fibre for one that can go on; comes back when this thread is ready again.
    void wait();
    void switchTo(int fibre);
    void resume(unsigned thread);
    bool anyReady() const { return readyHead_ != readyTail_; }
    unsigned takeReady() { return ready_[readyHead_++ % ringSize]; }
    void makeReady(unsigned thread) { ready_[readyTail_++ % ringSize] = (unsigned short)thread; }
    int addFibre();
    void complete(unsigned warp, unsigned mask);
    bool tryComplete(unsigned warp, unsigned lane);
    [[noreturn]] void stuck();
    void begin();

    const Launch* launch_ = nullptr;
    unsigned threads_ = 0;
    struct Thread {
        cudasim_dim3 place;
        int fibre;
    };
    std::vector<Thread> threadsOfBlock_;
    std::vector<unsigned> order_;         // in which the threads of a block are started
    std::vector<Fibre> fibres_;
    std::vector<int> idle_;               // fibres without a thread
    static constexpr unsigned ringSize = 1024;  // a power of two, and as many as a block has threads
    unsigned short ready_[ringSize];      // threads that can go on: those from head to tail, modulo the size
    unsigned readyHead_ = 0, readyTail_ = 0;
    std::vector<Lane> lanes_;
    std::vector<unsigned> living_;        // per warp: lanes that have not ended (nor those not there)
    int barrierLine_ = 0;                 // where the threads at the barrier wait
    unsigned inWarps_ = 0;                // lanes that wait for a step of their warp
    std::vector<unsigned> arrived_;       // per warp: these lanes
    unsigned next_ = 0;                   // into order_
    unsigned atBarrier_ = 0;
    unsigned counting_ = 0, counted_ = 0; // predicates at this barrier and at the last one
    unsigned ended_ = 0;
    unsigned current_ = 0;                // the running thread
    int running_ = -1;                    // and its fibre
    void* main_ = nullptr;
    struct alignas(1024) Shared {
        char bytes[256 << 10];            // more than a block may have
    };
    const std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();
    std::mt19937_64 random_;
    ptx::Run ptx_;
};

thread_local std::unique_ptr<Block> threadBlock;
__attribute__((tls_model("initial-exec"))) thread_local Block* activeBlock = nullptr;

void Block::enter() { activeBlock->loop(); }

void Block::startThread(unsigned thread) {
    current_ = thread;
    threadsOfBlock_[thread].fibre = running_;
    cudasim_here.thread = threadsOfBlock_[thread].place;
    cudasim_here.lane = thread % warpSize;
}

void Block::loop() {
    for (;;) {
        while (next_ < threads_) {
            startThread(order_[next_++]);
            launch_->kernel.call(launch_->parameters);
            exitThread();
            // Threads that a warp's step has set free go first: few stacks are then in use at a time.
            if (anyReady()) break;
        }

        int self = running_;
        idle_.push_back(self);
        if (anyReady()) {
            resume(takeReady());
        } else if (next_ >= threads_) {
            running_ = -1;
            cudasim_switch(&fibres_[self].pointer, main_);
        } else {
            idle_.pop_back();
        }
    }
}

// A lane that ends may be the one that the others of its warp would have waited for.
void Block::exitThread() {
    unsigned warp = current_ / warpSize, lane = current_ % warpSize;
    living_[warp] &= ~(1u << lane);
    ended_++;
    if (!arrived_[warp]) return;
    for (unsigned other = 0; other < warpSize && warp * warpSize + other < threads_; other++)
        if (lanes_[warp * warpSize + other].kind) tryComplete(warp, other);
}

void Block::switchTo(int fibre) {
    int from = running_;
    running_ = fibre;
    Fibre& to = fibres_[fibre];
    if (to.fresh) {
        to.fresh = false;
        to.pointer = to.stack->prepare(&Block::enter);
    }

    cudasim_switch(from < 0 ? &main_ : &fibres_[from].pointer, to.pointer);
}

void Block::resume(unsigned thread) {
    current_ = thread;
    const Thread& next = threadsOfBlock_[thread];
    cudasim_here.thread = next.place;
    cudasim_here.lane = thread % warpSize;
    switchTo(next.fibre);
}

int Block::addFibre() {
    int number = (int)fibres_.size();
    fibres_.emplace_back();
    fibres_.back().stack = std::make_unique<FibreStack>(number);
    return number;
}

void Block::wait() {
    unsigned self = current_;
    if (anyReady()) {
        resume(takeReady());
    } else if (next_ < threads_) {
        if (idle_.empty()) idle_.push_back(addFibre());

        int fibre = idle_.back();
        idle_.pop_back();
        switchTo(fibre);
    } else {
        int from = running_;
        running_ = -1;
        cudasim_switch(&fibres_[from].pointer, main_);
    }

    // Whoever came back here has called resume for this thread.
    if (current_ != self) abandon(CUDA_ERROR_LAUNCH_FAILED, "the simulator lost track of its fibres");
}

unsigned Block::barrier(int line, bool predicate) {
    if (atBarrier_ > 0 && barrierLine_ != line) {
        char text[160];
        std::snprintf(text, sizeof text, "divergent barrier: threads of a block wait at bar.sync in line %d and in line %d", barrierLine_,
            line);
        abandon(CUDA_ERROR_LAUNCH_FAILED, text);
    }

    barrierLine_ = line;
    counting_ += predicate;
    if (++atBarrier_ < threads_) {
        wait();
        return counted_;
    }

    atBarrier_ = 0;
    counted_ = counting_;
    counting_ = 0;
    ptx_.passBarrier();
    if (seed()) std::shuffle(order_.begin(), order_.end(), random_);
    for (unsigned thread : order_)
        if (thread != current_) makeReady(thread);
    return counted_;
}

unsigned long long Block::warp(int kind, unsigned mask, unsigned long long value, unsigned from, int line) {
    unsigned warp = current_ / warpSize, lane = current_ % warpSize;
    if (!(mask >> lane & 1)) abandon(CUDA_ERROR_ILLEGAL_INSTRUCTION, "a lane calls a warp function with a mask that lacks it");
    Lane& mine = lanes_[current_];
    mine.kind = kind;
    mine.mask = mask;
    mine.value = value;
    mine.from = from;
    mine.line = line;
    inWarps_++;
    arrived_[warp] |= 1u << lane;
    if ((mask & living_[warp] & ~arrived_[warp]) || !tryComplete(warp, lane)) wait();
    return lanes_[current_].result;
}

// Completes the step of this lane when all lanes of its mask that still live have come to it.
bool Block::tryComplete(unsigned warp, unsigned lane) {
    Lane* lanes = &lanes_[warp * warpSize];
    const Lane& one = lanes[lane];
    unsigned needed = one.mask & living_[warp];
    if (needed & ~arrived_[warp]) return false;
    for (unsigned rest = needed; rest; rest &= rest - 1) {
        const Lane& other = lanes[__builtin_ctz(rest)];
        if (other.kind != one.kind || other.mask != one.mask || other.line != one.line) {
            if (!(other.mask & 1u << lane)) return false;
            char text[200];
            std::snprintf(text, sizeof text, "divergent warp: lanes of mask %#x meet in line %d and (mask %#x) in line %d", one.mask,
                          one.line, other.mask, other.line);
            abandon(CUDA_ERROR_LAUNCH_FAILED, text);
        }
    }

    complete(warp, needed);
    return true;
}

namespace {

unsigned long long same(const Lane* lanes, unsigned mask, unsigned long long value) {
    unsigned long long found = 0;
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        unsigned lane = __builtin_ctz(rest);
        if (lanes[lane].value == value) found |= 1ull << lane;
    }

    return found;
}

}  // namespace

void Block::complete(unsigned warp, unsigned mask) {
    Lane* lanes = &lanes_[warp * warpSize];
    unsigned long long ballot = 0;
    if (lanes[__builtin_ctz(mask)].kind == cudasim_ballot)
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            unsigned lane = __builtin_ctz(rest);
            ballot |= (unsigned long long)(lanes[lane].value & 1) << lane;
        }

    arrived_[warp] &= ~mask;
    for (unsigned rest = mask; rest; rest &= rest - 1) {
        unsigned number = __builtin_ctz(rest);
        Lane& lane = lanes[number];
        // What comes from a lane that takes no part is undefined.
        if (lane.kind == cudasim_shuffle && !(mask >> lane.from & 1)) {
            char text[160];
            std::snprintf(text, sizeof text,
                "divergent warp: lane %u reads lane %u, which takes no part in the shuffle in line %d (mask %#x)", number, lane.from,
                lane.line, lane.mask);
            abandon(CUDA_ERROR_LAUNCH_FAILED, text);
        }

        if (lane.kind == cudasim_shuffle) lane.result = lanes[lane.from].value;
        else if (lane.kind == cudasim_match) lane.result = same(lanes, mask, lane.value);
        else lane.result = ballot;
        if (lane.kind == cudasim_warp_barrier) ptx_.passWarpBarrier(warp * warpSize + number);
        lane.kind = 0;
        inWarps_--;
        unsigned thread = warp * warpSize + number;
        if (thread != current_) makeReady(thread);
    }
}

void Block::stuck() {
    int warpLine = 0;
    for (const Lane& lane : lanes_)
        if (lane.kind) warpLine = lane.line;

    char text[240];
    if (atBarrier_)
        std::snprintf(text, sizeof text,
            "divergent barrier: %u of %u threads of a block wait at bar.sync in line %d, %u have ended, %u wait for their warp%s",
            atBarrier_, threads_, barrierLine_, ended_, inWarps_, inWarps_ ? (" in line " + std::to_string(warpLine)).c_str() : "");
    else
        std::snprintf(text, sizeof text, "divergent warp: %u lanes wait in line %d for lanes of their mask that never come", inWarps_,
            warpLine);
    abandon(CUDA_ERROR_LAUNCH_FAILED, text);
}

void Block::begin() {
    next_ = atBarrier_ = ended_ = counting_ = 0;
    readyHead_ = readyTail_ = 0;
    inWarps_ = 0;
    for (size_t warp = 0; warp < living_.size(); warp++) {
        unsigned there = std::min(warpSize, threads_ - (unsigned)warp * warpSize);
        living_[warp] = there == warpSize ? ~0u : (1u << there) - 1;
    }

    std::fill(arrived_.begin(), arrived_.end(), 0);
    for (Lane& lane : lanes_) lane.kind = 0;
}

void Block::run(const Launch& launch) {
    launch_ = &launch;
    threads_ = launch.threads.x * launch.threads.y * launch.threads.z;
    threadsOfBlock_.clear();
    for (unsigned z = 0; z < launch.threads.z; z++)
        for (unsigned y = 0; y < launch.threads.y; y++)
            for (unsigned x = 0; x < launch.threads.x; x++) threadsOfBlock_.push_back({{x, y, z}, -1});
    order_.resize(threads_);
    std::iota(order_.begin(), order_.end(), 0u);
    lanes_.assign((threads_ + warpSize - 1) / warpSize * warpSize, Lane());
    living_.assign((threads_ + warpSize - 1) / warpSize, 0);
    arrived_.assign(living_.size(), 0);

    // A launch that was abandoned has left its fibres anywhere.
    idle_.clear();
    for (size_t i = 0; i < fibres_.size(); i++) {
        fibres_[i].fresh = true;
        idle_.push_back((int)(fibres_.size() - 1 - i));
    }

    if (fibres_.empty()) idle_.push_back(addFibre());

    const unsigned long long gx = launch.blocks.x, gy = launch.blocks.y, total = gx * gy * launch.blocks.z;
    unsigned long long stride = 1, offset = 0;
    if (seed()) {
        static std::atomic<unsigned long long> launches{0};
        random_.seed(seed() + 7919 * launches++);
        offset = random_() % total;
        stride = total > 1 ? random_() % total : 1;
        while (std::gcd(stride, total) != 1) stride++;
        if (stride >= total) stride = 1;
        if (random_() & 1) std::reverse(order_.begin(), order_.end());
    }

    cudasim_here.threads = launch.threads;
    cudasim_here.blocks = launch.blocks;
    ptx_.start(launch.kernel.info, launch.device, launch.parameters, shared_->bytes, launch.dynamicShared);
    activeBlock = this;
    for (unsigned long long i = 0; i < total; i++) {
        unsigned long long block = total == 1 ? 0 : (unsigned long long)(((unsigned __int128)i * stride + offset) % total);
        cudasim_here.block = {(unsigned)(block % gx), (unsigned)(block / gx % gy), (unsigned)(block / gx / gy)};
        scribble(shared_->bytes, ptx_.shared_bytes);
        ptx_.startBlock((unsigned)block);
        begin();
        running_ = -1;
        int fibre = idle_.back();
        idle_.pop_back();
        switchTo(fibre);
        if (ended_ != threads_) stuck();
    }

    activeBlock = nullptr;
    ptx_.stop();
}

}  // namespace

void runGrid(const Launch& launch) {
    if (!threadBlock) threadBlock = std::make_unique<Block>();
    std::string message;
    if (CUresult code = guarded([&] { threadBlock->run(launch); }, message)) throw Fault(code, message);
}

}  // namespace sim

void cudasim_barrier(int line) { sim::activeBlock->barrier(line, false); }

unsigned cudasim_barrier_count(int predicate, int line) { return sim::activeBlock->barrier(line, predicate != 0); }

unsigned long long cudasim_warp(int kind, unsigned mask, unsigned long long value, unsigned from, int line) {
    return sim::activeBlock->warp(kind, mask, value, from, line);
}
