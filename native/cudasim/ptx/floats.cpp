// Floating point of 16, 32 and 64 bits. What .approx computes is rounded correctly or nearly so here, which is more exact than a GPU.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type f16{Type::Float, 16};

enum Operation { Add, Multiply, Divide, Fma, Root };

bool isHalf(Type type) { return type.is(Type::Float, 16) || type.kind == Type::Halves; }

std::string mode(const std::string& rounding) { return rounding == ".rz" ? "1" : rounding == ".rm" ? "2" : "3"; }

/// What surrounds every float operation: .ftz on what goes in and comes out, .sat on the result.
class Around {
public:
    Around(Emitter& e, Type type, bool mayFlush = true, bool maySaturate = true) : type_(type) {
        if (mayFlush && (isHalf(type) || type.is(Type::Float, 32))) ftz_ = e.has(".ftz");
        if (maySaturate && (isHalf(type) || type.is(Type::Float, 32))) sat_ = e.has(".sat");
    }
    std::string in(const std::string& value) const { return ftz_ ? "ftz_" + suffix() + "(" + value + ")" : value; }
    std::string out(const std::string& value) const {
        std::string flushed = in(value);
        return sat_ ? "sat_" + suffix() + "(" + flushed + ")" : flushed;
    }

private:
    std::string suffix() const { return isHalf(type_) ? "f16" : "f32"; }
    Type type_;
    bool ftz_ = false, sat_ = false;
};

std::string formula(Operation operation, Type type, const std::string& a, const std::string& b, const std::string& c) {
    const char* suffix = type.bits == 64 ? "" : "f";
    switch (operation) {
        case Add: return "(" + a + " + " + b + ")";
        case Multiply: return "(" + a + " * " + b + ")";
        case Divide: return "(" + a + " / " + b + ")";
        case Fma: return std::string("__builtin_fma") + suffix + "(" + a + ", " + b + ", " + c + ")";
        default: return std::string("__builtin_sqrt") + suffix + "(" + a + ")";
    }
}

/// An operation on numbers of 32 or 64 bits, rounded as the modifier says.
std::string rounded(Operation operation, Type type, const std::string& rounding, const std::string& a, const std::string& b,
    const std::string& c) {
    if (rounding == ".rn") return formula(operation, type, a, b, c);
    return "cudasim_ptx_rounded_" + cType(type) + "(" + std::to_string(operation) + ", " + mode(rounding) + ", " + a + ", " + b + ", " + c +
        ")";
}

/// The same on halves: twice the digits, and a bit more, make rounding twice as good as once. A product and a sum take more.
std::string ofHalves(Operation operation, const std::string& a, const std::string& b, const std::string& c) {
    if (operation == Fma)
        return "cudasim_ptx_f64_to_f16(0, (f64)f16_to_f32(" + a + ") * f16_to_f32(" + b + ") + f16_to_f32(" + c + "))";
    return "f32_to_f16(" + formula(operation, {Type::Float, 32}, "f16_to_f32(" + a + ")", "f16_to_f32(" + b + ")", "") + ")";
}

/// Calls `value` with the operands as C expressions: once, or for each half of an .f16x2.
template <class F>
void onParts(Emitter& e, Type type, size_t sources, F value) {
    if (type.kind != Type::Halves) {
        std::string s[3];
        for (size_t i = 0; i < sources; i++) s[i] = e.read(i + 1, type);
        e.write(0, type, value(s));
        return;
    }

    std::string low[3], high[3];
    for (size_t i = 0; i < sources; i++) {
        low[i] = "low_half(" + e.read(i + 1, type) + ")";
        high[i] = "high_half(" + e.read(i + 1, type) + ")";
    }
    e.write(0, type, "halves(" + value(low) + ", " + value(high) + ")");
}

void needsHalves(Emitter& e, Type type) {
    if (isHalf(type)) e.needs(53, 42, e.opcode() + type.name());
}

std::string one(Type type) { return type.bits == 64 ? "1.0" : "1.0f"; }

void reciprocalOrRoot(Emitter& e) {
    e.count(2);
    Type type = e.type({".f32", ".f64"});
    const bool root = e.opcode() == "sqrt", approx = e.has(".approx");
    if (approx && type.bits == 64) {
        // Only the upper half of such a result means anything, and only with .ftz is there such an instruction.
        if (root || !e.has(".ftz")) e.fail("unknown modifier .approx of " + e.opcode() + ".f64");
        e.write(0, type, "(1.0 / " + e.read(1, type) + ")");
        return;
    }

    const std::string rounding = approx ? ".rn" : e.oneOf({".rn", ".rz", ".rm", ".rp"}, nullptr);
    Around around(e, type, true, false);
    std::string a = around.in(e.read(1, type));
    e.write(0, type, around.out(root ? rounded(Root, type, rounding, a, "0", "0") : rounded(Divide, type, rounding, one(type), a, "0")));
}

void inverseRoot(Emitter& e) {
    e.count(2);
    Type type = e.type({".f32", ".f64"});
    e.oneOf({".approx"}, nullptr);
    if (type.bits == 64) {
        e.has(".ftz");
        e.write(0, type, "(1.0 / __builtin_sqrt(" + e.read(1, type) + "))");
        return;
    }

    Around around(e, type, true, false);
    e.write(0, type, around.out("(f32)(1.0 / __builtin_sqrt((f64)" + around.in(e.read(1, type)) + "))"));
}

// sin, cos, lg2, ex2, tanh.
void function(Emitter& e) {
    e.count(2);
    const std::string& name = e.opcode();
    const bool halves = name == "ex2" || name == "tanh";
    Type type = halves ? e.type({".f32", ".f16", ".f16x2"}) : e.type({".f32"});
    e.oneOf({".approx"}, nullptr);
    if (name == "tanh" || isHalf(type)) e.needs(75, 70, name + ".approx" + type.name());
    Around around(e, type, name != "tanh" && !isHalf(type), false);
    const std::string f = name == "lg2" ? "log2f" : name == "ex2" ? "exp2f" : name + "f";
    onParts(e, type, 1, [&](const std::string* s) {
        return isHalf(type) ? "f32_to_f16(" + f + "(f16_to_f32(" + s[0] + ")))" : around.out(f + "(" + around.in(s[0]) + ")");
    });
}

void copysign(Emitter& e) {
    e.count(3);
    Type type = e.type({".f32", ".f64"});
    e.write(0, type, std::string("__builtin_copysign") + (type.bits == 64 ? "(" : "f(") + e.read(2, type) + ", " + e.read(1, type) + ")");
}

void fma(Emitter& e) {
    e.count(4);
    floatFma(e, e.type({".f16", ".f16x2", ".f32", ".f64"}));
}

}  // namespace

void floatAddMul(Emitter& e, Type type) {
    needsHalves(e, type);
    const std::string rounding = isHalf(type) ? e.oneOf({".rn"}, ".rn") : e.oneOf({".rn", ".rz", ".rm", ".rp"}, ".rn");
    Around around(e, type);
    const Operation operation = e.opcode() == "mul" ? Multiply : Add;
    // a - b is a + (-b), in every rounding.
    const bool minus = e.opcode() == "sub";
    onParts(e, type, 2, [&](const std::string* s) {
        std::string a = around.in(s[0]), b = around.in(s[1]);
        if (isHalf(type)) return around.out(ofHalves(operation, a, minus ? "(u16)(0x8000 ^ " + b + ")" : b, ""));
        return around.out(rounded(operation, type, rounding, a, minus ? "-" + b : b, "0"));
    });
}

void floatFma(Emitter& e, Type type) {
    needsHalves(e, type);
    const std::string rounding = isHalf(type) ? e.oneOf({".rn"}, nullptr) : e.oneOf({".rn", ".rz", ".rm", ".rp"}, nullptr);
    Around around(e, type);
    onParts(e, type, 3, [&](const std::string* s) {
        std::string a = around.in(s[0]), b = around.in(s[1]), c = around.in(s[2]);
        return around.out(isHalf(type) ? ofHalves(Fma, a, b, c) : rounded(Fma, type, rounding, a, b, c));
    });
}

void floatDivide(Emitter& e, Type type) {
    const std::string rounding = type.bits == 64 ? e.oneOf({".rn", ".rz", ".rm", ".rp"}, nullptr)
                                                 : e.oneOf({".approx", ".full", ".rn", ".rz", ".rm", ".rp"}, nullptr);
    Around around(e, type, true, false);
    const bool plain = rounding == ".approx" || rounding == ".full";
    e.write(0, type, around.out(rounded(Divide, type, plain ? ".rn" : rounding, around.in(e.read(1, type)), around.in(e.read(2, type)),
        "0")));
}

void floatMinMax(Emitter& e, Type type) {
    if (isHalf(type)) e.needs(80, 70, e.opcode() + type.name());
    const bool nan = type.bits == 64 && type.kind == Type::Float ? false : e.has(".NaN");
    if (nan) e.needs(80, 70, e.opcode() + ".NaN");
    Around around(e, type, true, false);
    const std::string name = e.opcode() + (nan ? "_nan" : "") + (type.bits == 64 ? "_f64(" : "_f32(");
    onParts(e, type, 2, [&](const std::string* s) {
        std::string a = around.in(s[0]), b = around.in(s[1]);
        return isHalf(type) ? "f32_to_f16(" + name + "f16_to_f32(" + a + "), f16_to_f32(" + b + ")))" : name + a + ", " + b + ")";
    });
}

void floatSign(Emitter& e, Type type) {
    const bool negates = e.opcode() == "neg";
    if (isHalf(type)) e.needs(53, negates ? 60 : 65, e.opcode() + type.name());
    Around around(e, type, true, false);
    onParts(e, type, 1, [&](const std::string* s) {
        std::string a = around.in(s[0]);
        if (isHalf(type)) return negates ? "(u16)(0x8000 ^ " + a + ")" : "(u16)(0x7fff & " + a + ")";
        return negates ? "-" + a : std::string(type.bits == 64 ? "__builtin_fabs(" : "__builtin_fabsf(") + a + ")";
    });
}

void addFloats(Translations& table) {
    table["fma"] = fma;
    table["rcp"] = table["sqrt"] = reciprocalOrRoot;
    table["rsqrt"] = inverseRoot;
    for (const char* name : {"sin", "cos", "lg2", "ex2", "tanh"}) table[name] = function;
    table["copysign"] = copysign;
}

}  // namespace sim::ptx
