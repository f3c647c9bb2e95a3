// What touches memory: mov, ld, st, atom, red, cvta, isspacep. Each access becomes a call that answers its place, or ends the launch.
#include "emit.h"

namespace sim::ptx {
namespace {

const Type u64{Type::Unsigned, 64}, pred{Type::Predicate, 1};

Space space(Emitter& e) {
    if (e.has(".global")) return Space::Global;
    if (e.has(".shared") || e.has(".shared::cta")) return Space::Shared;
    if (e.has(".local")) return Space::Local;
    if (e.has(".const")) return Space::Const;
    if (e.has(".param") || e.has(".param::entry") || e.has(".param::func")) return Space::Param;
    return Space::Generic;
}

/// How strongly an access is ordered, and for whom: nothing that the simulator could get wrong, since blocks run one after another.
void ordering(Emitter& e) {
    const std::string how = e.oneOf({".weak", ".volatile", ".relaxed", ".acquire", ".release", ".acq_rel"}, "");
    if (!how.empty() && how != ".volatile") e.needs(how == ".weak" ? 30 : 70, 60, e.opcode() + how);
    e.oneOf({".cta", ".gpu", ".sys"}, "");
}

/// The place of a parameter: known here, so that nothing is left to check at run time.
std::string parameterAt(Emitter& e, const Operand& operand, unsigned bytes) {
    const Variable* v = e.variableOf(operand);
    if (!v || v->space != Space::Param) e.fail("the address " + operand.text + " is that of no parameter");
    if (operand.offset < 0 || (uint64_t)operand.offset + bytes > v->bytes) e.fail("an access behind the end of the parameter " + v->name);
    if (operand.offset % bytes) e.fail("a misaligned access to the parameter " + v->name);
    return "(v" + std::to_string(operand.parts[0].number) + " + " + std::to_string(operand.offset) + ")";
}

/// Leaves the place of an access in a new variable of C.
std::string at(Emitter& e, Space where, const Operand& operand, unsigned bytes, Access::Kind kind) {
    const std::string name = e.temporary(), size = std::to_string(bytes);
    std::string value;
    if (where == Space::Param) {
        value = "(char*)" + parameterAt(e, operand, bytes);
    } else {
        const std::string place = e.site(bytes, kind) + ", ", address = e.address(operand) + ", " + size;
        switch (where) {
            case Space::Global: value = "global_at(launch, " + place + address + ")"; break;
            case Space::Shared: value = "shared_at(launch, " + place + address + ")"; break;
            case Space::Local: value = "window_at(local, localBytes, " + place + address + ", \"local memory\")"; break;
            case Space::Const: value = "window_at(constants, constBytes, " + place + address + ", \"constant memory\")"; break;
            default: value = "generic_at(launch, " + place + address + ", local, localBytes)"; break;
        }
    }

    e.line("{ char* " + name + " = " + value + ";");
    return name;
}

const std::initializer_list<const char*> anyType = {".b8",  ".b16", ".b32", ".b64", ".u8",  ".u16", ".u32", ".u64",
                                                    ".s8",  ".s16", ".s32", ".s64", ".f32", ".f64"};

unsigned lanes(Emitter& e) { return e.has(".v4") ? 4 : e.has(".v2") ? 2 : 1; }

/// The elements of {a, b}, or the operand itself.
std::vector<const Operand*> elements(Emitter& e, const Operand& operand, unsigned lanes) {
    std::vector<const Operand*> list;
    if (operand.form == Operand::Vector)
        for (const Operand& part : operand.parts) list.push_back(&part);
    else list.push_back(&operand);
    if (list.size() != lanes || (lanes > 1) != (operand.form == Operand::Vector))
        e.fail(operand.text + " where " + std::to_string(lanes) + " registers are needed");
    return list;
}

void load(Emitter& e) {
    e.count(2);
    Type type = e.type(anyType);
    ordering(e);
    const Space where = space(e);
    e.oneOf({".ca", ".cg", ".cs", ".lu", ".cv"}, "");
    if (where == Space::Global) e.has(".nc");
    for (const char* hint : {".L1::evict_normal", ".L1::evict_unchanged", ".L1::evict_first", ".L1::evict_last", ".L1::no_allocate",
                             ".L2::64B", ".L2::128B", ".L2::256B"})
        e.has(hint);
    const unsigned count = lanes(e), bytes = count * type.bytes();
    if (bytes > 16) e.fail("an access of " + std::to_string(bytes) + " bytes");
    const std::string place = at(e, where, e.operand(1), bytes, Access::Load);
    std::vector<const Operand*> to = elements(e, e.operand(0), count);
    for (unsigned i = 0; i < count; i++)
        e.write(*to[i], type, "((const " + cType(type) + "*)" + place + ")[" + std::to_string(i) + "]", true);
    e.line("}");
}

void store(Emitter& e) {
    e.count(2);
    Type type = e.type(anyType);
    ordering(e);
    const Space where = space(e);
    if (where == Space::Const) e.fail("unknown modifier .const of st");
    e.oneOf({".wb", ".cg", ".cs", ".wt"}, "");
    const unsigned count = lanes(e), bytes = count * type.bytes();
    if (bytes > 16) e.fail("an access of " + std::to_string(bytes) + " bytes");
    std::vector<const Operand*> from = elements(e, e.operand(1), count);
    if (where == Space::Param && e.function().isEntry) {
        const Variable* v = e.variableOf(e.operand(0));
        for (int parameter : e.function().parameters)
            if (v && v->name == e.function().variables[(size_t)parameter].name) e.fail("a store to the kernel's parameter " + v->name);
    }

    const std::string place = at(e, where, e.operand(0), bytes, Access::Store);
    for (unsigned i = 0; i < count; i++)
        e.line("((" + cType(type) + "*)" + place + ")[" + std::to_string(i) + "] = " + e.read(*from[i], type, true) + ";");
    e.line("}");
}

void prefetch(Emitter& e) {
    e.count(1);
    e.oneOf({".L1", ".L2"}, nullptr);
    space(e);
    e.address(e.operand(0));
}

// mov packs {low, …, high} into one register and unpacks one register into several.
void move(Emitter& e) {
    e.count(2);
    Type type = e.type({".pred", ".b16", ".b32", ".b64", ".u16", ".u32", ".u64", ".s16", ".s32", ".s64", ".f32", ".f64"});
    const Operand &to = e.operand(0), &from = e.operand(1);
    if (to.form != Operand::Vector && from.form != Operand::Vector) {
        e.write(to, type, e.read(from, type));
        return;
    }

    if (type.kind != Type::Bits) e.fail("unknown type " + type.name() + " of mov between vectors and registers");
    const std::vector<Operand>& parts = (to.form == Operand::Vector ? to : from).parts;
    if (to.form == from.form || (parts.size() != 2 && parts.size() != 4) || type.bits / (int)parts.size() < 8)
        e.fail("a mov between " + to.text + " and " + from.text);
    Type part{Type::Bits, type.bits / (int)parts.size()};
    const std::string name = e.temporary(), c = cType(type);
    e.line("{ " + c + " " + name + " = 0;");
    if (to.form == Operand::Vector) {
        e.line(name + " = " + e.read(from, type) + ";");
        for (size_t i = 0; i < parts.size(); i++)
            e.write(parts[i], part, "(" + cType(part) + ")(" + name + " >> " + std::to_string((int)i * part.bits) + ")");
    } else {
        for (size_t i = 0; i < parts.size(); i++)
            e.line(name + " |= (" + c + ")((" + c + ")(" + cType(part) + ")" + e.read(parts[i], part) + " << " +
                std::to_string((int)i * part.bits) + ");");
        e.write(to, type, name);
    }

    e.line("}");
}

// Addresses of global memory are the same in both forms; the other windows begin at 0 in their own form.
void convertAddress(Emitter& e) {
    e.count(2);
    const bool back = e.has(".to");
    const Space where = space(e);
    e.type({".u64"});
    const std::string a = e.read(1, u64);
    const std::string base = where == Space::Shared  ? "(u64)launch->shared"
                             : where == Space::Local ? "(u64)local"
                             : where == Space::Const ? "(u64)constants"
                             : where == Space::Global ? "0"
                                                     : "";
    if (base.empty()) e.fail("cvta without one of .global .shared .local .const");
    e.write(0, u64, a + (back ? " - " : " + ") + base);
}

void isSpace(Emitter& e) {
    e.count(2);
    const Space where = space(e);
    const std::string a = e.read(1, u64), shared = "(" + a + " - (u64)launch->shared < launch->shared_bytes)",
                      local = "(" + a + " - (u64)local < localBytes)", constant = "(" + a + " - (u64)constants < constBytes)";
    if (where == Space::Shared) e.write(0, pred, shared);
    else if (where == Space::Local) e.write(0, pred, local);
    else if (where == Space::Const) e.write(0, pred, constant);
    else if (where == Space::Global) e.write(0, pred, "!" + shared + " && !" + local + " && !" + constant);
    else e.fail("isspacep without one of .global .shared .local .const");
}

void atomic(Emitter& e) {
    const bool answers = e.opcode() == "atom";
    ordering(e);
    const Space where = space(e);
    if (where != Space::Global && where != Space::Shared && where != Space::Generic) e.fail(e.opcode() + " in a space without atomics");
    const std::string operation = answers ? e.oneOf({".add", ".min", ".max", ".and", ".or", ".xor", ".exch", ".cas", ".inc", ".dec"},
        nullptr)
                                          : e.oneOf({".add", ".min", ".max", ".and", ".or", ".xor", ".inc", ".dec"}, nullptr);
    Type type;
    if (operation == ".add") type = e.type({".u32", ".s32", ".u64", ".s64", ".f32", ".f64"});
    else if (operation == ".min" || operation == ".max") type = e.type({".u32", ".s32", ".u64", ".s64"});
    else if (operation == ".inc" || operation == ".dec") type = e.type({".u32"});
    else type = e.type({".b32", ".b64", ".u32", ".u64", ".s32", ".s64"});
    if (type.is(Type::Float, 64)) e.needs(60, 50, e.opcode() + ".add.f64");
    const size_t first = answers ? 1 : 0;
    e.count(first + (operation == ".cas" ? 3 : 2));
    const bool plain = operation == ".cas" || operation == ".exch" || type.kind == Type::Bits;
    Type c = plain ? Type{Type::Unsigned, type.bits} : type;
    std::string values = e.read(first + 1, type);
    if (operation == ".cas") values += ", " + e.read(first + 2, type);
    const std::string place = at(e, where, e.operand(first), type.bytes(), Access::Atomic);
    const std::string call = "atom_" + operation.substr(1) + "_" + cType(c) + "(" + place + ", " + values + ")";
    if (answers) e.write(0, type, call);
    else e.line("(void)" + call + ";");
    e.line("}");
}

}  // namespace

void addMemory(Translations& table) {
    table["ld"] = load;
    table["ldu"] = load;
    table["st"] = store;
    table["prefetch"] = prefetch;
    table["mov"] = move;
    table["cvta"] = convertAddress;
    table["isspacep"] = isSpace;
    table["atom"] = table["red"] = atomic;
}

}  // namespace sim::ptx
