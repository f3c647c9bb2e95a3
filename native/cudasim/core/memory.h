// Device memory and pinned host memory: pages of this process between guard pages.
//
// An allocation ends as close to its guard page as an alignment of 256 bytes allows. The bytes in between, and those before its
// start on the first page, hold a pattern that is checked whenever the host waits and when the memory is freed. Addresses are
// used again as late as possible, so that stale pointers meet guard pages.
#pragma once

#include "sim.h"

namespace sim {

constexpr int pinned = -1;  // "device" of pinned host memory

/// A new allocation on a device, or pinned; filled with garbage. Null when there is no room.
SIM_API void* allocate(int device, size_t bytes);

/// Frees one. Work in flight must have ended. CUDA_ERROR_INVALID_VALUE when the address is not the start of a live allocation.
SIM_API CUresult release(int device, void* address);

/// Frees everything of one device.
void freeAllOn(int device);

/// Bytes in use and in all.
SIM_API size_t usedBytes(int device);
SIM_API size_t totalBytes();

/// The device whose live allocation holds the address, or `pinned`; -2 when none does. The end of an allocation belongs to it.
SIM_API int ownerOf(const void* address);

/// Empty, or what is wrong with the patterns around the allocations of a device and the pinned ones.
SIM_API std::string findOverruns(int device);

/// Where an address lies, in words: "4 bytes behind an allocation of 400 bytes at 0x…".
std::string describeAddress(const void* address);

/// The allocation that holds all these bytes, if a kernel of the device may touch it.
bool allocationAround(int device, const void* address, size_t bytes, uint64_t& begin, uint64_t& end);

}  // namespace sim
