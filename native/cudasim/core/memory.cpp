#include "memory.h"

#include "config.h"
#include "device.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace sim {
namespace {

constexpr size_t page = 4096;
constexpr size_t alignment = 256;
constexpr unsigned char pattern = 0xA5;
constexpr size_t tileBytes = size_t(64) << 20;

struct Allocation {
    uintptr_t begin;    // what the caller got
    size_t bytes;       // what the caller asked for
    uintptr_t pages;    // first byte of the pages
    size_t pageBytes;
};

struct Region {
    uintptr_t base = 0;
    size_t size = 0;
    uintptr_t next = 0;
    size_t used = 0;
    std::map<uintptr_t, Allocation> live;  // by the first byte of the pages

    const Allocation* find(uintptr_t address) const {
        if (address < base || address >= base + size) return nullptr;
        auto after = live.upper_bound(address);
        if (after == live.begin()) return nullptr;
        const Allocation& candidate = std::prev(after)->second;
        return address < candidate.pages + candidate.pageBytes ? &candidate : nullptr;
    }
};

struct Memory {
    std::shared_mutex mutex;
    Region regions[maxDevices + 1];  // the last one: pinned
};

Memory& memory() {
    static Memory& instance = *new Memory;
    return instance;
}

Region& regionOf(int device) { return memory().regions[device == pinned ? maxDevices : device]; }

bool reserve(Region& region) {
    if (region.base) return true;
    for (size_t size = size_t(1) << 38; size >= size_t(1) << 33; size >>= 1) {
        void* base = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) continue;
        region.base = region.next = (uintptr_t)base;
        region.size = size;
        return true;
    }

    return false;
}

// The next place with a guard page on both sides, going round through the region; 0 when there is none.
uintptr_t findPlace(Region& region, size_t bytes) {
    for (int round = 0; round < 2; round++) {
        uintptr_t place = (round == 0 ? region.next : region.base) + page;
        while (place + bytes + page <= region.base + region.size) {
            auto behind = region.live.lower_bound(place);
            const Allocation* before = behind == region.live.begin() ? nullptr : &std::prev(behind)->second;
            if (before && before->pages + before->pageBytes + page > place) {
                place = before->pages + before->pageBytes + page;
                continue;
            }

            if (behind == region.live.end() || place + bytes + page <= behind->second.pages) return place;
            place = behind->second.pages + behind->second.pageBytes + page;
        }
    }

    return 0;
}

// A file of garbage whose pages are copied when first written: large allocations must not cost memory that nobody touches.
int garbageFile() {
    static int file = [] {
        int created = memfd_create("cudasim-garbage", MFD_CLOEXEC);
        if (created < 0 || ftruncate(created, tileBytes)) return -1;
        void* view = mmap(nullptr, tileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, created, 0);
        if (view == MAP_FAILED) return -1;
        std::memset(view, 0xFF, tileBytes);
        munmap(view, tileBytes);
        return created;
    }();
    return file;
}

bool mapGarbage(uintptr_t at, size_t bytes) {
    if (bytes <= tileBytes || garbageFile() < 0) {
        void* mapped = mmap((void*)at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) return false;
        scribble(mapped, bytes);
        return true;
    }

    for (size_t done = 0; done < bytes; done += tileBytes) {
        size_t part = std::min(tileBytes, bytes - done);
        if (mmap((void*)(at + done), part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, garbageFile(), 0) == MAP_FAILED)
            return false;
    }

    return true;
}

void unmap(uintptr_t at, size_t bytes) {
    mmap((void*)at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

std::string words(const Allocation& a) {
    char text[96];
    std::snprintf(text, sizeof text, "an allocation of %zu bytes at %#zx", a.bytes, (size_t)a.begin);
    return text;
}

std::string overrun(const Allocation& a) {
    auto damaged = [](uintptr_t from, uintptr_t to) {
        for (uintptr_t p = from; p < to; p++)
            if (*(const volatile unsigned char*)p != pattern) return true;
        return false;
    };
    if (damaged(a.begin + a.bytes, a.pages + a.pageBytes)) return "written behind the end of " + words(a);
    if (damaged(a.pages, a.begin)) return "written before the start of " + words(a);
    return "";
}

bool inside(const Region& region, const void* address, size_t bytes) {
    const Allocation* a = region.find((uintptr_t)address);
    uintptr_t begin = (uintptr_t)address;
    return a && begin >= a->begin && begin + bytes <= a->begin + a->bytes && begin + bytes >= begin;
}

}  // namespace

void scribble(void* address, size_t bytes) { std::memset(address, 0xFF, bytes); }

void* allocate(int device, size_t bytes) {
    std::unique_lock<std::shared_mutex> lock(memory().mutex);
    Region& region = regionOf(device);
    size_t start = (bytes + alignment - 1) / alignment * alignment;
    size_t pageBytes = (start + page - 1) / page * page;
    if (device != pinned && region.used + pageBytes > totalBytes()) return nullptr;
    if (!reserve(region)) return nullptr;
    uintptr_t place = findPlace(region, pageBytes);
    if (!place || !mapGarbage(place, pageBytes)) {
        if (place) unmap(place, pageBytes);
        return nullptr;
    }

    uintptr_t begin = place + pageBytes - start;
    Allocation a{begin, bytes, place, pageBytes};
    std::memset((void*)place, pattern, begin - place);
    std::memset((void*)(begin + bytes), pattern, place + pageBytes - begin - bytes);
    region.live[place] = a;
    region.next = place + pageBytes;
    region.used += pageBytes;
    if (device == pinned) {
        count("live_pinned");
    } else {
        count("live_allocations");
        count("live_bytes", (long long)bytes);
        long long peak = cudasimCounter("live_bytes") - cudasimCounter("peak_bytes");
        if (peak > 0) count("peak_bytes", peak);
    }

    return (void*)begin;
}

CUresult release(int device, void* address) {
    std::unique_lock<std::shared_mutex> lock(memory().mutex);
    Region& region = regionOf(device);
    const Allocation* found = region.find((uintptr_t)address);
    if (!found || found->begin != (uintptr_t)address) return CUDA_ERROR_INVALID_VALUE;
    Allocation a = *found;
    std::string wrong = overrun(a);
    unmap(a.pages, a.pageBytes);
    region.used -= a.pageBytes;
    region.live.erase(a.pages);
    count(device == pinned ? "live_pinned" : "live_allocations", -1);
    if (device != pinned) count("live_bytes", -(long long)a.bytes);
    lock.unlock();
    if (wrong.empty()) return CUDA_SUCCESS;
    int blamed = device == pinned ? std::max(0, currentDevice()) : device;
    kill(blamed, CUDA_ERROR_ILLEGAL_ADDRESS, "found when it was freed: " + wrong);
    return CUDA_ERROR_ILLEGAL_ADDRESS;
}

void freeAllOn(int device) {
    std::unique_lock<std::shared_mutex> lock(memory().mutex);
    Region& region = regionOf(device);
    for (auto& entry : region.live) {
        unmap(entry.second.pages, entry.second.pageBytes);
        count("live_allocations", -1);
        count("live_bytes", -(long long)entry.second.bytes);
    }

    region.live.clear();
    region.used = 0;
}

size_t totalBytes() { return (size_t)settingNumber("MEMORY", 4LL << 30); }

size_t usedBytes(int device) {
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    return regionOf(device).used;
}

int ownerOf(const void* address) {
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    for (int index = 0; index <= maxDevices; index++) {
        if (inside(memory().regions[index], address, 0)) return index == maxDevices ? pinned : index;
        // An address right behind the last byte of a whole page lies on the guard page.
        const Allocation* before = memory().regions[index].find((uintptr_t)address - 1);
        if (before && before->begin + before->bytes == (uintptr_t)address) return index == maxDevices ? pinned : index;
    }

    return -2;
}

bool rangeOnDevice(int device, const void* address, size_t bytes) {
    if (bytes == 0) return true;
    if (!address || device < 0 || device >= maxDevices) return false;
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    for (int owner = 0; owner < maxDevices; owner++)
        if ((owner == device || peerEnabled(device, owner)) && inside(memory().regions[owner], address, bytes)) return true;
    return false;
}

bool rangePinned(const void* address, size_t bytes) {
    if (bytes == 0) return true;
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    return address && inside(regionOf(pinned), address, bytes);
}

bool rangeAccessible(int device, const void* address, size_t bytes) {
    return rangeOnDevice(device, address, bytes) || rangePinned(address, bytes);
}

bool allocationAround(int device, const void* address, size_t bytes, uint64_t& begin, uint64_t& end) {
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    for (int owner = 0; owner <= maxDevices; owner++) {
        if (owner != device && owner != maxDevices && !peerEnabled(device, owner)) continue;
        const Region& region = memory().regions[owner];
        if (!inside(region, address, bytes)) continue;
        const Allocation* a = region.find((uintptr_t)address);
        begin = a->begin;
        end = a->begin + a->bytes;
        return true;
    }

    return false;
}

std::string findOverruns(int device) {
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    for (int index : {device, maxDevices})
        for (auto& entry : memory().regions[index].live) {
            std::string wrong = overrun(entry.second);
            if (!wrong.empty()) return wrong;
        }
    return "";
}

std::string describeAddress(const void* address) {
    std::shared_lock<std::shared_mutex> lock(memory().mutex);
    uintptr_t at = (uintptr_t)address;
    for (int index = 0; index <= maxDevices; index++) {
        const Region& region = memory().regions[index];
        if (at < region.base || at >= region.base + region.size) continue;
        std::string where = index == maxDevices ? "pinned memory" : "memory of device " + std::to_string(index);
        auto behind = region.live.upper_bound(at);
        if (behind != region.live.begin()) {
            const Allocation& a = std::prev(behind)->second;
            if (at < a.begin + a.bytes) return where + ", inside " + words(a);
            if (at - a.begin - a.bytes < page * 16)
                return where + ", " + std::to_string(at - a.begin - a.bytes) + " bytes behind " + words(a);
        }

        if (behind != region.live.end() && behind->second.begin - at < page * 16)
            return where + ", " + std::to_string(behind->second.begin - at) + " bytes before " + words(behind->second);
        return where + ", where nothing is allocated (any more)";
    }

    return "no memory of any device";
}

}  // namespace sim
