// The NVRTC API over the system's C++ compiler.
#include "compiler.h"
#include "headers.h"
#include "../include/kernel_abi.h"

#include <nvrtc.h>

#include <cstring>
#include <mutex>
#include <set>

struct _nvrtcProgram {
    sim::Source source;
    std::string log, cubin, ptx;
};

namespace {

const int architectures[] = {50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90};

std::mutex mutex;
std::set<nvrtcProgram>& programs() {
    static auto& set = *new std::set<nvrtcProgram>;
    return set;
}

bool known(nvrtcProgram program) {
    std::lock_guard<std::mutex> lock(mutex);
    return programs().count(program) != 0;
}

std::string image(const std::string& object, int architecture) {
    cudasim_image_header header{};
    std::strcpy(header.magic, "CUDASIM CUBIN");
    header.abi = cudasim_abi;
    header.architecture = architecture;
    header.build = sim::emulationBuild();
    header.bytes = object.size();
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + object;
}

// The options that NVRTC knows and we may want; empty when all is well, else what is wrong.
std::string parse(int count, const char* const* options, sim::Source& source, bool& virtualArchitecture) {
    virtualArchitecture = true;
    source.architecture = 52;
    source.flags.clear();
    for (int i = 0; i < count; i++) {
        std::string option = options[i] ? options[i] : "", value;
        auto takes = [&](const char* name) {
            size_t length = std::strlen(name);
            if (option.compare(0, length, name)) return false;
            if (option.size() > length && option[length] == '=') {
                value = option.substr(length + 1);
                return true;
            }

            if (option.size() != length || i + 1 >= count) return false;
            value = options[++i];
            return true;
        };

        if (takes("--gpu-architecture") || takes("-arch")) {
            int number = 0;
            size_t underscore = value.find('_');
            if (underscore != std::string::npos) number = std::atoi(value.c_str() + underscore + 1);
            bool isVirtual = value.compare(0, 8, "compute_") == 0, found = false;
            for (int architecture : architectures) found |= architecture == number;
            if (!found || (!isVirtual && value.compare(0, 3, "sm_"))) return "invalid value for --gpu-architecture (-arch)";
            source.architecture = number;
            virtualArchitecture = isVirtual;
        } else if (takes("--std") || takes("-std")) {
            if (value != "c++11" && value != "c++14" && value != "c++17" && value != "c++20") return "invalid value for --std (-std)";
        } else if (takes("--fmad") || takes("-fmad")) {
            source.contract = value == "true";
        } else if (option.compare(0, 2, "-D") == 0 || option.compare(0, 2, "-I") == 0 || option.compare(0, 2, "-U") == 0) {
            if (option.size() == 2 && i + 1 < count) option += options[++i];
            source.flags.push_back(option);
        } else if (takes("--define-macro") || takes("--undefine-macro") || takes("--include-path")) {
            const char* flag = std::strstr(options[i], "undefine") ? "-U" : std::strstr(options[i], "include") ? "-I" : "-D";
            source.flags.push_back(flag + value);
        } else if (takes("--maxrregcount") || takes("-maxrregcount") || takes("--ftz") || takes("-ftz") || takes("--prec-sqrt") || takes("--prec-div")) {
            continue;
        } else {
            static const char* const plain[] = {"--use_fast_math", "-use_fast_math", "--generate-line-info", "-lineinfo", "--device-debug", "-G",
                                                "--default-device", "-default-device", "--restrict", "-restrict", "--extra-device-vectorization",
                                                "--disable-warnings", "-w", "--device-as-default-execution-space"};
            bool found = false;
            for (const char* one : plain) found |= option == one;
            if (!found) return "unrecognized option " + option + " found";
        }
    }

    return "";
}

nvrtcResult copyOut(nvrtcProgram program, std::string _nvrtcProgram::*text, char* to, bool ending) {
    if (!known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (!to) return NVRTC_ERROR_INVALID_INPUT;
    std::memcpy(to, (program->*text).c_str(), (program->*text).size() + (ending ? 1 : 0));
    return NVRTC_SUCCESS;
}

nvrtcResult sizeOut(nvrtcProgram program, std::string _nvrtcProgram::*text, size_t* to, bool ending) {
    if (!known(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (!to) return NVRTC_ERROR_INVALID_INPUT;
    *to = (program->*text).size() + (ending ? 1 : 0);
    return NVRTC_SUCCESS;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

const char* cudasimVersion(void) { return sim::version; }

const char* nvrtcGetErrorString(nvrtcResult result) {
    switch (result) {
        case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
        case NVRTC_ERROR_OUT_OF_MEMORY: return "NVRTC_ERROR_OUT_OF_MEMORY";
        case NVRTC_ERROR_PROGRAM_CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
        case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
        case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
        case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
        case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
        case NVRTC_ERROR_BUILTIN_OPERATION_FAILURE: return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
        case NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION: return "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION";
        case NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION: return "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION";
        case NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID: return "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID";
        case NVRTC_ERROR_INTERNAL_ERROR: return "NVRTC_ERROR_INTERNAL_ERROR";
    }

    return "NVRTC_ERROR unknown";
}

nvrtcResult nvrtcVersion(int* major, int* minor) {
    if (!major || !minor) return NVRTC_ERROR_INVALID_INPUT;
    *major = 12;
    *minor = 4;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetNumSupportedArchs(int* numArchs) {
    if (!numArchs) return NVRTC_ERROR_INVALID_INPUT;
    *numArchs = (int)(sizeof architectures / sizeof *architectures);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int* supportedArchs) {
    if (!supportedArchs) return NVRTC_ERROR_INVALID_INPUT;
    std::memcpy(supportedArchs, architectures, sizeof architectures);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCreateProgram(
    nvrtcProgram* prog, const char* src, const char* name, int numHeaders, const char* const* headers, const char* const* includeNames) {
    if (!prog || !src || numHeaders < 0 || (numHeaders > 0 && (!headers || !includeNames))) return NVRTC_ERROR_INVALID_INPUT;
    auto* program = new _nvrtcProgram;
    program->source.name = name && *name ? name : "default_program";
    program->source.text = src;
    for (int i = 0; i < numHeaders; i++) program->source.headers.emplace_back(includeNames[i], headers[i]);
    std::lock_guard<std::mutex> lock(mutex);
    programs().insert(program);
    *prog = program;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram* prog) {
    if (!prog || !known(*prog)) return NVRTC_ERROR_INVALID_PROGRAM;
    std::lock_guard<std::mutex> lock(mutex);
    programs().erase(*prog);
    delete *prog;
    *prog = nullptr;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int numOptions, const char* const* options) {
    if (!known(prog)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (numOptions < 0 || (numOptions > 0 && !options)) return NVRTC_ERROR_INVALID_INPUT;
    bool virtualArchitecture = true;
    std::string wrong = parse(numOptions, options, prog->source, virtualArchitecture);
    if (!wrong.empty()) {
        prog->log = "nvrtc: error: " + wrong + "\n";
        return NVRTC_ERROR_INVALID_OPTION;
    }

    try {
        sim::count("compilations");
        sim::Compiled compiled = sim::compileKernels(prog->source);
        prog->log = compiled.log;
        prog->cubin = prog->ptx = "";
        if (!compiled.succeeded) return NVRTC_ERROR_COMPILATION;
        if (!virtualArchitecture) prog->cubin = image(compiled.object, prog->source.architecture);
        prog->ptx = image(compiled.object, -prog->source.architecture);
        return NVRTC_SUCCESS;
    } catch (const std::exception& error) {
        prog->log = std::string("nvrtc: error: ") + error.what() + "\n";
        return NVRTC_ERROR_INTERNAL_ERROR;
    }
}

nvrtcResult nvrtcGetPTXSize(nvrtcProgram prog, size_t* ptxSizeRet) { return sizeOut(prog, &_nvrtcProgram::ptx, ptxSizeRet, false); }
nvrtcResult nvrtcGetPTX(nvrtcProgram prog, char* ptx) { return copyOut(prog, &_nvrtcProgram::ptx, ptx, false); }
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t* cubinSizeRet) { return sizeOut(prog, &_nvrtcProgram::cubin, cubinSizeRet, false); }
nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char* cubin) { return copyOut(prog, &_nvrtcProgram::cubin, cubin, false); }
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t* logSizeRet) { return sizeOut(prog, &_nvrtcProgram::log, logSizeRet, true); }
nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char* log) { return copyOut(prog, &_nvrtcProgram::log, log, true); }

}  // extern "C"
#pragma GCC visibility pop
