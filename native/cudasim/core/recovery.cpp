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
    bool faulted = false;  // by an access, not by abandon()
    char message[512] = "";
};

// Read in a signal handler: must not be allocated lazily.
__attribute__((tls_model("initial-exec"))) thread_local Escape* innermost = nullptr;

const int signals[] = {SIGSEGV, SIGBUS};
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

    escape->faulted = true;
    escape->address = info->si_addr;
    escape->code = CUDA_ERROR_ILLEGAL_ADDRESS;
    siglongjmp(escape->jump, 1);
}

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action {};
        action.sa_sigaction = onSignal;
        sigemptyset(&action.sa_mask);
        for (int signal : signals) {
            // Only a stack that ran over needs another stack. What was there before may count on the one it asked for.
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
    if (!escape.faulted) return escape.message;
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
