#include "parse.h"

#include "error.h"
#include "token.h"

#include <cstring>
#include <map>
#include <sstream>

namespace sim::ptx {

Type typeNamed(const std::string& dotted) {
    static const std::map<std::string, Type> types = {
        {".pred", {Type::Predicate, 1}}, {".b8", {Type::Bits, 8}},      {".b16", {Type::Bits, 16}},    {".b32", {Type::Bits, 32}},
        {".b64", {Type::Bits, 64}},      {".u8", {Type::Unsigned, 8}},  {".u16", {Type::Unsigned, 16}}, {".u32", {Type::Unsigned, 32}},
        {".u64", {Type::Unsigned, 64}},  {".s8", {Type::Signed, 8}},    {".s16", {Type::Signed, 16}},  {".s32", {Type::Signed, 32}},
        {".s64", {Type::Signed, 64}},    {".f16", {Type::Float, 16}},   {".f32", {Type::Float, 32}},   {".f64", {Type::Float, 64}},
        {".f16x2", {Type::Halves, 32}}};
    auto found = types.find(dotted);
    return found == types.end() ? Type() : found->second;
}

std::string Type::name() const {
    switch (kind) {
        case Predicate: return ".pred";
        case Bits: return ".b" + std::to_string(bits);
        case Unsigned: return ".u" + std::to_string(bits);
        case Signed: return ".s" + std::to_string(bits);
        case Float: return ".f" + std::to_string(bits);
        case Halves: return ".f16x2";
        default: return "nothing";
    }
}

namespace {

/// What is declared between { and }. Labels may be used before they stand.
struct Scope {
    std::map<std::string, int> registers, variables, labels;
    std::vector<std::pair<std::string, std::pair<unsigned, Type>>> ranges;  // %r<7>
    struct Use {
        size_t instruction;
        std::vector<size_t> path;  // to the operand
    };
    std::vector<Use> uses;
};

class Parser {
public:
    Parser(const std::string& text, void (*header)(const Module&, int)) : tokens_(tokenize(text)), header_(header) {}

    Module parse() {
        readHeader();
        while (next().kind != Token::End) topLevel();
        for (const Call& call : calls_) {
            auto found = functions_.find(call.name);
            if (found == functions_.end()) throw Error(call.line, "no function is called " + call.name);
            operandAt(module_.functions[call.function], {call.instruction, {call.operand}}).number = found->second;
        }

        for (const Remark& remark : tokens_.remarks) readRemark(remark);
        return std::move(module_);
    }

private:
    struct Call {
        size_t function, instruction, operand;
        std::string name;
        int line;
    };

    // ---- Tokens

    const Token& next(size_t ahead = 0) const {
        size_t index = at_ + ahead;
        return tokens_.list[index < tokens_.list.size() ? index : tokens_.list.size() - 1];
    }
    const Token& take() {
        const Token& token = next();
        if (token.kind != Token::End) at_++;
        return token;
    }
    bool isNext(const char* text) const { return next().text == text && next().kind != Token::End; }
    bool accept(const char* text) {
        if (!isNext(text)) return false;
        at_++;
        return true;
    }
    void expect(const char* text) {
        if (!accept(text)) throw Error(next().line, std::string("expected '") + text + "' and found " + shown(next()));
    }
    static std::string shown(const Token& token) { return token.kind == Token::End ? token.text : "'" + token.text + "'"; }
    std::string word(const char* what) {
        if (next().kind != Token::Word) throw Error(next().line, std::string("expected ") + what + " and found " + shown(next()));
        return take().text;
    }
    uint64_t integer(const char* what) {
        if (next().kind != Token::Integer) throw Error(next().line, std::string("expected ") + what + " and found " + shown(next()));
        return take().value;
    }

    // ---- Directives of the module

    void readHeader() {
        const int line = next().line;
        expect(".version");
        std::string version = next().text;
        if (next().kind != Token::Double) throw Error(line, "expected a version like 7.0 and found " + shown(next()));
        take();
        int major = 0, minor = 0;
        std::sscanf(version.c_str(), "%d.%d", &major, &minor);
        module_.version = major * 10 + minor;
        expect(".target");
        std::string target = word("a target like sm_80");
        if (target.compare(0, 3, "sm_") || target.size() < 5) throw Error(line, "the target " + target + " is not one we know");
        module_.target = std::atoi(target.c_str() + 3);
        while (accept(",")) {
            std::string option = word("an option of .target");
            if (option != "debug") throw Error(next().line, "unknown option " + option + " of .target");
        }

        if (accept(".address_size") && integer("an address size") != 64) throw Error(next().line, "addresses of 32 bits");
        header_(module_, line);
    }

    void readRemark(const Remark& remark) {
        std::istringstream words(remark.text);
        std::string kind;
        words >> kind;
        if (kind != "view") return;
        View view{0, 0, 0, remark.line};
        long long parameter = -1, offset = -1, element = -1;
        if (!(words >> parameter >> offset >> element) || parameter < 0 || offset < 0 || element <= 0)
            throw Error(remark.line, "expected //@view <parameter> <byte offset> <element bytes>");
        view.parameter = (int)parameter;
        view.offset = (unsigned)offset;
        view.element = (unsigned)element;
        module_.views.push_back(view);
    }

    void topLevel() {
        bool isExtern = false;
        while (isNext(".visible") || isNext(".extern") || isNext(".weak")) {
            isExtern |= isNext(".extern");
            take();
        }

        const Token& token = next();
        if (token.text == ".entry" || token.text == ".func") {
            function(isExtern);
        } else if (token.text == ".global" || token.text == ".const" || token.text == ".shared") {
            take();
            variable(token.text == ".global" ? Space::Global : token.text == ".const" ? Space::Const : Space::Shared, isExtern,
                module_.variables, moduleScope_);
        } else if (token.text == ".file") {
            while (next().kind != Token::End && next().line == token.line) take();
        } else {
            throw Error(token.line, "unknown directive " + token.text);
        }
    }

    // ---- Variables

    // Behind the space: .align 4 .b8 name[16] = {…};
    void variable(Space space, bool isExtern, std::vector<Variable>& list, Scope& scope) {
        do one(space, isExtern, list, scope);
        while (accept(","));
        expect(";");
    }

    Variable declaration(Space space) {
        Variable variable;
        variable.space = space;
        variable.line = next().line;
        unsigned align = 0;
        if (accept(".align")) align = (unsigned)integer("an alignment");
        unsigned lanes = accept(".v2") ? 2 : accept(".v4") ? 4 : 1;
        Type type = typeNamed(next().text);
        if (type.kind == Type::None || type.kind == Type::Predicate) throw Error(next().line, "expected a type and found " + shown(next()));
        take();
        elementBytes_ = type.bytes();
        element_ = type;
        // A parameter may say that it points to memory of some space and alignment, which tells us nothing.
        if (space == Space::Param && accept(".ptr")) {
            while (isNext(".global") || isNext(".shared") || isNext(".const") || isNext(".local")) take();
            if (accept(".align")) integer("an alignment");
        }

        variable.name = word("a name");
        variable.bytes = (uint64_t)lanes * type.bytes();
        variable.align = align ? align : (unsigned)variable.bytes;
        if (variable.align & (variable.align - 1))
            throw Error(variable.line, "the alignment " + std::to_string(variable.align) + " is not a power of two");
        while (accept("[")) {
            if (accept("]")) {
                variable.dynamic = true;
                continue;
            }

            variable.bytes *= integer("a number of elements");
            expect("]");
        }

        return variable;
    }

    void one(Space space, bool isExtern, std::vector<Variable>& list, Scope& scope) {
        Variable made = declaration(space);
        if (accept("=")) initializer(made);
        const bool shared = space == Space::Shared;
        if (made.dynamic && made.initial.empty() && !(shared && isExtern))
            throw Error(made.line, "the variable " + made.name + " has no size");
        if (isExtern && !(made.dynamic && shared)) throw Error(made.line, "the variable " + made.name + " lies in another module");
        if (made.dynamic && shared) made.bytes = 0;
        if (scope.variables.count(made.name)) throw Error(made.line, "the variable " + made.name + " is there already");
        scope.variables[made.name] = (int)list.size();
        list.push_back(made);
    }

    void initializer(Variable& variable) {
        if (variable.space != Space::Global && variable.space != Space::Const)
            throw Error(variable.line, "only .global and .const variables have values");
        int depth = 0;
        do {
            while (accept("{")) depth++;
            if (!isNext("}")) scalar(variable);
            while (depth > 0 && accept("}")) depth--;
        } while (depth > 0 && accept(","));
        if (depth) expect("}");
        if (variable.dynamic) {
            variable.bytes = variable.initial.size();
            variable.dynamic = false;
        }

        if (variable.initial.size() > variable.bytes) throw Error(variable.line, "more values than " + variable.name + " has elements");
        variable.initial.resize(variable.bytes, 0);
    }

    void scalar(Variable& variable) {
        const bool negative = accept("-");
        const Token& token = take();
        uint64_t bits = token.value;
        if (token.kind == Token::Integer) {
            if (negative) bits = 0 - bits;
        } else if (token.kind == Token::Double && element_.is(Type::Float, 32)) {
            double wide;
            std::memcpy(&wide, &bits, sizeof wide);
            float narrow = (float)(negative ? -wide : wide);
            bits = 0;
            std::memcpy(&bits, &narrow, sizeof narrow);
        } else if (!(token.kind == Token::Single && element_.bits == 32) && !(token.kind == Token::Double && element_.bits == 64)) {
            throw Error(token.line, "expected a value and found " + shown(token));
        } else if (negative) {
            bits ^= 1ull << (element_.bits - 1);
        }

        for (unsigned i = 0; i < elementBytes_; i++) variable.initial.push_back((unsigned char)(bits >> 8 * i));
    }

    // ---- Functions

    void function(bool isExtern) {
        Function made;
        made.line = next().line;
        made.isEntry = take().text == ".entry";
        scopes_.assign(1, Scope());
        function_ = &made;
        if (!made.isEntry && accept("(")) parameters(made.results);
        made.name = word("the function's name");
        if (accept("(")) parameters(made.parameters);
        tuning(made);
        if (isExtern) throw Error(made.line, "the function " + made.name + " is not defined here: what it should do is not known");
        auto known = functions_.find(made.name);
        size_t index = known == functions_.end() ? module_.functions.size() : (size_t)known->second;
        functions_[made.name] = (int)index;
        if (index == module_.functions.size()) module_.functions.emplace_back();
        if (!accept(";")) {
            if (module_.functions[index].isDefined) throw Error(made.line, "the function " + made.name + " is there already");
            current_ = index;
            made.isDefined = true;
            block();
        }

        if (!module_.functions[index].isDefined) module_.functions[index] = std::move(made);
        function_ = nullptr;
    }

    void parameters(std::vector<int>& list) {
        if (accept(")")) return;
        do {
            if (isNext(".reg")) throw Error(next().line, "parameters in registers");
            expect(".param");
            Variable made = declaration(Space::Param);
            if (made.dynamic) throw Error(made.line, "the parameter " + made.name + " has no size");
            list.push_back((int)function_->variables.size());
            scopes_[0].variables[made.name] = (int)function_->variables.size();
            function_->variables.push_back(made);
        } while (accept(","));
        expect(")");
    }

    void tuning(Function& made) {
        for (;;) {
            if (accept(".maxntid") || isNext(".reqntid")) {
                const bool required = accept(".reqntid");
                unsigned sizes[3] = {1, 1, 1};
                for (int i = 0; i < 3; i++) {
                    sizes[i] = (unsigned)integer("a number of threads");
                    if (!accept(",")) break;
                }

                made.maxThreads = (int)(sizes[0] * sizes[1] * sizes[2]);
                if (required) std::memcpy(made.required, sizes, sizeof sizes);
            } else if (accept(".minnctapersm")) {
                made.minBlocks = (int)integer("a number of blocks");
            } else if (accept(".maxnreg")) {
                integer("a number of registers");
            } else if (next().kind == Token::Dotted) {
                throw Error(next().line, "unknown directive " + next().text);
            } else {
                return;
            }
        }
    }

    void block() {
        expect("{");
        scopes_.emplace_back();
        while (!accept("}")) statement();
        Scope inner = std::move(scopes_.back());
        scopes_.pop_back();
        for (const Scope::Use& use : inner.uses) {
            Operand& operand = operandAt(*function_, use);
            auto found = inner.labels.find(operand.text);
            if (found != inner.labels.end()) operand.number = found->second;
            else if (scopes_.size() > 1) scopes_.back().uses.push_back(use);
            else throw Error(function_->body[use.instruction].line, "unknown name " + operand.text);
        }
    }

    static Operand& operandAt(Function& function, const Scope::Use& use) {
        Operand* operand = &function.body[use.instruction].operands[use.path[0]];
        for (size_t i = 1; i < use.path.size(); i++) operand = &operand->parts[use.path[i]];
        return *operand;
    }

    void statement() {
        if (next().kind == Token::End) throw Error(next().line, "the text ends inside a function");
        if (isNext("{")) {
            block();
        } else if (accept(";")) {
        } else if (next().kind == Token::Dotted) {
            directive();
        } else if (next().kind == Token::Word && next(1).text == ":") {
            label();
        } else {
            instruction();
        }
    }

    void directive() {
        const Token& token = take();
        Scope& scope = scopes_.back();
        if (token.text == ".reg") registers(scope);
        else if (token.text == ".local") variable(Space::Local, false, function_->variables, scope);
        else if (token.text == ".shared") variable(Space::Shared, false, function_->variables, scope);
        else if (token.text == ".param") variable(Space::Param, false, function_->variables, scope);
        else if (token.text == ".extern" && accept(".shared")) variable(Space::Shared, true, function_->variables, scope);
        else if (token.text == ".loc") while (next().kind == Token::Integer && next().line == token.line) take();
        else if (token.text == ".pragma") pragma();
        else throw Error(token.line, "unknown directive " + token.text);
    }

    // Hints to the compiler, which change nothing that a kernel computes.
    void pragma() {
        do
            if (take().kind != Token::Quoted) throw Error(next().line, "expected a text and found " + shown(next()));
        while (accept(","));
        expect(";");
    }

    void registers(Scope& scope) {
        Type type = typeNamed(next().text);
        if (type.kind == Type::None) throw Error(next().line, "unknown type " + next().text + " of registers");
        take();
        do {
            std::string name = word("a register's name");
            if (accept("<")) {
                scope.ranges.push_back({name, {(unsigned)integer("a number of registers"), type}});
                expect(">");
            } else {
                scope.registers[name] = newRegister(name, type);
            }
        } while (accept(","));
        expect(";");
    }

    int newRegister(const std::string& name, Type type) {
        function_->registers.push_back({name, type});
        return (int)function_->registers.size() - 1;
    }

    void label() {
        Instruction made;
        made.line = next().line;
        std::string name = take().text;
        take();
        if (scopes_.back().labels.count(name)) throw Error(made.line, "the label " + name + " is there already");
        made.label = scopes_.back().labels[name] = function_->labels++;
        made.isTargets = accept(".branchtargets");
        if (made.isTargets) {
            instruction_ = function_->body.size();
            do {
                made.operands.push_back(operand({made.operands.size()}));
                if (made.operands.back().form != Operand::Label)
                    throw Error(made.line, "expected a label and found " + made.operands.back().text);
            } while (accept(","));
            expect(";");
        } else if (isNext(".calltargets") || isNext(".callprototype")) {
            throw Error(made.line, "unknown directive " + next().text);
        }

        function_->body.push_back(made);
    }

    void instruction() {
        Instruction made;
        made.line = next().line;
        instruction_ = function_->body.size();
        if (accept("@")) {
            made.guardNegated = accept("!");
            std::string name = word("a predicate");
            made.guard = findRegister(name);
            if (made.guard < 0 || function_->registers[(size_t)made.guard].type.kind != Type::Predicate)
                throw Error(made.line, name + " is no predicate register");
        }

        made.opcode = word("an instruction");
        while (next().kind == Token::Dotted) made.modifiers.push_back(take().text);
        while (!isNext(";")) {
            // call (result), function, (arguments);
            made.operands.push_back(isNext("(") ? list({made.operands.size()}) : operand({made.operands.size()}));
            if (made.operands.back().form == Operand::Function)
                calls_.push_back({current_, instruction_, made.operands.size() - 1, made.operands.back().text, made.line});
            if (!accept(",")) break;
        }

        expect(";");
        function_->body.push_back(made);
    }

    // ---- Operands. The path says where in the instruction the operand will stand.

    Operand list(std::vector<size_t> path) {
        Operand made;
        made.form = Operand::Vector;
        made.text = "(…)";
        expect("(");
        if (accept(")")) return made;
        do {
            path.push_back(made.parts.size());
            made.parts.push_back(operand(path));
            path.pop_back();
        } while (accept(","));
        expect(")");
        return made;
    }

    Operand operand(std::vector<size_t> path) {
        if (accept("{")) {
            Operand made;
            made.form = Operand::Vector;
            made.text = "{…}";
            do {
                path.push_back(made.parts.size());
                made.parts.push_back(operand(path));
                path.pop_back();
            } while (accept(","));
            expect("}");
            return made;
        }

        if (accept("[")) {
            Operand made;
            made.form = Operand::Address;
            made.text = "[" + next().text + "]";
            path.push_back(0);
            made.parts.push_back(operand(path));
            made.offset = made.parts[0].form == Operand::Symbol ? made.parts[0].offset : 0;
            if (isNext("+") || isNext("-")) made.offset += offset();
            expect("]");
            return made;
        }

        Operand first = plain(path);
        if (!accept("|")) return first;
        Operand made;
        made.form = Operand::Pair;
        made.text = first.text + "|" + next().text;
        path.push_back(1);
        made.parts = {first, plain(path)};
        return made;
    }

    int64_t offset() {
        const bool negative = take().text == "-";
        const bool inner = accept("-");
        int64_t value = (int64_t)integer("an offset");
        return negative != inner ? -value : value;
    }

    Operand plain(const std::vector<size_t>& path) {
        Operand made;
        made.negated = accept("!");
        const bool negative = accept("-"), inverted = !negative && accept("~");
        const Token& token = take();
        made.text = token.text;
        if (token.kind == Token::Integer) {
            made.form = Operand::Integer;
            made.bits = negative ? 0 - token.value : inverted ? ~token.value : token.value;
            return made;
        }

        if (token.kind == Token::Single || token.kind == Token::Double) {
            made.form = token.kind == Token::Single ? Operand::Single : Operand::Double;
            made.bits = token.value ^ (negative ? 1ull << (token.kind == Token::Single ? 31 : 63) : 0);
            return made;
        }

        if (token.kind != Token::Word || negative || inverted) throw Error(token.line, "expected an operand and found " + shown(token));
        named(made, path);
        return made;
    }

    void named(Operand& made, const std::vector<size_t>& path) {
        if (made.text == "_") return;
        made.number = findRegister(made.text);
        if (made.number >= 0) {
            made.form = Operand::Reg;
            if (next().kind == Token::Dotted) throw Error(next().line, "an element of the vector " + made.text);
            return;
        }

        if (made.text[0] == '%') {
            made.form = Operand::Special;
            if (next().kind == Token::Dotted) made.text += take().text;
            return;
        }

        for (size_t depth = scopes_.size(); depth-- > 0;) {
            auto found = scopes_[depth].variables.find(made.text);
            if (found == scopes_[depth].variables.end()) continue;
            symbol(made, found->second, false);
            return;
        }

        auto found = moduleScope_.variables.find(made.text);
        if (found != moduleScope_.variables.end()) {
            symbol(made, found->second, true);
        } else if (functions_.count(made.text)) {
            made.form = Operand::Function;
        } else {
            made.form = Operand::Label;
            scopes_.back().uses.push_back({instruction_, path});
        }
    }

    void symbol(Operand& made, int number, bool ofModule) {
        made.form = Operand::Symbol;
        made.number = number;
        made.ofModule = ofModule;
        if (isNext("+") || isNext("-")) made.offset = offset();
    }

    int findRegister(const std::string& name) {
        for (size_t depth = scopes_.size(); depth-- > 0;) {
            Scope& scope = scopes_[depth];
            auto found = scope.registers.find(name);
            if (found != scope.registers.end()) return found->second;
            for (const auto& range : scope.ranges) {
                const std::string& prefix = range.first;
                if (name.compare(0, prefix.size(), prefix) || name.size() == prefix.size()) continue;
                char* end = nullptr;
                unsigned long number = std::strtoul(name.c_str() + prefix.size(), &end, 10);
                if (*end || !std::isdigit((unsigned char)name[prefix.size()]) || number >= range.second.first) continue;
                return scope.registers[name] = newRegister(name, range.second.second);
            }
        }

        return -1;
    }

    Tokens tokens_;
    void (*header_)(const Module&, int);
    size_t at_ = 0;
    Module module_;
    Scope moduleScope_;
    std::map<std::string, int> functions_;
    std::vector<Call> calls_;
    std::vector<Scope> scopes_;
    Function* function_ = nullptr;
    size_t current_ = 0;      // its number
    size_t instruction_ = 0;  // the number of the one being read
    unsigned elementBytes_ = 0;
    Type element_;
};

}  // namespace

Module parse(const std::string& text, void (*header)(const Module& module, int line)) { return Parser(text, header).parse(); }

}  // namespace sim::ptx
