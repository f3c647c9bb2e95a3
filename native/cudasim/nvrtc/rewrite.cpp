#include "rewrite.h"

#include <cctype>
#include <set>
#include <sstream>
#include <vector>

namespace sim {
namespace {

struct Kernel {
    std::string name, bounds;
};

class Rewriter {
public:
    explicit Rewriter(const std::string& text) : in_(text) {}

    Rewritten run() {
        while (at_ < in_.size()) {
            size_t start = at_;
            std::string token = next();
            if (token == "__global__") {
                global_ = true;
            } else if (token == "__launch_bounds__") {
                bounds_ = firstArgument();
            } else if (token == "__shared__") {
                shared();
            } else {
                if (token == "(" && global_) found();
                emit(token, start);
            }
        }

        appendTable();
        return {std::move(out_), (int)kernels_.size()};
    }

private:
    // One token, or a run of white space, or a whole preprocessor line.
    std::string next() {
        size_t start = at_;
        unsigned char c = (unsigned char)in_[at_];
        if (c == '#' && (start == 0 || in_[start - 1] == '\n')) {
            while (at_ < in_.size() && in_[at_] != '\n') at_++;
        } else if (std::isspace(c)) {
            while (at_ < in_.size() && std::isspace((unsigned char)in_[at_]) && !(at_ > start && in_[at_ - 1] == '\n')) at_++;
        } else if (std::isalpha(c) || c == '_') {
            while (at_ < in_.size() && (std::isalnum((unsigned char)in_[at_]) || in_[at_] == '_')) at_++;
        } else if (std::isdigit(c)) {
            while (at_ < in_.size() && (std::isalnum((unsigned char)in_[at_]) || in_[at_] == '.' || in_[at_] == '\'' ||
                                        ((in_[at_] == '+' || in_[at_] == '-') && std::string("eEpP").find(in_[at_ - 1]) != std::string::npos)))
                at_++;
        } else if (c == '"' || c == '\'') {
            at_++;
            while (at_ < in_.size() && in_[at_] != (char)c) at_ += in_[at_] == '\\' ? 2 : 1;
            at_++;
        } else {
            at_++;
        }

        if (at_ > in_.size()) at_ = in_.size();
        return in_.substr(start, at_ - start);
    }

    static bool isSpace(const std::string& token) { return std::isspace((unsigned char)token[0]) || token[0] == '#'; }

    void emit(const std::string& token, size_t) {
        if (isSpace(token)) {
            out_ += token;
            return;
        }

        if (token == "{" && declaration_.size() >= 2 && declaration_[declaration_.size() - 2] == "extern" && declaration_.back() == "\"C\"") {
            linkage_.push_back(depth_);
        }

        if (token == "{") depth_++;
        if (token == "}") {
            depth_--;
            if (!linkage_.empty() && linkage_.back() == depth_) linkage_.pop_back();
        }

        if (token == ";" || token == "{" || token == "}") {
            declaration_.clear();
            positions_.clear();
            global_ = false;
            bounds_.clear();
        } else {
            declaration_.push_back(token);
            positions_.push_back(out_.size());
        }

        out_ += token;
    }

    // The text up to the first comma between the parentheses that follow; passes all of them.
    std::string firstArgument() {
        std::string argument;
        int depth = 0;
        bool first = true;
        while (at_ < in_.size()) {
            std::string token = next();
            if (token == "(" && depth++ == 0) continue;
            if (token == ")" && --depth == 0) break;
            if (token == "," && depth == 1) first = false;
            if (first && depth > 0) argument += token[0] == '#' ? "" : token;
        }

        return argument;
    }

    // The name before the parenthesis of a function that is a kernel.
    void found() {
        global_ = false;
        bool c = !linkage_.empty(), isTemplate = false;
        for (size_t i = 0; i < declaration_.size(); i++) {
            if (declaration_[i] == "\"C\"" && i > 0 && declaration_[i - 1] == "extern") c = true;
            if (declaration_[i] == "template") isTemplate = true;
        }

        if (!c || isTemplate || declaration_.empty()) return;
        for (Kernel& kernel : kernels_) {
            if (kernel.name != declaration_.back()) continue;
            if (!bounds_.empty()) kernel.bounds = bounds_;
            return;
        }

        kernels_.push_back({declaration_.back(), bounds_});
    }

    void shared() {
        if (declaration_.empty() || declaration_.back() != "extern") {
            out_ += declaration_.empty() || declaration_.back() != "static" ? "static " : "";
            out_ += "__attribute__((section(\"cudasim_shared\"))) ";
            return;
        }

        // extern __shared__ T name[];
        out_.resize(positions_.back());
        declaration_.clear();
        positions_.clear();
        std::vector<std::string> tokens;
        std::string lines;
        while (at_ < in_.size() && in_[at_] != ';') {
            std::string token = next();
            if (isSpace(token)) lines += token.find('\n') != std::string::npos ? "\n" : "";
            else tokens.push_back(token);
        }

        size_t bracket = tokens.size();
        for (size_t i = 0; i < tokens.size(); i++)
            if (tokens[i] == "[" && bracket == tokens.size()) bracket = i;
        if (bracket == tokens.size() || bracket < 2) {
            out_ += "static_assert(false, \"the simulator knows extern __shared__ only as an array without size\")";
            return;
        }

        std::string type, bare;
        int attribute = 0;
        for (size_t i = 0; i + 1 < bracket; i++) {
            type += tokens[i] + " ";
            // The type alone, for the cast: without attributes.
            if (tokens[i] == "__attribute__" || tokens[i] == "alignas") {
                attribute = -1;
                continue;
            }

            if (attribute) {
                if (tokens[i] == "(") attribute = attribute < 0 ? 1 : attribute + 1;
                if (tokens[i] == ")" && --attribute == 0) continue;
                continue;
            }

            bare += tokens[i] + " ";
        }

        out_ += bare + "* const " + tokens[bracket - 1] + " = (" + bare + "*)cudasim_here.dynamic_shared" + lines;
    }

    void appendTable() {
        std::ostringstream table;
        table << "\n# 1 \"<kernels>\"\n";
        table << "extern \"C\" { extern char __start_cudasim_shared[] __attribute__((weak, visibility(\"hidden\")));\n"
              << "extern char __stop_cudasim_shared[] __attribute__((weak, visibility(\"hidden\"))); }\nnamespace {\n";
        for (size_t i = 0; i < kernels_.size(); i++)
            table << "static void cudasim_call_" << i << "(void** parameters) { cudasim_parameters<decltype(&" << kernels_[i].name
                  << ")>::call(&" << kernels_[i].name << ", parameters); }\n";
        table << "static const cudasim_kernel cudasim_kernels[] = {\n";
        for (size_t i = 0; i < kernels_.size(); i++) {
            std::string traits = "cudasim_parameters<decltype(&" + kernels_[i].name + ")>";
            table << "{\"" << kernels_[i].name << "\", cudasim_call_" << i << ", " << traits << "::count, " << traits << "::sizes, "
                  << traits << "::pointers, (int)(" << (kernels_[i].bounds.empty() ? "1024" : kernels_[i].bounds) << ")},\n";
        }

        table << "{nullptr, nullptr, 0, nullptr, nullptr, 0}};\n}\n"
              << "extern \"C\" __attribute__((visibility(\"default\"))) const cudasim_module_info cudasim_module = {cudasim_abi, "
              << kernels_.size() << ", cudasim_kernels, __start_cudasim_shared, __stop_cudasim_shared};\n";
        out_ += table.str();
    }

    const std::string& in_;
    std::string out_;
    size_t at_ = 0;
    int depth_ = 0;
    std::vector<int> linkage_;                // depths at which extern "C" { was opened
    std::vector<std::string> declaration_;    // tokens since the last ; { or }
    std::vector<size_t> positions_;           // where each of them lies in out_
    bool global_ = false;
    std::string bounds_;
    std::vector<Kernel> kernels_;
};

}  // namespace

Rewritten rewriteKernels(const std::string& preprocessed) { return Rewriter(preprocessed).run(); }

}  // namespace sim
