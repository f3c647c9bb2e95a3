#include "compiler.h"

#include "headers.h"
#include "rewrite.h"

#include <cerrno>
#include <cstring>
#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <regex>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace sim {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

/// A folder of its own for each compilation, gone at the end.
struct Folder {
    fs::path path;
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "cudasim-XXXXXX").string();
        if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a folder " + pattern);
        path = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        if (settingNumber("KEEP_SOURCES", 0) == 0) fs::remove_all(path, ignored);
    }
};

// Runs a program; its standard error goes to a file. False when it failed, as far as one can know: a process whose other parts
// collect all children leaves no exit code.
bool run(const std::vector<std::string>& command, const fs::path& folder, const fs::path& errors) {
    std::vector<char*> arguments;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    pid_t child = 0;
    int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        write(errors, std::string("cannot run the C++ compiler ") + arguments[0] + ": " + std::strerror(failed) + "\n");
        return false;
    }

    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return true;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<std::string> compiler() {
    const char* chosen = std::getenv("CXX");
    std::istringstream words(chosen && *chosen ? chosen : "c++");
    std::vector<std::string> command;
    for (std::string word; words >> word;) command.push_back(word);
    return command;
}

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

fs::path coreFolder() {
    Dl_info info{};
    dladdr(reinterpret_cast<const void*>(&cudasimVersion), &info);
    // The address may be that of this library's own copy of the function; the core lies beside it.
    return fs::absolute(info.dli_fname ? info.dli_fname : ".").parent_path();
}

}  // namespace

Compiled compileKernels(const Source& source) {
    Compiled result;
    Folder folder;
    const fs::path wrapper = folder.path / "cudasim-wrapper.cpp", errors = folder.path / "cudasim-errors.txt";
    write(folder.path / "cudasim" / "kernel_abi.h", kernelAbiHeader);
    write(folder.path / "cudasim" / "cuda_emulation.h", emulationHeader);
    for (const auto& header : source.headers) write(folder.path / header.first, header.second);
    write(folder.path / source.name, source.text);
    // In a namespace without name, statics of templates are no more shared than the templates.
    write(wrapper, "#include \"cudasim/cuda_emulation.h\"\n" + definitions(source.flags) + "namespace {\n#include \"" + source.name + "\"\n}\n");

    std::vector<std::string> base = compiler();
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
    if (!run(preprocess, folder.path, errors) || !fs::exists(preprocessed)) {
        result.log = asNvrtc(read(errors));
        return result;
    }

    Rewritten rewritten = rewriteKernels(read(preprocessed));
    write(folder.path / "cudasim-kernels.ii", rewritten.text);
    std::vector<std::string> compile = base;
    // A GPU refuses accesses that are not aligned for their type; so does this.
    compile.insert(compile.end(), {"-fsanitize=alignment", "-fsanitize-undefined-trap-on-error", "-fvisibility=hidden", "-fpreprocessed", "-x", "c++",
                                   "cudasim-kernels.ii", "-x", "none", "-shared", "-L" + coreFolder().string(), "-l:libcudasim_core.so",
                                   "-lm", "-o", "cudasim-kernels.so"});
    bool compiled = run(compile, folder.path, errors) && fs::exists(object);
    result.log = asNvrtc(read(errors));
    if (!compiled) return result;
    result.object = read(object);
    result.succeeded = true;
    return result;
}

}  // namespace sim
