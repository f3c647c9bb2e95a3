#include "emit.h"

#include <algorithm>

namespace sim::ptx {
namespace {

void uses(const Operand& operand, std::vector<int>& list) {
    if (operand.form == Operand::Reg) list.push_back(operand.number);
    for (const Operand& part : operand.parts) uses(part, list);
}

}  // namespace

// Each register counts from the first to the last place that names it, and through every loop that it is used in.
int estimateRegisters(const Function& f) {
    const int count = (int)f.body.size();
    std::vector<int> first(f.registers.size(), count), last(f.registers.size(), -1), labels((size_t)f.labels, -1);
    std::vector<std::pair<int, int>> loops;
    for (int i = 0; i < count; i++) {
        const Instruction& instruction = f.body[(size_t)i];
        std::vector<int> used;
        if (instruction.guard >= 0) used.push_back(instruction.guard);
        if (instruction.label >= 0) labels[(size_t)instruction.label] = i;
        for (const Operand& operand : instruction.operands) {
            uses(operand, used);
            if (operand.form == Operand::Label && labels[(size_t)operand.number] >= 0) loops.push_back({labels[(size_t)operand.number], i});
        }

        for (int r : used) {
            first[(size_t)r] = std::min(first[(size_t)r], i);
            last[(size_t)r] = i;
        }
    }

    std::vector<int> change((size_t)count + 1);
    for (size_t r = 0; r < first.size(); r++) {
        if (last[r] < 0) continue;
        for (const auto& loop : loops)
            if (first[r] < loop.first && last[r] >= loop.first) last[r] = std::max(last[r], loop.second);
        const int words = f.registers[r].type.kind == Type::Predicate ? 0 : f.registers[r].type.bits > 32 ? 2 : 1;
        change[(size_t)first[r]] += words;
        change[(size_t)last[r] + 1 > (size_t)count ? (size_t)count : (size_t)last[r] + 1] -= words;
    }

    int alive = 0, most = 0;
    for (int c : change) most = std::max(most, alive += c);
    // The compiler keeps the limits that the kernel asks for, if need be by keeping values in memory.
    int limit = std::min(255, 65536 / std::max(32, f.maxThreads * std::max(1, f.minBlocks)));
    return std::max(16, std::min(most + 8, limit));
}

}  // namespace sim::ptx
