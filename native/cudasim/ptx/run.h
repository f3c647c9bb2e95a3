// A translated kernel while it runs: which memory it may touch.
#pragma once

#include "races.h"
#include "runtime.h"

namespace sim::ptx {

/// One for each thread that runs blocks; used for launch after launch.
class Run : public cudasim_ptx_launch {
public:
    void start(const KernelInfo& kernel, int device, void** parameters, char* sharedMemory, size_t dynamicBytes);
    void stop();

    // What the grid tells while it runs.
    void startBlock(unsigned number);
    void passBarrier() { epoch_++; }
    void passWarpBarrier(unsigned thread) { warpEpochs_[thread]++; }

    // What the code asks.
    void global(unsigned site, uint64_t address);
    void sharedAt(unsigned site, uint64_t offset);
    void generic(unsigned site, uint64_t address);
    [[noreturn]] void outside(unsigned site, uint64_t offset, uint64_t bytes, const char* space);

private:
    struct View {
        ViewPlace place;
        uint64_t begin, end;
        bool known = false;  // it has been found to lie inside an allocation
    };

    void checkAlignment(const Access& access, uint64_t address) const;
    void allow(unsigned site, uint64_t begin, uint64_t end);
    void record(bool inShared, const Access& access, uint64_t address);
    bool inOwn(unsigned site, const Access& access, uint64_t address);
    [[noreturn]] void outsideViews(const Access& access, uint64_t address) const;
    std::string describe(uint64_t address) const;
    static std::string words(const View& view);

    const KernelInfo* kernel_ = nullptr;
    int device_ = 0;
    std::vector<cudasim_site> known_;
    std::vector<View> views_;
    bool looksForRaces_ = false;
    Races races_;
    unsigned block_ = 0, epoch_ = 0;
    unsigned warpEpochs_[1024];
};

}  // namespace sim::ptx
