// What the C code made of a PTX kernel and the simulator's core know of each other. Included by the core and put before every
// translated kernel, so it includes nothing itself.
#pragma once

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
    unsigned lane;
};

extern __attribute__((tls_model("initial-exec"))) __thread struct cudasim_place cudasim_here;

enum cudasim_warp_kind { cudasim_shuffle = 1, cudasim_ballot = 2, cudasim_warp_barrier = 3, cudasim_match = 4 };

/// Waits for all threads of the block. `line` is the source line: threads that meet at different lines are an error.
void cudasim_barrier(int line);

/// The same, and answers how many of them have given a predicate that is not 0.
unsigned cudasim_barrier_count(int predicate, int line);

/// One step of all lanes in `mask`: a shuffle (value of lane `from`, which must take part), a ballot (`value` is 0 or 1), a match
/// (which lanes have the same value), or just a meeting.
unsigned long long cudasim_warp(int kind, unsigned mask, unsigned long long value, unsigned from, int line);

/// One instruction that touches global memory: addresses a with a - begin < room are known to be allowed. Both are 0 at first, so
/// that the first access asks the core, which also sets them (never while it looks for races).
struct cudasim_site {
    unsigned long long begin, room;
};

/// The launch that runs on this thread.
struct cudasim_ptx_launch {
    struct cudasim_site* sites;         // by the number of the instruction
    char* shared;                       // where the block's shared memory lies
    unsigned long long shared_bytes;
    unsigned long long shared_room[5];  // offsets below [log2 n] may be accessed with n bytes; 0 while the core looks for races
    unsigned dynamic_offset, dynamic_bytes;  // of dynamic shared memory
};

extern __attribute__((tls_model("initial-exec"))) __thread struct cudasim_ptx_launch* cudasim_ptx_here;

/// Asked where the code itself does not know that an access is allowed. They come back if it is.
void cudasim_ptx_global(unsigned site, unsigned long long address);
void cudasim_ptx_shared(unsigned site, unsigned long long offset);
/// For a generic address in no thread's own memory: that of a shared or of a global variable.
void cudasim_ptx_generic(unsigned site, unsigned long long address);
/// An access outside of local, constant or parameter memory.
void cudasim_ptx_outside(unsigned site, unsigned long long offset, unsigned long long bytes, const char* space) __attribute__((noreturn));
void cudasim_ptx_trap(const char* what, int line) __attribute__((noreturn));

/// The lane of a shuffle and, in *inside, whether it lies within the segment. Modes: 0 up, 1 down, 2 bfly, 3 idx.
unsigned long long cudasim_ptx_shuffle(int mode, unsigned value, unsigned lane, unsigned clamp, unsigned mask, int line);

/// Arithmetic that rounds otherwise than to the nearest. Operations: a + b, a * b, a / b, a·b + c, √a, in this order; modes: 1 zero,
/// 2 down, 3 up.
float cudasim_ptx_rounded_f32(int operation, int mode, float a, float b, float c);
double cudasim_ptx_rounded_f64(int operation, int mode, double a, double b, double c);
/// Conversions; modes as above, 0 the nearest.
float cudasim_ptx_f64_to_f32(int mode, double value);
float cudasim_ptx_u64_to_f32(int mode, unsigned long long value);
float cudasim_ptx_s64_to_f32(int mode, long long value);
double cudasim_ptx_u64_to_f64(int mode, unsigned long long value);
double cudasim_ptx_s64_to_f64(int mode, long long value);
unsigned short cudasim_ptx_f64_to_f16(int mode, double value);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
