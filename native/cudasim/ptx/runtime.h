// What the core knows of a translated kernel while it runs.
#pragma once

#include "../include/ptx_abi.h"
#include "sim.h"

#include <string>
#include <vector>

namespace sim::ptx {

/// An instruction that touches memory.
struct Access {
    enum Kind : unsigned char { Load, Store, Atomic };
    int line;
    unsigned char bytes;
    Kind kind;
};

/// {u64 address; i64 length} in a kernel's parameter, from a //@view line.
struct ViewPlace {
    int parameter;
    unsigned offset, element;
};

/// Addresses that any kernel of a module may touch: its own variables.
struct OwnMemory {
    char* begin = nullptr;
    uint64_t bytes = 0;
    bool writable = true;
};

struct KernelInfo {
    std::vector<Access> accesses;  // of the whole module
    std::vector<ViewPlace> views;
    std::vector<OwnMemory> own;
    unsigned staticShared = 0;
    unsigned dynamicOffset = 0;    // where dynamic shared memory begins
    unsigned local = 0;            // bytes of local memory
    unsigned constants = 0;        // and of constants
    int registers = 0;             // an estimate
    int version = 0;               // of PTX: 70
    unsigned required[3] = {0, 0, 0};
};

}  // namespace sim::ptx
