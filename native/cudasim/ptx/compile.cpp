#include "compile.h"

#include "headers.h"
#include "toolchain.h"

#include <cstdint>
#include <fstream>
#include <unistd.h>

namespace sim::ptx {
namespace {

namespace fs = std::filesystem;

// Little optimisation, which takes less time than it saves only in kernels that run long; arithmetic exactly as it is written.
const char* const flags[] = {
    "-std=gnu11", "-O1", "-march=native", "-fPIC", "-w", "-fdiagnostics-color=never", "-fno-strict-aliasing", "-fwrapv",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-stack-protector", "-fstack-clash-protection",
    "-fvisibility=hidden", "-nostdinc"};

std::string hashOf(const std::string& text) {
    uint64_t a = 14695981039346656037ull, b = 0x9e3779b97f4a7c15ull;
    for (unsigned char c : text) {
        a = (a ^ c) * 1099511628211ull;
        b = (b + c) * 0xd6e8feb86659fd93ull;
        b ^= b >> 32;
    }

    char name[40];
    std::snprintf(name, sizeof name, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
    return name;
}

/// What the processor can do, in its own words: code for one that can do more does not run here.
std::string processorFlags() {
    std::ifstream processor("/proc/cpuinfo");
    for (std::string line; std::getline(processor, line);)
        if (!line.compare(0, 5, "flags") || !line.compare(0, 8, "Features")) return line;
    return "";
}

std::string make(const std::vector<std::string>& command, const std::string& text) {
    TemporaryFolder folder;
    const fs::path errors = folder.path / "errors.txt", object = folder.path / "kernels.so";
    writeFile(folder.path / "kernels.c", text);
    std::vector<std::string> compile = command;
    const std::string core = "-L" + coreFolder().string();
    compile.insert(compile.end(), {"-shared", "kernels.c", core, "-l:libcudasim_core.so", "-lm", "-o", "kernels.so"});
    if (!runProgram(compile, folder.path, errors) || !fs::exists(object))
        throw std::runtime_error("the C compiler refuses what the PTX became: " + readFile(errors));
    return readFile(object);
}

}  // namespace

std::string compileC(const std::string& code) {
    const std::string text = ptxHeaders() + code;
    std::vector<std::string> command = compilerCommand();
    command.insert(command.end(), std::begin(flags), std::end(flags));
    std::string identity = processorFlags() + "\n";
    for (const std::string& word : command) identity += word + " ";
    const std::string chosen = setting("PTX_CACHE", "");
    const fs::path folder = chosen.empty() ? coreFolder() / "ptx-cache" : fs::path(chosen);
    const fs::path cached = folder / (hashOf(identity + text) + ".so");
    std::error_code ignored;
    if (fs::exists(cached, ignored)) return readFile(cached);

    count("compilations");
    std::string object = make(command, text);
    // Others may make the same at the same time: each its own file, which then takes its place as a whole. No room is no error.
    const fs::path mine = folder / (cached.filename().string() + "." + std::to_string(getpid()) + "-" + std::to_string((uintptr_t)&object));
    try {
        writeFile(mine, object);
        if (fs::file_size(mine) == object.size()) fs::rename(mine, cached);
        else fs::remove(mine);
    } catch (const fs::filesystem_error&) {
        fs::remove(mine, ignored);
    }

    return object;
}

}  // namespace sim::ptx
