// What a compiled kernel and the simulator's core know of each other. Included by the core and, first of all, by every emulated
// kernel, so it includes nothing itself.
#pragma once

/// Counts up whenever what is below changes.
enum { cudasim_abi = 2 };

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct cudasim_dim3 {
    unsigned x, y, z;
};

/// Where the running thread is. One per stream thread; the core changes it whenever it goes on with another thread of the block.
struct cudasim_place {
    struct cudasim_dim3 thread, block, threads, blocks;
    void* dynamic_shared;
    unsigned lane;
};

extern __attribute__((tls_model("initial-exec"))) __thread struct cudasim_place cudasim_here;

enum cudasim_warp_kind { cudasim_shuffle = 1, cudasim_ballot = 2, cudasim_warp_barrier = 3, cudasim_shuffle_strict = 4, cudasim_match = 5 };

/// Waits for all threads of the block. `line` is the source line: threads that meet at different lines are an error.
void cudasim_barrier(int line);

/// The same, and answers how many of them have given a predicate that is not 0.
unsigned cudasim_barrier_count(int predicate, int line);

/// One step of all lanes in `mask`: a shuffle (value of lane `from`; a strict one ends the launch when that lane takes no part), a
/// ballot (`value` is 0 or 1), a match (which lanes have the same value), or just a meeting.
unsigned long long cudasim_warp(int kind, unsigned mask, unsigned long long value, unsigned from, int line);

/// Ends the launch: __trap() and assert().
void cudasim_trap(const char* message) __attribute__((noreturn));

struct cudasim_kernel {
    const char* name;
    void (*call)(void** parameters);
    int parameters;
    const unsigned* sizes;           // bytes of each parameter
    const unsigned char* pointers;   // 1 for each parameter that is a pointer
    int max_threads;                 // of __launch_bounds__, or 1024
};

/// What the symbol cudasim_module of a compiled source points at. The shared variables of all its kernels lie together.
struct cudasim_module_info {
    int abi;
    int kernels;
    const struct cudasim_kernel* kernel;
    char* shared_begin;
    char* shared_end;
};

/// Goes before the shared object in what NVRTC calls a cubin.
struct cudasim_image_header {
    char magic[16];                  // "CUDASIM CUBIN"
    int abi;
    int architecture;                // 80, or -80 for PTX of compute_80
    unsigned long long build;        // differs between builds of the emulation and between machines
    unsigned long long bytes;        // of the shared object that follows
};

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
