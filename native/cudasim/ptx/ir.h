// A PTX module as it is read: functions of instructions over registers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sim::ptx {

struct Type {
    enum Kind { None, Predicate, Bits, Unsigned, Signed, Float, Halves };
    Kind kind = None;
    int bits = 0;

    bool isInteger() const { return kind == Unsigned || kind == Signed; }
    bool isFloat() const { return kind == Float || kind == Halves; }
    bool is(Kind k, int b) const { return kind == k && bits == b; }
    unsigned bytes() const { return (unsigned)bits / 8; }
    bool operator==(const Type& other) const { return kind == other.kind && bits == other.bits; }
    bool operator!=(const Type& other) const { return !(*this == other); }
    std::string name() const;
};

/// The type that ".f32" and the like name; None for anything else.
Type typeNamed(const std::string& dotted);

enum class Space { Generic, Param, Local, Shared, Global, Const };

/// A variable in memory: of the module, of a function, or a parameter.
struct Variable {
    std::string name;
    Space space = Space::Global;
    unsigned align = 1;
    uint64_t bytes = 0;
    uint64_t offset = 0;             // in its window (local, shared)
    bool dynamic = false;            // .extern .shared x[]: as long as the launch says
    std::vector<unsigned char> initial;
    int line = 0;
};

struct Register {
    std::string name;
    Type type;
};

struct Operand {
    enum Form {
        Reg,       // number
        Integer,   // bits
        Single,    // bits
        Double,    // bits
        Special,   // text: %tid.x
        Symbol,    // number: a variable; offset
        Label,     // number
        Function,  // number, resolved at the end of the module
        Sink,      // _
        Vector,    // parts
        Address,   // parts[0]: register, symbol or integer; offset
        Pair       // parts: p|q
    };
    Form form = Sink;
    int number = -1;
    bool ofModule = false;    // a symbol: among the module's variables, not the function's
    bool negated = false;     // !p
    uint64_t bits = 0;
    int64_t offset = 0;
    std::string text;         // as it was written
    std::vector<Operand> parts;
};

struct Instruction {
    int line = 0;
    std::string opcode;                  // empty: a label, or a list of labels
    std::vector<std::string> modifiers;  // with their dots
    std::vector<Operand> operands;
    int guard = -1;                      // a predicate register
    bool guardNegated = false;
    int label = -1;
    bool isTargets = false;              // the label names a list of branch targets: the operands
};

struct Function {
    std::string name;
    bool isEntry = false;
    bool isDefined = false;
    int line = 0;
    std::vector<int> parameters, results;  // among the variables
    std::vector<Register> registers;
    std::vector<Variable> variables;       // parameters, local and shared variables
    std::vector<Instruction> body;
    int labels = 0;
    int maxThreads = 1024;
    int minBlocks = 0;
    unsigned required[3] = {0, 0, 0};      // .reqntid
};

/// {u64 address; i64 length} in a kernel's parameter.
struct View {
    int parameter;
    unsigned offset, element;
    int line;
};

struct Module {
    int version = 0;  // 70: 7.0
    int target = 0;   // 80: sm_80
    std::vector<Variable> variables;
    std::vector<Function> functions;
    std::vector<View> views;
};

}  // namespace sim::ptx
