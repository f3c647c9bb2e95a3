// Comparisons and choices.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type pred{Type::Predicate, 1};

/// The comparison that is asked for, as a C expression of 0 or 1.
std::string compared(Emitter& e, const std::string& how, Type type, const std::string& a, const std::string& b) {
    if (type.isFloat()) return how + "_" + (type.bits == 64 ? "f64" : "f32") + "(" + a + ", " + b + ")";
    static const std::map<std::string, const char*> signs = {{"eq", "=="}, {"ne", "!="}, {"lt", "<"},  {"le", "<="}, {"gt", ">"},
                                                             {"ge", ">="}, {"lo", "<"},  {"ls", "<="}, {"hi", ">"},  {"hs", ">="}};
    const char* sign = signs.at(how);
    if (type.kind == Type::Bits && how != "eq" && how != "ne") e.fail("unknown modifier ." + how + " of " + e.opcode() + type.name());
    const bool ofUnsigned = how == "lo" || how == "ls" || how == "hi" || how == "hs";
    if (ofUnsigned && type.kind != Type::Unsigned) e.fail("unknown modifier ." + how + " of " + e.opcode() + type.name());
    return "(" + a + " " + sign + " " + b + ")";
}

struct Question {
    std::string how, combine;
    bool ftz = false;
};

Question question(Emitter& e, Type type) {
    Question q;
    q.combine = e.oneOf({".and", ".or", ".xor"}, "");
    if (type.isFloat()) {
        q.how = e.oneOf({".eq", ".ne", ".lt", ".le", ".gt", ".ge", ".equ", ".neu", ".ltu", ".leu", ".gtu", ".geu", ".num", ".nan"},
            nullptr).substr(1);
        q.ftz = type.bits != 64 && e.has(".ftz");
    } else {
        q.how = e.oneOf({".eq", ".ne", ".lt", ".le", ".gt", ".ge", ".lo", ".ls", ".hi", ".hs"}, nullptr).substr(1);
    }

    return q;
}

std::string asFloat(const Question& q, Type type, const std::string& value) {
    if (type.is(Type::Float, 64)) return value;
    if (type.is(Type::Float, 32)) return q.ftz ? "ftz_f32(" + value + ")" : value;
    return "f16_to_f32(" + (q.ftz ? "ftz_f16(" + value + ")" : value) + ")";
}

std::string combined(Emitter& e, const Question& q, const std::string& value) {
    if (q.combine.empty()) return value;
    return value + (q.combine == ".and" ? " & " : q.combine == ".or" ? " | " : " ^ ") + "(" + e.read(3, pred) + ")";
}

void setp(Emitter& e) {
    Type type = e.type({".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f16", ".f16x2", ".f32", ".f64"});
    const Question q = question(e, type);
    e.count(q.combine.empty() ? 3 : 4);
    const Operand& to = e.operand(0);
    const bool two = to.form == Operand::Pair;
    std::string a = e.read(1, type), b = e.read(2, type);
    std::string first, second;
    if (type.kind == Type::Halves) {
        e.needs(53, 42, "setp.f16x2");
        if (!two) e.fail("setp.f16x2 answers two predicates");
        first = compared(e, q.how, type, asFloat(q, type, "low_half(" + a + ")"), asFloat(q, type, "low_half(" + b + ")"));
        second = compared(e, q.how, type, asFloat(q, type, "high_half(" + a + ")"), asFloat(q, type, "high_half(" + b + ")"));
    } else {
        if (type.isFloat()) {
            a = asFloat(q, type, a);
            b = asFloat(q, type, b);
        }

        first = compared(e, q.how, type, a, b);
        second = "!" + first;
    }

    if (!two) {
        e.write(0, pred, combined(e, q, first));
        return;
    }

    // Both are computed before either is written: they may be among what is read.
    std::string p = e.temporary(), n = e.temporary();
    e.line("{ u8 " + p + " = (" + combined(e, q, first) + ") != 0, " + n + " = (" + combined(e, q, second) + ") != 0;");
    e.write(to.parts[0], pred, p);
    e.write(to.parts[1], pred, n);
    e.line("}");
}

void set(Emitter& e) {
    Type from = e.type({".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f16", ".f32", ".f64"});
    Type to = e.type({".u32", ".s32", ".f32"});
    const Question q = question(e, from);
    e.count(q.combine.empty() ? 3 : 4);
    std::string a = e.read(1, from), b = e.read(2, from);
    if (from.isFloat()) {
        a = asFloat(q, from, a);
        b = asFloat(q, from, b);
    }

    const std::string value = combined(e, q, compared(e, q.how, from, a, b));
    e.write(0, to, "(" + value + (to.isFloat() ? ") ? 1.0f : 0.0f" : ") ? ~0u : 0u"));
}

void selp(Emitter& e) {
    e.count(4);
    Type type = e.type({".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f32", ".f64"});
    e.write(0, type, "(" + e.read(3, pred) + ") ? " + e.read(1, type) + " : " + e.read(2, type));
}

void slct(Emitter& e) {
    e.count(4);
    Type by = e.type({".s32", ".f32"});
    Type type = e.type({".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f32", ".f64"});
    const bool ftz = by.isFloat() && e.has(".ftz");
    std::string c = e.read(3, by);
    e.write(0, type, (ftz ? "ftz_f32(" + c + ")" : c) + " >= 0 ? " + e.read(1, type) + " : " + e.read(2, type));
}

void testp(Emitter& e) {
    e.count(2);
    Type type = e.type({".f32", ".f64"});
    const std::string what = e.oneOf({".finite", ".infinite", ".number", ".notanumber", ".normal", ".subnormal"}, nullptr);
    std::string x = e.read(1, type), size = std::string(type.bits == 64 ? "__builtin_fabs(" : "__builtin_fabsf(") + x + ")";
    const std::string least = type.bits == 64 ? "0x1p-1022" : "0x1p-126f", most = type.bits == 64 ? "__builtin_inf()" : "__builtin_inff()";
    if (what == ".finite") e.write(0, pred, size + " < " + most);
    else if (what == ".infinite") e.write(0, pred, size + " == " + most);
    else if (what == ".number") e.write(0, pred, x + " == " + x);
    else if (what == ".notanumber") e.write(0, pred, x + " != " + x);
    else if (what == ".normal") e.write(0, pred, size + " >= " + least + " && " + size + " < " + most);
    else e.write(0, pred, size + " < " + least + " && " + size + " > 0");
}

}  // namespace

void addComparisons(Translations& table) {
    table["setp"] = setp;
    table["set"] = set;
    table["selp"] = selp;
    table["slct"] = slct;
    table["testp"] = testp;
}

}  // namespace sim::ptx
