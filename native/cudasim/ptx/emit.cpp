#include "emit.h"

#include <algorithm>
#include <cstring>

namespace sim::ptx {
namespace {

constexpr uint64_t maxShared = 48 << 10;
constexpr uint64_t maxLocal = 24 << 10;  // a fibre's stack has 64 KiB

const Translations& translations() {
    static const Translations table = [] {
        Translations made;
        addIntegers(made);
        addFloats(made);
        addComparisons(made);
        addConversions(made);
        addMemory(made);
        addControl(made);
        return made;
    }();
    return table;
}

/// How a register is kept.
std::string storage(Type type) {
    if (type.kind == Type::Predicate || type.bits == 8) return "u8";
    if (type.bits == 16) return "u16";
    if (type.bits == 32) return type.kind == Type::Float ? "f32" : "u32";
    return type.kind == Type::Float ? "f64" : "u64";
}

std::string hex(uint64_t value, int bits) {
    char text[32];
    if (bits < 64) value &= (1ull << bits) - 1;
    std::snprintf(text, sizeof text, bits == 64 ? "0x%llxull" : "0x%llxu", (unsigned long long)value);
    return text;
}

uint64_t place(uint64_t& end, Variable& variable) {
    end = (end + variable.align - 1) / variable.align * variable.align;
    variable.offset = end;
    end += variable.bytes;
    return variable.offset;
}

}  // namespace

std::string cType(Type type) {
    if (type.kind == Type::Predicate) return "u8";
    if (type.is(Type::Float, 16)) return "u16";
    const char* kind = type.kind == Type::Signed ? "s" : type.kind == Type::Float ? "f" : "u";
    return kind + std::to_string(type.bits);
}

Emitter::Emitter(const Module& module) : module_(module), variables_(module.variables) {}

void Emitter::fail(const std::string& message) const { throw Error(instruction_->line, message); }

bool Emitter::has(const char* modifier) {
    for (size_t i = 0; i < instruction_->modifiers.size(); i++) {
        if (taken_[i] || instruction_->modifiers[i] != modifier) continue;
        taken_[i] = true;
        return true;
    }

    return false;
}

std::string Emitter::oneOf(std::initializer_list<const char*> choices, const char* fallback) {
    for (const char* choice : choices)
        if (has(choice)) return choice;
    if (fallback) return fallback;
    std::string names;
    for (const char* choice : choices) names += std::string(names.empty() ? "" : " ") + choice;
    fail(opcode() + " without one of " + names);
}

Type Emitter::type(std::initializer_list<const char*> allowed) {
    for (size_t i = instruction_->modifiers.size(); i-- > 0;) {
        const std::string& modifier = instruction_->modifiers[i];
        Type type = taken_[i] ? Type() : typeNamed(modifier);
        if (type.kind == Type::None) continue;
        for (const char* one : allowed)
            if (modifier == one) {
                taken_[i] = true;
                return type;
            }
        fail("unknown type " + modifier + " of " + opcode());
    }

    // What stands where the type should is taken for one.
    for (size_t i = instruction_->modifiers.size(); i-- > 0;)
        if (!taken_[i]) fail("unknown modifier " + instruction_->modifiers[i]);
    fail(opcode() + " without a type");
}

void Emitter::needs(int target, int version, const std::string& what) {
    if (module_.target < target)
        fail(what + " needs .target sm_" + std::to_string(target) + " and this is sm_" + std::to_string(module_.target));
    if (module_.version < version)
        fail(what + " needs .version " + std::to_string(version / 10) + "." + std::to_string(version % 10) + " and this is " +
             std::to_string(module_.version / 10) + "." + std::to_string(module_.version % 10));
}

void Emitter::count(size_t least, size_t most) {
    const size_t there = operands();
    if (there >= least && there <= most) return;
    fail(opcode() + " has " + std::to_string(there) + " operands and not " + std::to_string(least) +
        (most > least ? " to " + std::to_string(most) : ""));
}

// ---- Operands

namespace {

bool compatible(Type have, Type want, bool relaxed) {
    if (have.kind == Type::Predicate || want.kind == Type::Predicate) return have == want;
    if (relaxed && have.bits > want.bits) return !have.isFloat() && !want.isFloat();
    if (have.bits != want.bits) return false;
    if (have.kind == Type::Bits || want.kind == Type::Bits) return true;
    if (have.isInteger() && want.isInteger()) return true;
    return have == want;
}

std::string misfit(const Register& r, Type type, const char* verb) {
    const bool size = r.type.bits != type.bits && type.kind != Type::Predicate;
    return "the register " + r.name + " is " + r.type.name() + " where " +
        (size ? std::to_string(type.bits) + " bits are " : type.name() + " is ") + verb;
}

}  // namespace

std::string Emitter::read(const Operand& operand, Type type, bool relaxed) {
    if (operand.negated && type.kind != Type::Predicate) fail("'!' before " + operand.text + ", which is no predicate");
    switch (operand.form) {
        case Operand::Reg: {
            const Register& r = function_->registers[(size_t)operand.number];
            used_[(size_t)operand.number] = true;
            if (!compatible(r.type, type, relaxed)) fail(misfit(r, type, "needed"));
            std::string name = "r" + std::to_string(operand.number), kept = storage(r.type);
            if (type.kind == Type::Predicate) return operand.negated ? "!" + name : name;
            if (kept == cType(type)) return name;
            if (kept == "f32") return "bits_f32(" + name + ")";
            if (kept == "f64") return "bits_f64(" + name + ")";
            if (type.is(Type::Float, 32)) return "f32_bits(" + name + ")";
            if (type.is(Type::Float, 64)) return "f64_bits(" + name + ")";
            return "(" + cType(type) + ")" + name;
        }
        case Operand::Integer:
            if (type.isFloat()) fail("the integer " + operand.text + " where " + type.name() + " is needed");
            if (type.kind == Type::Predicate) return operand.bits ? "1" : "0";
            return "(" + cType(type) + ")" + hex(operand.bits, type.bits);
        case Operand::Single:
            if (type.is(Type::Float, 32)) return "f32_bits(" + hex(operand.bits, 32) + ")";
            if (type.is(Type::Bits, 32)) return hex(operand.bits, 32);
            break;
        case Operand::Double: {
            if (type.is(Type::Float, 64)) return "f64_bits(" + hex(operand.bits, 64) + ")";
            if (type.is(Type::Bits, 64)) return hex(operand.bits, 64);
            if (!type.is(Type::Float, 32)) break;
            double wide;
            std::memcpy(&wide, &operand.bits, sizeof wide);
            float narrow = (float)wide;
            uint32_t bits;
            std::memcpy(&bits, &narrow, sizeof bits);
            return "f32_bits(" + hex(bits, 32) + ")";
        }
        case Operand::Special: {
            const bool wide = operand.text == "%clock64" || operand.text == "%globaltimer";
            if (type.isFloat() || type.kind == Type::Predicate || type.bits != (wide ? 64 : 32))
                fail(operand.text + " where " + type.name() + " is needed");
            return "(" + cType(type) + ")" + special(operand);
        }
        case Operand::Symbol: {
            if (type.isFloat() || type.bits != 64) fail("the address of " + operand.text + " where " + type.name() + " is needed");
            const Variable& v = variable(operand);
            if (v.space == Space::Param) fail("the address of the parameter " + operand.text);
            std::string at = v.space == Space::Global ? "(u64)globals + " + std::to_string(v.offset)
                : v.dynamic                           ? "(u64)launch->dynamic_offset"
                                                      : std::to_string(v.offset) + "ull";
            return "(" + at + " + " + std::to_string(operand.offset) + ")";
        }
        default: break;
    }

    fail(operand.text + " where " + type.name() + " is needed");
}

void Emitter::write(const Operand& operand, Type type, const std::string& value, bool relaxed) {
    if (operand.form == Operand::Sink) {
        line("(void)(" + value + ");");
        return;
    }

    if (operand.form != Operand::Reg) fail(operand.text + " is no register");
    const Register& r = function_->registers[(size_t)operand.number];
    used_[(size_t)operand.number] = true;
    if (operand.negated) fail("'!' before a result");
    if (!compatible(r.type, type, relaxed)) fail(misfit(r, type, "made"));
    const std::string kept = storage(r.type), name = "r" + std::to_string(operand.number) + " = ";
    if (type.kind == Type::Predicate) line(name + "(" + value + ") != 0;");
    else if (kept == cType(type)) line(name + value + ";");
    else if (kept == "f32") line(name + "f32_bits((u32)(" + value + "));");
    else if (kept == "f64") line(name + "f64_bits((u64)(" + value + "));");
    else if (type.is(Type::Float, 32)) line(name + "bits_f32(" + value + ");");
    else if (type.is(Type::Float, 64)) line(name + "bits_f64(" + value + ");");
    else if (type.kind == Type::Signed)
        line(name + "(" + kept + ")(s" + std::to_string(r.type.bits) + ")(" + cType(type) + ")(" + value + ");");
    else line(name + "(" + kept + ")(" + cType(type) + ")(" + value + ");");
}

const Variable& Emitter::variable(const Operand& symbol) const {
    return symbol.ofModule ? variables_[(size_t)symbol.number] : local_[number_][(size_t)symbol.number];
}

const Variable* Emitter::variableOf(const Operand& operand) const {
    return operand.form == Operand::Address && operand.parts[0].form == Operand::Symbol ? &variable(operand.parts[0]) : nullptr;
}

std::string Emitter::address(const Operand& operand) {
    if (operand.form != Operand::Address) fail("expected an address in brackets and found " + operand.text);
    Operand base = operand.parts[0];
    if (base.form == Operand::Symbol) base.offset = 0;
    return read(base, {Type::Bits, 64}) + " + " + hex((uint64_t)operand.offset, 64);
}

uint64_t Emitter::immediate(size_t index, const char* what) {
    if (operand(index).form != Operand::Integer) fail(std::string(what) + " that is no number: " + operand(index).text);
    return operand(index).bits;
}

std::string Emitter::special(const Operand& operand) {
    static const std::map<std::string, const char*> known = {
        {"%tid.x", "cudasim_here.thread.x"},
        {"%tid.y", "cudasim_here.thread.y"},
        {"%tid.z", "cudasim_here.thread.z"},
        {"%ntid.x", "cudasim_here.threads.x"},
        {"%ntid.y", "cudasim_here.threads.y"},
        {"%ntid.z", "cudasim_here.threads.z"},
        {"%ctaid.x", "cudasim_here.block.x"},
        {"%ctaid.y", "cudasim_here.block.y"},
        {"%ctaid.z", "cudasim_here.block.z"},
        {"%nctaid.x", "cudasim_here.blocks.x"},
        {"%nctaid.y", "cudasim_here.blocks.y"},
        {"%nctaid.z", "cudasim_here.blocks.z"},
        {"%laneid", "cudasim_here.lane"},
        {"%warpid", "(((cudasim_here.thread.z * cudasim_here.threads.y + cudasim_here.thread.y) * cudasim_here.threads.x + "
                    "cudasim_here.thread.x) / 32)"},
        {"%nwarpid", "((cudasim_here.threads.x * cudasim_here.threads.y * cudasim_here.threads.z + 31) / 32)"},
        {"%lanemask_eq", "(1u << cudasim_here.lane)"},
        {"%lanemask_lt", "((1u << cudasim_here.lane) - 1)"},
        {"%lanemask_le", "((2u << cudasim_here.lane) - 1)"},
        {"%lanemask_gt", "~((2u << cudasim_here.lane) - 1)"},
        {"%lanemask_ge", "~((1u << cudasim_here.lane) - 1)"},
        {"%dynamic_smem_size", "launch->dynamic_bytes"},
        {"%total_smem_size", "((u32)launch->shared_bytes)"},
        {"%smid", "0u"},
        {"%nsmid", "1u"},
        {"%clock", "(u32)ticks()"},
        {"%clock64", "ticks()"}};
    auto found = known.find(operand.text);
    if (found == known.end()) fail("unknown name " + operand.text);
    return found->second;
}

std::string Emitter::site(unsigned bytes, Access::Kind kind) {
    accesses_.push_back({instruction_->line, (unsigned char)bytes, kind});
    return std::to_string(accesses_.size() - 1);
}

// ---- Functions

// Shared and local variables of functions that kernels call lie in every kernel's windows: without recursion each exists once.
void Emitter::layOut() {
    uint64_t shared = 0;
    for (Variable& v : variables_) {
        if (v.space == Space::Shared) place(shared, v);
        if (v.space == Space::Const) place(constBytes_, v);
        if (v.space == Space::Global) place(globalBytes_, v);
    }

    for (const Function& f : module_.functions) local_.push_back(f.variables);
    sharedOf_.resize(local_.size());
    for (bool entries : {false, true})
        for (size_t i = 0; i < local_.size(); i++) {
            if (module_.functions[i].isEntry != entries) continue;
            uint64_t end = shared;
            for (Variable& v : local_[i]) {
                if (v.space == Space::Shared) place(end, v);
                if (v.space == Space::Local) place(localBytes_, v);
            }

            if (end > maxShared)
                throw Error(1, "static shared memory of " + std::to_string(end) + " bytes, and " + std::to_string(maxShared) +
                    " are the most");
            sharedOf_[i] = (unsigned)end;
            if (!entries) shared = end;
        }

    if (localBytes_ > maxLocal)
        throw Error(1, "local memory of " + std::to_string(localBytes_) + " bytes; the simulator has " + std::to_string(maxLocal));
}

std::string Emitter::bytesOf(const char* name, Space space, const char* qualifiers) {
    const uint64_t bytes = space == Space::Global ? globalBytes_ : constBytes_;
    std::vector<unsigned char> values(bytes);
    bool zero = true;
    for (const Variable& v : variables_) {
        if (v.space != space) continue;
        std::copy(v.initial.begin(), v.initial.end(), values.begin() + (long)v.offset);
        for (unsigned char c : v.initial) zero &= c == 0;
    }

    std::string text = std::string("_Alignas(256) ") + qualifiers + " char " + name + "[" + std::to_string(std::max<uint64_t>(bytes, 1)) +
        "]";
    if (!zero) {
        text += " = {";
        for (unsigned char c : values) text += std::to_string((int)(signed char)c) + ",";
        text += "}";
    }

    return text + ";\n";
}

void Emitter::checkRecursion() const {
    std::vector<int> state(module_.functions.size());
    std::vector<std::pair<size_t, size_t>> path;
    for (size_t start = 0; start < state.size(); start++) {
        if (!state[start]) path.push_back({start, 0});
        while (!path.empty()) {
            auto& [number, at] = path.back();
            const std::vector<Instruction>& body = module_.functions[number].body;
            state[number] = 1;
            int callee = -1, line = 0;
            for (; at < body.size() && callee < 0; at++)
                for (const Operand& operand : body[at].operands)
                    if (operand.form == Operand::Function) {
                        callee = operand.number;
                        line = body[at].line;
                    }

            if (callee < 0) {
                state[number] = 2;
                path.pop_back();
            } else if (state[(size_t)callee] == 1) {
                throw Error(line, "the function " + module_.functions[(size_t)callee].name + " calls itself");
            } else if (!state[(size_t)callee]) {
                path.push_back({(size_t)callee, 0});
            }
        }
    }
}

std::string Emitter::signature(size_t number) const {
    const Function& f = module_.functions[number];
    std::string text = "static void f" + std::to_string(number) + "(struct cudasim_ptx_launch* launch, char* local";
    for (int result : f.results) text += ", char* v" + std::to_string(result);
    for (int parameter : f.parameters) text += ", const char* v" + std::to_string(parameter);
    return text + ")";
}

Emitter::Result Emitter::run() {
    checkRecursion();
    layOut();
    Result result;
    code_ = bytesOf("cudasim_ptx_globals", Space::Global, "__attribute__((visibility(\"default\")))");
    code_ += bytesOf("cudasim_ptx_constants", Space::Const, "__attribute__((visibility(\"default\")))");
    line("#define globals cudasim_ptx_globals\n#define constants cudasim_ptx_constants");
    line("enum { localBytes = " + std::to_string(localBytes_) + ", constBytes = " + std::to_string(constBytes_) + " };");
    for (size_t i = 0; i < module_.functions.size(); i++)
        if (!module_.functions[i].isEntry) line(signature(i) + ";");

    for (size_t i = 0; i < module_.functions.size(); i++) {
        const Function& f = module_.functions[i];
        if (!f.isDefined) throw Error(f.line, "the function " + f.name + " has no body");
        if (f.isEntry) result.kernels.push_back(entry(i));
        else body(i);
    }

    for (KernelInfo& kernel : result.kernels) kernel.accesses = accesses_;
    result.code = std::move(code_);
    return result;
}

KernelInfo Emitter::entry(size_t number) {
    const Function& f = module_.functions[number];
    KernelInfo info;
    info.staticShared = sharedOf_[number];
    info.dynamicOffset = (info.staticShared + 15) / 16 * 16;
    info.local = (unsigned)localBytes_;
    info.constants = (unsigned)constBytes_;
    info.version = module_.version;
    info.registers = estimateRegisters(f);
    info.own = {{nullptr, globalBytes_, true}, {nullptr, constBytes_, false}};
    std::copy(f.required, f.required + 3, info.required);
    for (const View& view : module_.views) {
        if ((size_t)view.parameter >= f.parameters.size() ||
            view.offset + 16 > f.variables[(size_t)f.parameters[(size_t)view.parameter]].bytes || view.offset % 8)
            throw Error(view.line, "the kernel " + f.name + " has no parameter with room for this view");
        info.views.push_back({view.parameter, view.offset, view.element});
    }

    body(number);
    return info;
}

void Emitter::body(size_t number) {
    const Function& f = module_.functions[number];
    number_ = number;
    function_ = &f;
    used_.assign(f.registers.size(), false);
    std::string before = std::move(code_);
    code_.clear();
    for (const Instruction& instruction : f.body) translate(instruction);
    std::string inside = std::move(code_);
    code_ = std::move(before);
    if (f.isEntry) {
        line("__attribute__((visibility(\"default\"))) void cudasim_ptx_kernel_" + std::to_string(number) + "(void** parameters) {");
        line("struct cudasim_ptx_launch* launch = cudasim_ptx_here;");
        line("_Alignas(16) char local[localBytes + 1];");
        for (size_t i = 0; i < f.parameters.size(); i++)
            line("const char* v" + std::to_string(f.parameters[i]) + " = parameters[" + std::to_string(i) + "];");
    } else {
        line(signature(number) + " {");
    }

    line("u8 carry = 0;");
    for (size_t i = 0; i < f.variables.size(); i++) {
        bool passed = std::count(f.parameters.begin(), f.parameters.end(), (int)i) +
            std::count(f.results.begin(), f.results.end(), (int)i) > 0;
        if (f.variables[i].space == Space::Param && !passed)
            line("_Alignas(16) char v" + std::to_string(i) + "[" + std::to_string(std::max<uint64_t>(1, f.variables[i].bytes)) + "];");
    }

    declareRegisters();
    code_ += inside + "}\n";
}

// A register that is read before anything was written to it holds what nobody would take for a result.
void Emitter::declareRegisters() {
    for (size_t i = 0; i < used_.size(); i++) {
        if (!used_[i]) continue;
        const std::string kept = storage(function_->registers[i].type);
        const char* garbage = kept == "u8" ? "0" : kept == "u16" ? "0xa5a5" : kept == "u32" ? "0xa5a5a5a5u" : kept == "u64"
            ? "0xa5a5a5a5a5a5a5a5ull" : "__builtin_nan(\"\")";
        line(kept + " r" + std::to_string(i) + " = " + garbage + ";");
    }
}

void Emitter::translate(const Instruction& instruction) {
    instruction_ = &instruction;
    if (instruction.isTargets) return;
    if (instruction.label >= 0) {
        line("L" + std::to_string(instruction.label) + ":;");
        return;
    }

    auto found = translations().find(instruction.opcode);
    if (found == translations().end()) fail("unknown instruction " + instruction.opcode);
    taken_.assign(instruction.modifiers.size(), false);
    if (instruction.guard >= 0) {
        used_[(size_t)instruction.guard] = true;
        line(std::string("if (") + (instruction.guardNegated ? "!" : "") + "r" + std::to_string(instruction.guard) + ") {");
    }

    found->second(*this);
    for (size_t i = 0; i < taken_.size(); i++)
        if (!taken_[i]) fail("unknown modifier " + instruction.modifiers[i]);
    if (instruction.guard >= 0) line("}");
}

}  // namespace sim::ptx
