// Finds accesses of different threads to one byte that nothing puts in order.
#pragma once

#include "runtime.h"

#include <memory>
#include <unordered_map>

namespace sim::ptx {

/// Who touched a byte, and when: threads of one block are in order when a barrier lies between them.
struct Touch {
    unsigned block = 0;  // counted from 1; 0: nobody
    unsigned line : 21;
    unsigned thread : 10;
    unsigned atomic : 1;
    unsigned short epoch = 0, warpEpoch = 0;  // barriers passed

    Touch() : line(0), thread(0), atomic(0) {}
};

class Races {
public:
    /// Forgets everything; or what was in shared memory, of which each block has its own.
    void start();
    void startBlock() { shared_.clear(); }
    /// The message of a race, or an empty one.
    std::string global(uint64_t address, const Access& access, const Touch& touch) { return touchAll(global_, address, access, touch); }
    std::string shared(uint64_t offset, const Access& access, const Touch& touch) { return touchAll(shared_, offset, access, touch); }

private:
    /// The last write, the last read and an earlier one, by another block if there was any.
    struct Cell {
        Touch write, read, other;
    };
    /// Some memory, with a cell for every so many bytes: as few as the smallest access so far had, at most 4.
    struct Page {
        unsigned grain = 0;
        std::unique_ptr<Cell[]> cells;
        void split(unsigned grain);
    };
    static constexpr unsigned pageBytes = 256;
    using Pages = std::unordered_map<uint64_t, Page>;

    static std::string touchAll(Pages& pages, uint64_t address, const Access& access, const Touch& touch);

    Pages global_, shared_;
};

}  // namespace sim::ptx
