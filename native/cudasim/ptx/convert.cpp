// cvt, in all directions between integers, floats and halves.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type f32{Type::Float, 32}, f64{Type::Float, 64};

std::string mode(const std::string& rounding) { return rounding == ".rz" ? "1" : rounding == ".rm" ? "2" : rounding == ".rp" ? "3" : "0"; }

std::string integerToInteger(Emitter& e, Type to, Type from, const std::string& value) {
    if (!e.has(".sat")) return value;
    const std::string bits = std::to_string(to.bits), wide = from.kind == Type::Signed ? "s64" : "u64";
    std::string v = "(" + wide + ")" + value;
    const std::string most = to.kind == Type::Unsigned ? "(~0ull >> (64 - " + bits + "))" : "(~0ull >> (65 - " + bits + "))";
    const std::string least = "(-(s64)" + most + " - 1)";
    std::string name = e.temporary();
    e.line(wide + " " + name + " = " + v + ";");
    // A bound that the source cannot reach would be compared wrongly.
    std::string result = name;
    if (from.kind == Type::Unsigned ? from.bits >= to.bits : from.bits > to.bits)
        result = name + " > (" + wide + ")" + most + " ? (" + wide + ")" + most + " : " + result;
    if (from.kind == Type::Signed && to.kind == Type::Unsigned) result = name + " < 0 ? 0 : (" + result + ")";
    if (from.kind == Type::Signed && to.kind == Type::Signed && from.bits > to.bits)
        result = name + " < " + least + " ? " + least + " : (" + result + ")";
    return "(" + result + ")";
}

std::string integerToFloat(Type to, Type from, const std::string& rounding, const std::string& value) {
    const std::string wide = from.kind == Type::Signed ? "s64" : "u64";
    // What a double cannot hold is more than the largest half, so that rounding it first changes nothing.
    if (to.bits == 16) return "cudasim_ptx_f64_to_f16(" + mode(rounding) + ", (f64)" + value + ")";
    if (rounding == ".rn") return "(" + cType(to) + ")" + value;
    return "cudasim_ptx_" + wide + "_to_" + cType(to) + "(" + mode(rounding) + ", " + value + ")";
}

std::string integral(const std::string& rounding, Type type, const std::string& value) {
    const char* name = rounding == ".rni" ? "rint" : rounding == ".rzi" ? "trunc" : rounding == ".rmi" ? "floor" : "ceil";
    return std::string("__builtin_") + name + (type.bits == 64 ? "(" : "f(") + value + ")";
}

std::string floatToFloat(Emitter& e, Type to, Type from, const std::string& value) {
    if (to.bits == from.bits) return value;
    if (to.bits > from.bits) return "(" + cType(to) + ")" + (from.bits == 16 ? "f16_to_f32(" + value + ")" : value);
    const std::string rounding = e.oneOf({".rn", ".rz", ".rm", ".rp"}, nullptr);
    if (from.bits == 64 && to.bits == 32)
        return rounding == ".rn" ? "(f32)" + value : "cudasim_ptx_f64_to_f32(" + mode(rounding) + ", " + value + ")";
    if (from.bits == 64) return "cudasim_ptx_f64_to_f16(" + mode(rounding) + ", " + value + ")";
    return "f32_to_f16" + (rounding == ".rn" ? "" : "_" + rounding.substr(1)) + "(" + value + ")";
}

// cvt.rn.f16x2.f32 d, a, b: a becomes the upper half.
void pack(Emitter& e) {
    e.count(3);
    e.needs(80, 70, "cvt.f16x2.f32");
    const std::string rounding = e.oneOf({".rn", ".rz"}, nullptr), name = rounding == ".rn" ? "f32_to_f16(" : "f32_to_f16_rz(";
    e.write(0, {Type::Halves, 32}, "halves(" + name + e.read(2, f32) + "), " + name + e.read(1, f32) + "))");
}

void cvt(Emitter& e) {
    const std::initializer_list<const char*> all = {".u8", ".u16", ".u32", ".u64", ".s8", ".s16", ".s32", ".s64", ".f16", ".f32", ".f64"};
    Type from = e.type(all);
    if (e.has(".f16x2")) {
        if (from != f32) e.fail("unknown type " + from.name() + " of cvt.f16x2");
        pack(e);
        return;
    }

    Type to = e.type(all);
    e.count(2);
    std::string value = e.read(1, from, true);
    e.line("{");
    if (!from.isFloat() && !to.isFloat()) {
        e.write(0, to, integerToInteger(e, to, from, value), true);
        e.line("}");
        return;
    }

    const bool ftz = (from == f32 || to == f32) && e.has(".ftz"), sat = e.has(".sat");
    if (ftz && from == f32) value = "ftz_f32(" + value + ")";
    if (!from.isFloat()) {
        value = integerToFloat(to, from, e.oneOf({".rn", ".rz", ".rm", ".rp"}, nullptr), value);
    } else if (!to.isFloat()) {
        const std::string rounding = e.oneOf({".rni", ".rzi", ".rmi", ".rpi"}, nullptr);
        Type wide = from.bits == 64 ? f64 : f32;
        if (from.bits == 16) value = "f16_to_f32(" + value + ")";
        value = cType(wide) + "_to_" + cType(to) + "(" + integral(rounding, wide, value) + ")";
    } else {
        // Floats of one size are rounded to integers if at all.
        const std::string rounding = to.bits == from.bits ? e.oneOf({".rni", ".rzi", ".rmi", ".rpi"}, "") : "";
        if (!rounding.empty() && to.bits == 16) value = "f32_to_f16(" + integral(rounding, f32, "f16_to_f32(" + value + ")") + ")";
        else if (!rounding.empty()) value = integral(rounding, to, value);
        else value = floatToFloat(e, to, from, value);
    }

    if (ftz && to == f32) value = "ftz_f32(" + value + ")";
    if (sat && to.isFloat()) value = "sat_" + (to.bits == 16 ? "f16" : cType(to)) + "(" + value + ")";
    e.write(0, to, value, true);
    e.line("}");
}

}  // namespace

void addConversions(Translations& table) { table["cvt"] = cvt; }

}  // namespace sim::ptx
