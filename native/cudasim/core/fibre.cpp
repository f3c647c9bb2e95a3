#include "fibre.h"

#include <new>
#include <sys/mman.h>

#if defined(__x86_64__)
// The calling convention lets a function change all registers but these.
asm(R"(
    .text
    .globl cudasim_switch
    .hidden cudasim_switch
    .type cudasim_switch, @function
cudasim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size cudasim_switch, .-cudasim_switch
)");
constexpr int savedWords = 6;
#elif defined(__aarch64__)
asm(R"(
    .text
    .globl cudasim_switch
    .hidden cudasim_switch
    .type cudasim_switch, %function
cudasim_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size cudasim_switch, .-cudasim_switch
)");
#else
#error "the simulator's fibres are written for x86-64 and aarch64"
#endif

namespace sim {

constexpr size_t page = 4096;

FibreStack::FibreStack(int number) {
    void* mapped = mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    mprotect(mapped, page, PROT_NONE);
    base_ = (char*)mapped;
    // Stacks that began at the same place of a page would all want the same lines of the cache.
    top_ = base_ + page + bytes - (size_t)(number * 5 % 32) * 128;
}

FibreStack::~FibreStack() { munmap(base_, bytes + page); }

void* FibreStack::prepare(void (*entry)()) {
    void** stack = reinterpret_cast<void**>(top_);
#if defined(__x86_64__)
    *--stack = nullptr;  // where entry would return to; also what puts the stack where a call would
    *--stack = reinterpret_cast<void*>(entry);
    for (int i = 0; i < savedWords; i++) *--stack = nullptr;
#else
    stack -= 20;
    for (int i = 0; i < 20; i++) stack[i] = nullptr;
    stack[11] = reinterpret_cast<void*>(entry);  // the link register
#endif
    return stack;
}

}  // namespace sim
