#include "compiler.h"

#include "headers.h"
#include "rewrite.h"
#include "toolchain.h"

#include <filesystem>
#include <regex>
#include <sstream>

namespace sim {
namespace {

namespace fs = std::filesystem;

// name:12:5: error: text  ->  name(12): error: text
std::string asNvrtc(const std::string& log) {
    static const std::regex place("^(.+?):(\\d+)(:\\d+)?: (fatal error|error|warning|note): ");
    std::istringstream lines(log);
    std::string result;
    for (std::string line; std::getline(lines, line);)
        result += std::regex_replace(line, place, "$1($2): $4: ", std::regex_constants::format_first_only) + "\n";
    return result;
}

// -DNAME=VALUE and -UNAME as lines that come after the emulation header, whose own names they must not touch.
std::string definitions(const std::vector<std::string>& flags) {
    std::string lines;
    for (const std::string& flag : flags) {
        if (flag.compare(0, 2, "-U") == 0) lines += "#undef " + flag.substr(2) + "\n";
        if (flag.compare(0, 2, "-D")) continue;
        size_t equals = flag.find('=');
        lines += "#define " + flag.substr(2, equals - 2) + " " + (equals == std::string::npos ? "1" : flag.substr(equals + 1)) + "\n";
    }

    return lines;
}

}  // namespace

Compiled compileKernels(const Source& source) {
    Compiled result;
    TemporaryFolder folder;
    const fs::path wrapper = folder.path / "cudasim-wrapper.cpp", errors = folder.path / "cudasim-errors.txt";
    writeFile(folder.path / "cudasim" / "kernel_abi.h", kernelAbiHeader);
    writeFile(folder.path / "cudasim" / "cuda_emulation.h", emulationHeader);
    for (const auto& header : source.headers) writeFile(folder.path / header.first, header.second);
    writeFile(folder.path / source.name, source.text);
    // In a namespace without name, statics of templates are no more shared than the templates.
    writeFile(wrapper, "#include \"cudasim/cuda_emulation.h\"\n" + definitions(source.flags) + "namespace {\n#include \"" + source.name + "\"\n}\n");

    std::vector<std::string> base = compilerCommand("CXX", "c++");
    base.insert(base.end(), {"-std=c++17", "-O2", "-march=native", "-fPIC", "-w", "-fdiagnostics-color=never", "-fno-exceptions",
                             "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math", "-fno-stack-protector", "-fstack-clash-protection",
                             source.contract ? "-ffp-contract=fast" : "-ffp-contract=off"});

    std::vector<std::string> preprocess = base;
    const std::string architecture = std::to_string(source.architecture) + "0";
    preprocess.insert(preprocess.end(), {"-nostdinc", "-I.", "-D__CUDASIM__=1", "-D__CUDACC__=1", "-D__CUDACC_RTC__=1",
                                         "-D__CUDA_ARCH__=" + architecture});
    for (const std::string& flag : source.flags)
        if (flag.compare(0, 2, "-I") == 0) preprocess.push_back(flag);
    preprocess.insert(preprocess.end(), {"-E", "cudasim-wrapper.cpp", "-o", "cudasim-preprocessed.ii"});
    const fs::path preprocessed = folder.path / "cudasim-preprocessed.ii", object = folder.path / "cudasim-kernels.so";
    if (!runProgram(preprocess, folder.path, errors) || !fs::exists(preprocessed)) {
        result.log = asNvrtc(readFile(errors));
        return result;
    }

    Rewritten rewritten = rewriteKernels(readFile(preprocessed));
    writeFile(folder.path / "cudasim-kernels.ii", rewritten.text);
    std::vector<std::string> compile = base;
    // A GPU refuses accesses that are not aligned for their type; so does this.
    compile.insert(compile.end(), {"-fsanitize=alignment", "-fsanitize-undefined-trap-on-error", "-fvisibility=hidden", "-fpreprocessed", "-x", "c++",
                                   "cudasim-kernels.ii", "-x", "none", "-shared", "-L" + coreFolder().string(), "-l:libcudasim_core.so",
                                   "-lm", "-o", "cudasim-kernels.so"});
    bool compiled = runProgram(compile, folder.path, errors) && fs::exists(object);
    result.log = asNvrtc(readFile(errors));
    if (!compiled) return result;
    result.object = readFile(object);
    result.succeeded = true;
    return result;
}

}  // namespace sim
