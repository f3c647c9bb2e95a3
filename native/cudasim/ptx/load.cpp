#include "load.h"

#include "compile.h"
#include "emit.h"
#include "parse.h"

#include <sstream>

namespace sim::ptx {
namespace {

/// The newest version of PTX that a driver for a version of CUDA reads: 12.4 is 12040, and PTX 8.4 is 84.
int newestVersion(int driver) {
    static const struct {
        int driver, version;
    } table[] = {{13000, 90}, {12090, 88}, {12080, 87}, {12070, 86}, {12050, 85}, {12040, 84}, {12030, 83}, {12020, 82}, {12010, 81},
                 {12000, 80}, {11080, 78}, {11070, 77}, {11060, 76}, {11050, 75}, {11040, 74}, {11030, 73}, {11020, 72}, {11010, 71},
                 {11000, 70}, {10020, 65}, {10010, 64}, {10000, 63}, {9020, 62},  {9010, 61},  {9000, 60}};
    for (const auto& row : table)
        if (driver >= row.driver) return row.version;
    return 50;
}

std::string dotted(int version) { return std::to_string(version / 10) + "." + std::to_string(version % 10); }

void checkHeader(const Module& module, int line) {
    const int driver = (int)settingNumber("DRIVER_VERSION", 12040), newest = newestVersion(driver), device = computeCapability();
    if (module.version > newest)
        throw Error(line, "PTX " + dotted(module.version) + " is newer than " + dotted(newest) + ", which is what this driver reads",
            CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
    if (module.target > device)
        throw Error(line, "code for sm_" + std::to_string(module.target) + " and a device with sm_" + std::to_string(device),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
}

std::string lineOf(const std::string& text, int number) {
    std::istringstream lines(text);
    std::string line;
    for (int i = 0; i < number && std::getline(lines, line); i++) {
    }

    const size_t begin = line.find_first_not_of(" \t\r"), end = line.find_last_not_of(" \t\r");
    return begin == std::string::npos ? "" : line.substr(begin, end - begin + 1);
}

}  // namespace

Program load(const std::string& text) {
    Program program;
    try {
        const Module module = parse(text, checkHeader);
        Emitter::Result made = Emitter(module).run();
        size_t next = 0;
        for (size_t i = 0; i < module.functions.size(); i++) {
            const Function& f = module.functions[i];
            if (!f.isEntry) continue;
            Kernel kernel{f.name, "cudasim_ptx_kernel_" + std::to_string(i), {}, f.maxThreads, made.kernels[next++]};
            for (int parameter : f.parameters) kernel.parameterBytes.push_back((unsigned)f.variables[(size_t)parameter].bytes);
            program.log += f.name + ": about " + std::to_string(kernel.info.registers) + " registers, " +
                std::to_string(kernel.info.staticShared) +
                           " bytes of shared and " + std::to_string(kernel.info.local) + " of local memory\n";
            program.kernels.push_back(std::move(kernel));
        }

        program.object = compileC(made.code);
    } catch (const Error& error) {
        program.code = error.code;
        program.log = std::string(error.what()) + " in line " + std::to_string(error.line) + ": " + lineOf(text, error.line) + "\n";
    } catch (const std::exception& error) {
        program.code = CUDA_ERROR_INVALID_PTX;
        program.log = std::string(error.what()) + "\n";
    }

    return program;
}

}  // namespace sim::ptx
