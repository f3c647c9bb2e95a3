// Writes the C code of a PTX module. This is what the translations of single instructions see of it.
#pragma once

#include "error.h"
#include "ir.h"
#include "runtime.h"

#include <initializer_list>
#include <map>
#include <string>

namespace sim::ptx {

class Emitter {
public:
    explicit Emitter(const Module& module);

    struct Result {
        std::string code;
        std::vector<KernelInfo> kernels;  // one for each entry, in their order
    };
    Result run();

    // ---- The instruction being translated

    const Instruction& now() const { return *instruction_; }
    const std::string& opcode() const { return instruction_->opcode; }
    const Function& function() const { return *function_; }
    const Module& module() const { return module_; }
    [[noreturn]] void fail(const std::string& message) const;

    // ---- Modifiers: whatever no translation has asked for is an error.

    bool has(const char* modifier);
    /// The one of these that is there, or the fallback; null: one must be.
    std::string oneOf(std::initializer_list<const char*> choices, const char* fallback);
    /// The last type that has not been taken; one of these.
    Type type(std::initializer_list<const char*> allowed);
    /// What this instruction asks of the module's target and version.
    void needs(int target, int version, const std::string& what);

    // ---- Operands

    size_t operands() const { return instruction_->operands.size(); }
    void count(size_t least, size_t most);
    void count(size_t exactly) { count(exactly, exactly); }
    const Operand& operand(size_t index) const { return instruction_->operands[index]; }
    /// The operand as a C expression of this type. Relaxed: the register may be wider.
    std::string read(const Operand& operand, Type type, bool relaxed = false);
    std::string read(size_t index, Type type, bool relaxed = false) { return read(operand(index), type, relaxed); }
    /// Gives a C expression of this type to the operand.
    void write(const Operand& operand, Type type, const std::string& value, bool relaxed = false);
    void write(size_t index, Type type, const std::string& value, bool relaxed = false) { write(operand(index), type, value, relaxed); }
    /// The address in brackets, and the variable it names (or null).
    std::string address(const Operand& operand);
    const Variable* variableOf(const Operand& operand) const;
    const Variable& variable(const Operand& symbol) const;
    uint64_t immediate(size_t index, const char* what);

    // ---- Code

    void line(const std::string& text) { code_ += text + "\n"; }
    std::string temporary() { return "t" + std::to_string(temporaries_++); }
    /// The number of a new place that touches memory.
    std::string site(unsigned bytes, Access::Kind kind);

private:
    void layOut();
    KernelInfo entry(size_t number);
    void body(size_t number);
    void translate(const Instruction& instruction);
    void declareRegisters();
    void checkRecursion() const;
    std::string signature(size_t number) const;
    std::string special(const Operand& operand);
    std::string bytesOf(const char* name, Space space, const char* qualifiers);

    const Module& module_;
    const Function* function_ = nullptr;
    const Instruction* instruction_ = nullptr;
    std::vector<bool> taken_;       // modifiers
    std::vector<bool> used_;        // registers
    std::string code_;
    int temporaries_ = 0;
    std::vector<Access> accesses_;
    std::vector<Variable> variables_;               // the module's, with their places
    std::vector<std::vector<Variable>> local_;      // those of each function
    std::vector<unsigned> sharedOf_;                // bytes of static shared memory, for each function
    uint64_t localBytes_ = 0, constBytes_ = 0, globalBytes_ = 0;
    size_t number_ = 0;
};

using Translation = void (*)(Emitter&);
using Translations = std::map<std::string, Translation>;

void addIntegers(Translations& table);
void addFloats(Translations& table);
void addComparisons(Translations& table);
void addConversions(Translations& table);
void addMemory(Translations& table);
void addControl(Translations& table);

/// The names of C's types in the prelude.
std::string cType(Type type);

/// add.f32 and the like, which share their names with integers.
void floatAddMul(Emitter& e, Type type);
void floatMinMax(Emitter& e, Type type);
void floatSign(Emitter& e, Type type);
void floatFma(Emitter& e, Type type);
void floatDivide(Emitter& e, Type type);

/// Registers of 32 bits that are alive at a time, about.
int estimateRegisters(const Function& function);

}  // namespace sim::ptx
