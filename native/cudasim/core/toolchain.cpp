#include "toolchain.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace sim {

namespace fs = std::filesystem;

std::string readFile(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void writeFile(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

TemporaryFolder::TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "cudasim-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a folder " + pattern);
    path = pattern;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    if (settingNumber("KEEP_SOURCES", 0) == 0) fs::remove_all(path, ignored);
}

bool runProgram(const std::vector<std::string>& command, const fs::path& folder, const fs::path& errors) {
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
        writeFile(errors, std::string("cannot run the compiler ") + arguments[0] + ": " + std::strerror(failed) + "\n");
        return false;
    }

    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return true;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<std::string> compilerCommand() {
    const char* chosen = std::getenv("CC");
    std::istringstream words(chosen && *chosen ? chosen : "cc");
    std::vector<std::string> command;
    for (std::string word; words >> word;) command.push_back(word);
    return command;
}

fs::path coreFolder() {
    Dl_info info{};
    dladdr(reinterpret_cast<const void*>(&coreFolder), &info);
    std::error_code failed;
    fs::path file = fs::canonical(info.dli_fname ? info.dli_fname : ".", failed);
    return failed ? fs::current_path() : file.parent_path();
}

}  // namespace sim
