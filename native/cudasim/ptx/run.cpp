#include "run.h"

#include "memory.h"
#include "recovery.h"

#include <algorithm>
#include <cstring>

__thread cudasim_ptx_launch* cudasim_ptx_here;

namespace sim::ptx {
namespace {

const char* verb(Access::Kind kind) { return kind == Access::Load ? "read" : kind == Access::Store ? "write" : "atomic change"; }

std::string number(uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "%#llx", (unsigned long long)value);
    return text;
}

/// "line 31: read of 4 bytes at 0x…": how every message begins.
std::string what(const Access& access, uint64_t address) {
    return "line " + std::to_string(access.line) + ": " + verb(access.kind) + " of " + std::to_string(access.bytes) + " bytes at " +
        number(address);
}

}  // namespace

void Run::start(const KernelInfo& kernel, int device, void** parameters, char* sharedMemory, size_t dynamicBytes) {
    kernel_ = &kernel;
    device_ = device;
    looksForRaces_ = settingNumber("RACES", 0) != 0;
    races_.start();
    known_.assign(kernel.accesses.size() + 1, {0, 0});
    sites = known_.data();
    shared = sharedMemory;
    shared_bytes = dynamicBytes ? kernel.dynamicOffset + dynamicBytes : kernel.staticShared;
    dynamic_offset = kernel.dynamicOffset;
    dynamic_bytes = (unsigned)dynamicBytes;
    for (int i = 0; i < 5; i++) {
        const uint64_t bytes = 1ull << i;
        shared_room[i] = looksForRaces_ || shared_bytes < bytes ? 0 : shared_bytes - bytes + 1;
    }

    views_.clear();
    for (const ViewPlace& place : kernel.views) {
        uint64_t address;
        int64_t length;
        const char* at = static_cast<const char*>(parameters[place.parameter]) + place.offset;
        std::memcpy(&address, at, sizeof address);
        std::memcpy(&length, at + 8, sizeof length);
        if (!address || length <= 0) length = 0;
        views_.push_back({place, address, address + (uint64_t)length * place.element, false});
    }

    cudasim_ptx_here = this;
}

void Run::stop() {
    cudasim_ptx_here = nullptr;
    races_.start();
}

void Run::startBlock(unsigned number) {
    block_ = number + 1;
    epoch_ = 0;
    races_.startBlock();
    std::fill(std::begin(warpEpochs_), std::end(warpEpochs_), 0);
}

void Run::checkAlignment(const Access& access, uint64_t address) const {
    if (address % access.bytes == 0) return;
    abandon(CUDA_ERROR_MISALIGNED_ADDRESS, (what(access, address) + ": misaligned access, the address is no multiple of " +
        std::to_string(access.bytes)).c_str());
}

// The code does not ask again about these addresses, unless every access must be seen.
void Run::allow(unsigned site, uint64_t begin, uint64_t end) {
    if (looksForRaces_) return;
    known_[site] = {begin, end - begin - kernel_->accesses[site].bytes + 1};
}

void Run::record(bool inShared, const Access& access, uint64_t address) {
    if (!looksForRaces_) return;
    const unsigned thread = (cudasim_here.thread.z * cudasim_here.threads.y + cudasim_here.thread.y) * cudasim_here.threads.x +
        cudasim_here.thread.x;
    Touch touch;
    touch.block = block_;
    touch.thread = thread;
    touch.epoch = (unsigned short)epoch_;
    touch.warpEpoch = (unsigned short)warpEpochs_[thread];
    touch.line = (unsigned)access.line;
    touch.atomic = access.kind == Access::Atomic;
    std::string race = inShared ? races_.shared(address, access, touch) : races_.global(address, access, touch);
    if (race.empty()) return;
    race += inShared ? ", in shared memory at offset " + std::to_string(address) : ", at " + number(address) + describe(address);
    abandon(CUDA_ERROR_LAUNCH_FAILED, race.c_str());
}

bool Run::inOwn(unsigned site, const Access& access, uint64_t address) {
    for (const OwnMemory& own : kernel_->own) {
        const uint64_t begin = (uint64_t)own.begin;
        if (!own.bytes || address < begin || address + access.bytes > begin + own.bytes) continue;
        if (!own.writable && access.kind != Access::Load)
            abandon(CUDA_ERROR_ILLEGAL_ADDRESS, (what(access, address) + ": constant memory").c_str());
        allow(site, begin, begin + own.bytes);
        return true;
    }

    return false;
}

void Run::global(unsigned site, uint64_t address) {
    const Access& access = kernel_->accesses[site];
    checkAlignment(access, address);
    if (inOwn(site, access, address)) {
        record(false, access, address);
        return;
    }

    if (views_.empty()) {
        uint64_t begin = 0, end = 0;
        if (!allocationAround(device_, reinterpret_cast<void*>(address), access.bytes, begin, end))
            abandon(CUDA_ERROR_ILLEGAL_ADDRESS, (what(access, address) + ": illegal access, " +
                describeAddress(reinterpret_cast<void*>(address))).c_str());
        allow(site, begin, end);
        record(false, access, address);
        return;
    }

    for (View& view : views_) {
        if (address < view.begin || address + access.bytes > view.end || address + access.bytes < address) continue;
        if (!view.known && !rangeAccessible(device_, reinterpret_cast<void*>(view.begin), view.end - view.begin))
            abandon(CUDA_ERROR_ILLEGAL_ADDRESS, (what(access, address) + ": " + words(view) + " goes past its memory, " +
                                                 describeAddress(reinterpret_cast<void*>(view.end - 1)) + " is its last byte").c_str());
        view.known = true;
        allow(site, view.begin, view.end);
        record(false, access, address);
        return;
    }

    outsideViews(access, address);
}

std::string Run::words(const View& view) {
    return "the view in parameter " + std::to_string(view.place.parameter) + " at byte " + std::to_string(view.place.offset) + " (" +
           std::to_string((view.end - view.begin) / view.place.element) + " elements of " + std::to_string(view.place.element) +
               " bytes at " + number(view.begin) + ")";
}

std::string Run::describe(uint64_t address) const {
    for (const View& view : views_)
        if (address >= view.begin && address < view.end)
            return ", element " + std::to_string((address - view.begin) / view.place.element) + " of " + words(view);
    return "";
}

void Run::outsideViews(const Access& access, uint64_t address) const {
    const View* nearest = nullptr;
    uint64_t least = ~0ull;
    for (const View& view : views_) {
        if (view.begin == view.end) continue;
        const uint64_t distance = address < view.begin ? view.begin - address : address >= view.end ? address - view.end : 0;
        if (distance >= least) continue;
        least = distance;
        nearest = &view;
    }

    std::string where = ": in no view of the kernel, all of them are empty";
    if (nearest && address < nearest->begin)
        where = ": in no view of the kernel, " + std::to_string(least) + " bytes before " + words(*nearest);
    else if (nearest && address >= nearest->end)
        where = ": in no view of the kernel, " + std::to_string(least) + " bytes behind " + words(*nearest);
    else if (nearest) where = ": in no view of the kernel as a whole, it goes past the end of " + words(*nearest);
    abandon(CUDA_ERROR_ILLEGAL_ADDRESS, (what(access, address) + where).c_str());
}

void Run::sharedAt(unsigned site, uint64_t offset) {
    const Access& access = kernel_->accesses[site];
    checkAlignment(access, offset);
    if (offset + access.bytes > shared_bytes || offset + access.bytes < offset) outside(site, offset, shared_bytes, "shared memory");
    record(true, access, offset);
}

void Run::generic(unsigned site, uint64_t address) {
    const uint64_t begin = (uint64_t)shared;
    if (address < begin || address >= begin + shared_bytes) {
        global(site, address);
        return;
    }

    sharedAt(site, address - begin);
    allow(site, begin, begin + shared_bytes);
}

void Run::outside(unsigned site, uint64_t offset, uint64_t bytes, const char* space) {
    const Access& access = kernel_->accesses[site];
    checkAlignment(access, offset);
    abandon(CUDA_ERROR_ILLEGAL_ADDRESS, (what(access, offset) + ": outside of " + space + ", which has " + std::to_string(bytes) +
        " bytes").c_str());
}

namespace {

Run& here() { return *static_cast<Run*>(cudasim_ptx_here); }

}  // namespace
}  // namespace sim::ptx

void cudasim_ptx_global(unsigned site, unsigned long long address) { sim::ptx::here().global(site, address); }
void cudasim_ptx_shared(unsigned site, unsigned long long offset) { sim::ptx::here().sharedAt(site, offset); }
void cudasim_ptx_generic(unsigned site, unsigned long long address) { sim::ptx::here().generic(site, address); }
void cudasim_ptx_outside(unsigned site, unsigned long long offset, unsigned long long bytes, const char* space) {
    sim::ptx::here().outside(site, offset, bytes, space);
}

void cudasim_ptx_trap(const char* what, int line) {
    char text[120];
    std::snprintf(text, sizeof text, "line %d: %s", line, what);
    sim::abandon(CUDA_ERROR_ILLEGAL_INSTRUCTION, text);
}

// The lane that is read, as the PTX manual computes it.
unsigned long long cudasim_ptx_shuffle(int mode, unsigned value, unsigned lane, unsigned clamp, unsigned mask, int line) {
    const int mine = (int)cudasim_here.lane, by = (int)(lane & 31), end = (int)(clamp & 31), segment = (int)(clamp >> 8 & 31);
    const int most = (mine & segment) | (end & ~segment), least = mine & segment;
    int from;
    bool inside;
    switch (mode) {
        case 0: from = mine - by; inside = from >= most; break;
        case 1: from = mine + by; inside = from <= most; break;
        case 2: from = mine ^ by; inside = from <= most; break;
        default: from = least | (by & ~segment); inside = from <= most; break;
    }

    if (!inside) from = mine;
    return (cudasim_warp(cudasim_shuffle, mask, value, (unsigned)from, line) & 0xffffffffull) | (unsigned long long)inside << 32;
}
