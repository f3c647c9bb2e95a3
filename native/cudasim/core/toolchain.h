// The system's compiler, and the little of a file system that running it takes.
#pragma once

#include "sim.h"

#include <filesystem>
#include <string>
#include <vector>

namespace sim {

std::string readFile(const std::filesystem::path& path);
/// Makes the folder too.
void writeFile(const std::filesystem::path& path, const std::string& text);

/// A folder of its own for each compilation, gone at the end (unless CUDASIM_KEEP_SOURCES is set).
struct TemporaryFolder {
    TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    ~TemporaryFolder();
    std::filesystem::path path;
};

/// Runs a program in a folder; its standard error goes to a file. False when it failed, as far as one can know: a process whose
/// other parts collect all children leaves no exit code.
bool runProgram(const std::vector<std::string>& command, const std::filesystem::path& folder, const std::filesystem::path& errors);

/// The words of the environment variable CC; without it cc.
std::vector<std::string> compilerCommand();

/// Where libcudasim_core.so lies.
std::filesystem::path coreFolder();

}  // namespace sim
