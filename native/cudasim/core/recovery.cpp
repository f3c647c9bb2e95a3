#include "recovery.h"

#include "memory.h"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace sim {
namespace {

struct Escape {
    sigjmp_buf jump;
    CUresult code = CUDA_SUCCESS;
    const void* address = nullptr;
    int signal = 0;
    char message[512] = "";
};

// Read in a signal handler: must not be allocated lazily.
__attribute__((tls_model("initial-exec"))) thread_local Escape* innermost = nullptr;

const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
struct sigaction previous[64];

// The handler that was there before ours, which on .NET turns faults of managed code into exceptions.
void passOn(int signal, siginfo_t* info, void* context) {
    const struct sigaction& before = previous[signal];
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler == SIG_DFL) {
        std::signal(signal, SIG_DFL);  // returning repeats the instruction, and this time it is the end
    } else if (before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    }
}

void onSignal(int signal, siginfo_t* info, void* context) {
    Escape* escape = innermost;
    if (!escape) {
        passOn(signal, info, context);
        return;
    }

    escape->signal = signal;
    escape->address = info->si_addr;
    escape->code = signal == SIGSEGV || signal == SIGBUS ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_ILLEGAL_INSTRUCTION;
    // A general protection fault has no address: an aligned access to an address that is not.
    if (signal == SIGSEGV && info->si_code == SI_KERNEL) escape->code = CUDA_ERROR_MISALIGNED_ADDRESS;
    // Kernels are compiled with a check before each access that an address not aligned for its type ends in such a trap.
    if (signal == SIGILL) escape->code = CUDA_ERROR_MISALIGNED_ADDRESS;
    if (signal == SIGFPE) escape->code = CUDA_ERROR_LAUNCH_FAILED;
    siglongjmp(escape->jump, 1);
}

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action {};
        action.sa_sigaction = onSignal;
        sigemptyset(&action.sa_mask);
        for (int signal : signals) {
            // Only a stack that ran over needs another stack. What was there before may count on the one it asked for: .NET throws
            // exceptions from its handler of SIGFPE, and the alternate stack is too small for that.
            sigaction(signal, nullptr, &previous[signal]);
            action.sa_flags = SA_SIGINFO | SA_RESTART | (signal == SIGSEGV ? SA_ONSTACK : previous[signal].sa_flags & SA_ONSTACK);
            sigaction(signal, &action, nullptr);
        }
    });
}

// Handlers need a stack of their own: the fault may be a stack that ran over.
struct SignalStack {
    void* memory = nullptr;
    static constexpr size_t bytes = 64 * 1024;

    SignalStack() {
        stack_t current{};
        if (sigaltstack(nullptr, &current) == 0 && !(current.ss_flags & SS_DISABLE)) return;  // .NET's threads have one
        memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        stack_t stack{};
        stack.ss_sp = memory;
        stack.ss_size = bytes;
        if (memory == MAP_FAILED || sigaltstack(&stack, nullptr)) memory = nullptr;
    }

    ~SignalStack() {
        if (!memory) return;
        stack_t none{};
        none.ss_flags = SS_DISABLE;
        sigaltstack(&none, nullptr);
        munmap(memory, bytes);
    }
};

std::string explain(const Escape& escape) {
    switch (escape.signal) {
        case 0: return escape.message;
        case SIGFPE: return "integer division by zero";
        case SIGILL: return "misaligned access, for example a 16-byte load from an address that is no multiple of 16";
        case SIGTRAP: return "a breakpoint";
        default: break;
    }

    if (escape.code == CUDA_ERROR_MISALIGNED_ADDRESS) return "access to an address that is not aligned, or not an address at all";
    char text[64];
    std::snprintf(text, sizeof text, "illegal access to %p: ", escape.address);
    return text + describeAddress(escape.address);
}

}  // namespace

CUresult guarded(const std::function<void()>& work, std::string& message) {
    install();
    static thread_local SignalStack stack;
    (void)stack;
    Escape* const outer = innermost;
    Escape* const escape = new Escape;
    if (sigsetjmp(escape->jump, 1) == 0) {
        innermost = escape;
        try {
            work();
        } catch (const Fault& fault) {
            escape->code = fault.code;
            std::snprintf(escape->message, sizeof escape->message, "%s", fault.what());
        } catch (const std::exception& error) {
            escape->code = CUDA_ERROR_LAUNCH_FAILED;
            std::snprintf(escape->message, sizeof escape->message, "%s", error.what());
        }
    }

    innermost = outer;
    CUresult code = escape->code;
    if (code) message = explain(*escape);
    delete escape;
    return code;
}

void abandon(CUresult code, const char* message) {
    Escape* escape = innermost;
    if (!escape) {
        std::fprintf(stderr, "cudasim: %s\n", message);
        std::abort();
    }

    escape->code = code;
    std::snprintf(escape->message, sizeof escape->message, "%s", message);
    siglongjmp(escape->jump, 1);
}

}  // namespace sim
