// Branches, calls, barriers and what the lanes of a warp do together.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type u32{Type::Unsigned, 32}, b32{Type::Bits, 32}, pred{Type::Predicate, 1};

std::string lineOf(Emitter& e) { return std::to_string(e.now().line); }

std::string labelOf(Emitter& e, const Operand& operand) {
    if (operand.form != Operand::Label) e.fail(operand.text + " is no label");
    return "L" + std::to_string(operand.number);
}

void branch(Emitter& e) {
    e.count(1);
    e.has(".uni");
    e.line("goto " + labelOf(e, e.operand(0)) + ";");
}

// brx.idx index, list; an index behind the end of the list is undefined on a GPU and an error here.
void branchByIndex(Emitter& e) {
    e.count(2);
    e.oneOf({".idx"}, nullptr);
    e.has(".uni");
    const Operand& list = e.operand(1);
    if (list.form != Operand::Label) e.fail(list.text + " is no list of labels");
    for (const Instruction& one : e.function().body) {
        if (!one.isTargets || one.label != list.number) continue;
        e.line("switch (" + e.read(0, u32) + ") {");
        for (size_t i = 0; i < one.operands.size(); i++)
            e.line("case " + std::to_string(i) + ": goto " + labelOf(e, one.operands[i]) + ";");
        e.line("default: cudasim_ptx_trap(\"brx.idx behind the end of its list\", " + lineOf(e) + "); }");
        return;
    }

    e.fail(list.text + " is no list of labels");
}

void leave(Emitter& e) {
    e.count(0);
    e.has(".uni");
    if (e.opcode() == "exit" && !e.function().isEntry) e.fail("exit inside a function that is called");
    e.line("return;");
}

void trap(Emitter& e) {
    e.count(0);
    e.line("cudasim_ptx_trap(\"trap\", " + lineOf(e) + ");");
}

// call (result), function, (arguments);
void call(Emitter& e) {
    e.has(".uni");
    e.count(1, 3);
    size_t at = 0;
    std::vector<Operand> results, arguments;
    if (e.operand(at).form == Operand::Vector) results = e.operand(at++).parts;
    if (at >= e.operands() || e.operand(at).form != Operand::Function) e.fail("a call of what is no function");
    const Function& callee = e.module().functions[(size_t)e.operand(at).number];
    std::string text = "f" + std::to_string(e.operand(at++).number) + "(launch, local";
    if (at < e.operands()) arguments = e.operand(at).parts;
    if (callee.isEntry || results.size() != callee.results.size() || arguments.size() != callee.parameters.size())
        e.fail("a call that does not fit the function " + callee.name);
    for (size_t i = 0; i < results.size() + arguments.size(); i++) {
        const bool isResult = i < results.size();
        const Operand& mine = isResult ? results[i] : arguments[i - results.size()];
        const int theirs = isResult ? callee.results[i] : callee.parameters[i - results.size()];
        if (mine.form != Operand::Symbol || e.variable(mine).space != Space::Param ||
            e.variable(mine).bytes != callee.variables[(size_t)theirs].bytes)
            e.fail("the argument " + mine.text + " does not fit the function " + callee.name);
        text += ", v" + std::to_string(mine.number);
    }

    e.line(text + ");");
}

// Only the barrier of all threads of the block.
void barrier(Emitter& e) {
    if (e.opcode() == "barrier") e.needs(30, 60, "barrier");
    if (e.has(".cta")) e.needs(30, 78, e.opcode() + ".cta");
    e.has(".aligned");
    if (e.has(".warp")) {
        e.oneOf({".sync"}, nullptr);
        e.count(1);
        e.needs(30, 60, "bar.warp.sync");
        e.line("cudasim_warp(cudasim_warp_barrier, " + e.read(0, b32) + ", 0, 0, " + lineOf(e) + ");");
        return;
    }

    const bool reduces = e.has(".red");
    if (!reduces) {
        e.oneOf({".sync"}, nullptr);
        e.count(1);
        if (e.immediate(0, "a barrier")) e.fail("the barrier " + e.operand(0).text + ": only barrier 0, of all threads, is known");
        e.line("cudasim_barrier(" + lineOf(e) + ");");
        return;
    }

    const std::string operation = e.oneOf({".popc", ".and", ".or"}, nullptr);
    e.count(3);
    if (e.immediate(1, "a barrier")) e.fail("the barrier " + e.operand(1).text + ": only barrier 0, of all threads, is known");
    const std::string counted = "cudasim_barrier_count(" + e.read(2, pred) + ", " + lineOf(e) + ")";
    if (operation == ".popc") {
        e.type({".u32"});
        e.write(0, u32, counted);
    } else {
        e.type({".pred"});
        const std::string all = "cudasim_here.threads.x * cudasim_here.threads.y * cudasim_here.threads.z";
        e.write(0, pred, operation == ".or" ? counted + " > 0" : counted + " == " + all);
    }
}

// One thread runs at a time, and others go on only where it waits: what it wrote is there for them.
void fence(Emitter& e) {
    e.count(0);
    if (e.opcode() == "membar") {
        e.oneOf({".cta", ".gl", ".sys"}, nullptr);
    } else {
        e.needs(70, 60, "fence");
        e.oneOf({".sc", ".acq_rel"}, ".acq_rel");
        e.oneOf({".cta", ".gpu", ".sys"}, nullptr);
    }

    e.line("__atomic_thread_fence(__ATOMIC_SEQ_CST);");
}

void shuffle(Emitter& e) {
    e.count(5);
    e.oneOf({".sync"}, nullptr);
    e.needs(30, 60, "shfl.sync");
    e.type({".b32"});
    const std::string how = e.oneOf({".up", ".down", ".bfly", ".idx"}, nullptr);
    const int mode = how == ".up" ? 0 : how == ".down" ? 1 : how == ".bfly" ? 2 : 3;
    const Operand& to = e.operand(0);
    const std::string name = e.temporary();
    e.line("{ u64 " + name + " = cudasim_ptx_shuffle(" + std::to_string(mode) + ", " + e.read(1, b32) + ", " + e.read(2, b32) + ", " +
        e.read(3, b32) + ", " +
           e.read(4, b32) + ", " + lineOf(e) + ");");
    e.write(to.form == Operand::Pair ? to.parts[0] : to, b32, "(u32)" + name);
    if (to.form == Operand::Pair) e.write(to.parts[1], pred, name + " >> 32");
    e.line("}");
}

std::string ballot(const std::string& mask, const std::string& value, Emitter& e) {
    return "(u32)cudasim_warp(cudasim_ballot, " + mask + ", " + value + ", 0, " + lineOf(e) + ")";
}

void vote(Emitter& e) {
    e.count(3);
    e.oneOf({".sync"}, nullptr);
    e.needs(30, 60, "vote.sync");
    const std::string how = e.oneOf({".all", ".any", ".uni", ".ballot"}, nullptr), mask = e.read(2, b32), value = "(" + e.read(1, pred) +
        ")";
    if (how == ".ballot") {
        e.type({".b32"});
        e.write(0, b32, ballot(mask, value, e));
        return;
    }

    e.type({".pred"});
    if (how == ".any") e.write(0, pred, ballot(mask, value, e) + " != 0");
    else if (how == ".all") e.write(0, pred, ballot(mask, "!" + value, e) + " == 0");
    else e.write(0, pred, "({ u32 yes = " + ballot(mask, value, e) + "; yes == 0 || yes == (" + ballot(mask, "1", e) + "); })");
}

void activeMask(Emitter& e) {
    e.count(1);
    e.needs(30, 62, "activemask");
    e.type({".b32"});
    // Which lanes run together is left to the GPU: the fewest there can be.
    e.write(0, b32, "1u << cudasim_here.lane");
}

void match(Emitter& e) {
    e.count(3);
    e.oneOf({".sync"}, nullptr);
    e.needs(70, 60, "match.sync");
    Type type = e.type({".b32", ".b64"});
    const bool all = e.oneOf({".any", ".all"}, nullptr) == ".all";
    const Operand& to = e.operand(0);
    const std::string name = e.temporary(), mask = e.temporary();
    e.line("{ u32 " + mask + " = " + e.read(2, b32) + ", " + name + " = (u32)cudasim_warp(cudasim_match, " + mask + ", " + e.read(1, type) +
        ", 0, " + lineOf(e) + ");");
    if (all)
        e.line("u8 " + name + "_all = cudasim_warp(cudasim_ballot, " + mask + ", " + name + " != " + mask + ", 0, " + lineOf(e) +
        ") == 0;");
    e.write(to.form == Operand::Pair ? to.parts[0] : to, b32, all ? name + "_all ? " + name + " : 0" : name);
    if (to.form == Operand::Pair) e.write(to.parts[1], pred, all ? name + "_all" : "1");
    e.line("}");
}

void sleep(Emitter& e) {
    e.count(1);
    e.needs(70, 63, "nanosleep");
    e.type({".u32"});
    e.read(0, u32);
}

}  // namespace

void addControl(Translations& table) {
    table["bra"] = branch;
    table["brx"] = branchByIndex;
    table["ret"] = table["exit"] = leave;
    table["trap"] = trap;
    table["call"] = call;
    table["bar"] = table["barrier"] = barrier;
    table["membar"] = table["fence"] = fence;
    table["shfl"] = shuffle;
    table["vote"] = vote;
    table["activemask"] = activeMask;
    table["match"] = match;
    table["nanosleep"] = sleep;
}

}  // namespace sim::ptx
