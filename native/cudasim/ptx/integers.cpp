// Integers and bits.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type u32{Type::Unsigned, 32};

// The same bits without a sign: where C's signed arithmetic would be undefined.
Type unsignedOf(Type type) { return type.kind == Type::Signed ? Type{Type::Unsigned, type.bits} : type; }

std::string cast(Type type, const std::string& value) { return "(" + cType(type) + ")(" + value + ")"; }

void addSub(Emitter& e) {
    e.count(3);
    if (e.has(".cc") || e.opcode().back() == 'c') {
        // Sums with a carry, of any width: what a sum carries out is the bit above it.
        const bool in = e.opcode().back() == 'c', out = in ? e.has(".cc") : true, minus = e.opcode()[0] == 's';
        Type type = unsignedOf(e.type({".u32", ".s32", ".b32", ".u64", ".s64", ".b64"}));
        std::string wide = e.temporary(), sign = minus ? " - " : " + ";
        e.line("{ u128 " + wide + " = (u128)" + e.read(1, type) + sign + e.read(2, type) + (in ? sign + "carry" : "") + ";");
        if (out) e.line("carry = (u8)(" + wide + " >> " + std::to_string(type.bits) + ") & 1;");
        e.write(0, type, cast(type, wide));
        e.line("}");
        return;
    }

    Type type = e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f16", ".f16x2", ".f32", ".f64"});
    if (type.isFloat()) {
        floatAddMul(e, type);
        return;
    }

    const std::string sign = e.opcode() == "sub" ? " - " : " + ";
    if (e.has(".sat")) {
        if (!type.is(Type::Signed, 32)) e.fail("unknown modifier .sat of " + e.opcode() + type.name());
        e.write(0, type, "sat_s32((s64)" + e.read(1, type) + sign + e.read(2, type) + ")");
        return;
    }

    Type bits = unsignedOf(type);
    e.write(0, type, cast(type, e.read(1, bits) + sign + e.read(2, bits)));
}

/// The product of the operands 1 and 2, by the modifiers .lo, .hi and .wide; the type of the result in `to`.
std::string product(Emitter& e, Type type, Type& to) {
    const std::string part = e.oneOf({".lo", ".hi", ".wide"}, nullptr);
    to = type;
    if (part == ".hi") return "hi_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, type) + ")";
    if (part == ".lo") {
        // Two numbers of 16 bits would be multiplied as signed ones of 32.
        Type bits = unsignedOf(type);
        return "(" + cType(bits) + ")((" + (type.bits == 64 ? "u64)" : "u32)") + e.read(1, bits) + " * " + e.read(2, bits) + ")";
    }

    if (type.bits == 64) e.fail("unknown modifier .wide of " + e.opcode() + type.name());
    to.bits *= 2;
    return "(" + cType(to) + ")" + e.read(1, type) + " * (" + cType(to) + ")" + e.read(2, type);
}

void multiply(Emitter& e) {
    e.count(3);
    Type type = e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f16", ".f16x2", ".f32", ".f64"}), to;
    if (type.isFloat()) {
        floatAddMul(e, type);
        return;
    }

    std::string value = product(e, type, to);
    e.write(0, to, cast(to, value));
}

void multiplyAdd(Emitter& e) {
    e.count(4);
    Type type = e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f32", ".f64"}), to;
    if (type.isFloat()) {
        floatFma(e, type);
        return;
    }

    std::string value = product(e, type, to);
    if (e.has(".sat")) {
        if (!type.is(Type::Signed, 32) || value.compare(0, 3, "hi_")) e.fail("unknown modifier .sat of " + e.opcode() + type.name());
        e.write(0, to, "sat_s32((s64)" + value + " + " + e.read(3, to) + ")");
        return;
    }

    Type bits = unsignedOf(to);
    e.write(0, to, cast(to, cast(bits, value) + " + " + e.read(3, bits)));
}

void multiply24(Emitter& e) {
    const bool adds = e.opcode() == "mad24";
    e.count(adds ? 4 : 3);
    Type type = e.type({".u32", ".s32"});
    auto part = [&](size_t i) {
        return type.kind == Type::Signed ? "(s64)((s32)(" + e.read(i, u32) + " << 8) >> 8)" : "(u64)(" + e.read(i, u32) + " & 0xffffff)";
    };
    const bool high = e.oneOf({".lo", ".hi"}, nullptr) == ".hi";
    std::string value = "(u32)(" + part(1) + " * " + part(2) + (high ? " >> 16" : "") + ")";
    e.write(0, type, cast(type, adds ? value + " + " + e.read(3, u32) : value));
}

void sad(Emitter& e) {
    e.count(4);
    Type type = e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64"});
    e.write(0, type, "sad_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, type) + ", " + e.read(3, type) + ")");
}

void divide(Emitter& e) {
    e.count(3);
    Type type = e.opcode() == "div" ? e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f32", ".f64"})
                                    : e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64"});
    if (type.isFloat()) floatDivide(e, type);
    else e.write(0, type, e.opcode() + "_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, type) + ")");
}

void minMax(Emitter& e) {
    e.count(3);
    Type type = e.type({".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f16", ".f16x2", ".f32", ".f64"});
    if (type.isFloat()) floatMinMax(e, type);
    else e.write(0, type, e.opcode() + "_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, type) + ")");
}

void absNeg(Emitter& e) {
    e.count(2);
    Type type = e.type({".s16", ".s32", ".s64", ".f16", ".f16x2", ".f32", ".f64"});
    if (type.isFloat()) floatSign(e, type);
    else if (e.opcode() == "abs") e.write(0, type, "abs_" + cType(type) + "(" + e.read(1, type) + ")");
    else e.write(0, type, cast(type, "0 - " + e.read(1, unsignedOf(type))));
}

void logic(Emitter& e) {
    Type type = e.type({".pred", ".b16", ".b32", ".b64"});
    const std::string& name = e.opcode();
    if (name == "not" || name == "cnot") {
        e.count(2);
        if (name == "cnot" && type.kind == Type::Predicate) e.fail("unknown type .pred of cnot");
        e.write(0, type, name == "cnot" || type.kind == Type::Predicate ? "!" + e.read(1, type) : cast(type, "~" + e.read(1, type)));
        return;
    }

    e.count(3);
    e.write(0, type, e.read(1, type) + (name == "and" ? " & " : name == "or" ? " | " : " ^ ") + e.read(2, type));
}

void lop3(Emitter& e) {
    e.count(5);
    e.needs(50, 43, "lop3");
    Type type = e.type({".b32"});
    const uint64_t table = e.immediate(4, "a table of lop3");
    if (table > 255) e.fail("the table " + e.operand(4).text + " of lop3");
    e.write(0, type, "lop3(" + e.read(1, type) + ", " + e.read(2, type) + ", " + e.read(3, type) + ", " + std::to_string(table) + ")");
}

void shift(Emitter& e) {
    e.count(3);
    Type type = e.opcode() == "shl" ? e.type({".b16", ".b32", ".b64"})
                                    : e.type({".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64"});
    e.write(0, type, e.opcode() + "_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, u32) + ")");
}

void funnel(Emitter& e) {
    e.count(4);
    e.needs(32, 31, "shf");
    Type type = e.type({".b32"});
    const std::string direction = e.oneOf({".l", ".r"}, nullptr), mode = e.oneOf({".clamp", ".wrap"}, nullptr);
    e.write(0, type, "shf_" + direction.substr(1) + "_" + mode.substr(1) + "(" + e.read(1, type) + ", " + e.read(2, type) + ", " +
        e.read(3, u32) + ")");
}

void countBits(Emitter& e) {
    e.count(2);
    Type type = e.type({".b32", ".b64"});
    e.write(0, e.opcode() == "brev" ? type : u32, e.opcode() + "_b" + std::to_string(type.bits) + "(" + e.read(1, type) + ")");
}

void findBit(Emitter& e) {
    e.count(2);
    Type type = e.type({".u32", ".s32", ".u64", ".s64"});
    const bool shifts = e.has(".shiftamt");
    e.write(0, u32, "bfind_" + cType(type) + "(" + e.read(1, type) + (shifts ? ", 1)" : ", 0)"));
}

void extract(Emitter& e) {
    e.count(4);
    Type type = e.type({".u32", ".s32", ".u64", ".s64"});
    e.write(0, type, "bfe_" + cType(type) + "(" + e.read(1, type) + ", " + e.read(2, u32) + ", " + e.read(3, u32) + ")");
}

void insert(Emitter& e) {
    e.count(5);
    Type type = e.type({".b32", ".b64"});
    e.write(0, type, "bfi_b" + std::to_string(type.bits) + "(" + e.read(1, type) + ", " + e.read(2, type) + ", " + e.read(3, u32) + ", " +
        e.read(4, u32) + ")");
}

void permute(Emitter& e) {
    e.count(4);
    Type type = e.type({".b32"});
    e.write(0, type, "prmt(" + e.read(1, type) + ", " + e.read(2, type) + ", " + e.read(3, type) + ")");
}

}  // namespace

void addIntegers(Translations& table) {
    for (const char* name : {"add", "sub", "addc", "subc"}) table[name] = addSub;
    table["mul"] = multiply;
    table["mad"] = multiplyAdd;
    table["mul24"] = table["mad24"] = multiply24;
    table["sad"] = sad;
    table["div"] = table["rem"] = divide;
    table["min"] = table["max"] = minMax;
    table["abs"] = table["neg"] = absNeg;
    for (const char* name : {"and", "or", "xor", "not", "cnot"}) table[name] = logic;
    table["lop3"] = lop3;
    table["shl"] = table["shr"] = shift;
    table["shf"] = funnel;
    table["popc"] = table["clz"] = table["brev"] = countBits;
    table["bfind"] = findBit;
    table["bfe"] = extract;
    table["bfi"] = insert;
    table["prmt"] = permute;
}

}  // namespace sim::ptx
