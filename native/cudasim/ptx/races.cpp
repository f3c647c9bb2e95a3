#include "races.h"

namespace sim::ptx {
namespace {

bool conflict(const Touch& a, const Touch& b) {
    if (!a.block || (a.atomic && b.atomic)) return false;
    if (a.block != b.block) return true;
    if (a.thread == b.thread || a.epoch != b.epoch) return false;
    return a.thread / 32 != b.thread / 32 || a.warpEpoch == b.warpEpoch;
}

std::string words(const Touch& before, const char* did, const Touch& now, const char* does) {
    char text[200];
    if (before.block != now.block)
        std::snprintf(text, sizeof text, "race between blocks %u and %u: line %u %s and line %u %s", before.block - 1, now.block - 1,
            (unsigned)before.line, did, (unsigned)now.line, does);
    else
        std::snprintf(text, sizeof text, "race between threads %u and %u of block %u: line %u %s and, with no barrier between, line %u %s",
                      (unsigned)before.thread, (unsigned)now.thread, now.block - 1, (unsigned)before.line, did, (unsigned)now.line, does);
    return text;
}

}  // namespace

void Races::start() {
    global_.clear();
    shared_.clear();
}

void Races::Page::split(unsigned to) {
    std::unique_ptr<Cell[]> made(new Cell[pageBytes / to]);
    for (unsigned i = 0; grain && i < pageBytes / to; i++) made[i] = cells[i * to / grain];
    cells = std::move(made);
    grain = to;
}

std::string Races::touchAll(Pages& pages, uint64_t address, const Access& access, const Touch& touch) {
    const char* does = access.kind == Access::Load ? "reads" : access.kind == Access::Store ? "writes" : "changes (atomically)";
    // Aligned as it is, an access does not cross the end of a page.
    Page& page = pages[address / pageBytes];
    if (!page.grain || access.bytes < page.grain) page.split(access.bytes < 4 ? access.bytes : 4);
    for (unsigned at = (unsigned)(address % pageBytes), end = at + access.bytes; at < end; at += page.grain) {
        Cell& cell = page.cells[at / page.grain];
        if (conflict(cell.write, touch)) return words(cell.write, cell.write.atomic ? "changes (atomically)" : "writes", touch, does);
        if (access.kind != Access::Load) {
            if (conflict(cell.read, touch)) return words(cell.read, "reads", touch, does);
            if (conflict(cell.other, touch)) return words(cell.other, "reads", touch, does);
            cell.write = touch;
        } else {
            const bool ofOther = cell.read.block != touch.block;
            if (ofOther || (cell.read.thread != touch.thread && (!cell.other.block || cell.other.block == touch.block)))
                cell.other = cell.read;
            cell.read = touch;
        }
    }

    return "";
}

}  // namespace sim::ptx
