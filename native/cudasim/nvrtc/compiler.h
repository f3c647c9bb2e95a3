// Compiles one .cu file with the system's C++ compiler.
#pragma once

#include <string>
#include <vector>

namespace sim {

struct Source {
    std::string name, text;
    std::vector<std::pair<std::string, std::string>> headers;  // name, text
    std::vector<std::string> flags;                            // -D and -I, for the compiler
    int architecture = 80;
    bool contract = true;                                      // a·b + c may become one operation
};

struct Compiled {
    bool succeeded = false;
    std::string log;      // in NVRTC's form: name(line): error: text
    std::string object;   // the shared object
};

Compiled compileKernels(const Source& source);

}  // namespace sim
