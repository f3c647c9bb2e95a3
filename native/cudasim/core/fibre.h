// Switching between stacks.
#pragma once

#include <cstddef>

extern "C" {
/// Saves the calling stack in *from and goes on with the other one.
void cudasim_switch(void** from, void* to);
}

namespace sim {

/// A stack with a guard page under it.
class FibreStack {
public:
    static constexpr size_t bytes = 64 * 1024;
    explicit FibreStack(int number);
    FibreStack(const FibreStack&) = delete;
    ~FibreStack();
    /// The stack pointer with which cudasim_switch enters the function. It must never return.
    void* prepare(void (*entry)());

private:
    char* base_;
    char* top_;
};

}  // namespace sim
