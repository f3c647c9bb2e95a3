// Kernels in PTX that are refused, and those that go wrong.
#include "ptx.h"

using test::Gpu;
using test::Loaded;
using test::kernel;
using test::ptxHeader;

TEST(PtxThatIsRefused) {
    struct Case {
        const char *body, *says;
    };
    const Case cases[] = {
        {"frob.s32 %r1, %r2;", "unknown instruction frob in line 22: frob.s32 %r1, %r2;"},
        {"add.ftz.s32 %r1, %r2, %r3;", "unknown modifier .ftz in line 22: add.ftz.s32 %r1, %r2, %r3;"},
        {"add.s32.s32 %r1, %r2, %r3;", "unknown modifier .s32 in line 22"},
        {"ld.global.L1::evict_never.b32 %r1, [%data];", "unknown modifier .L1::evict_never in line 22"},
        {"add.s33 %r1, %r2, %r3;", "unknown modifier .s33 in line 22"},
        {"mul.s32 %r1, %r2, %r3;", "mul without one of .lo .hi .wide in line 22"},
        {"fma.f32 %f1, %f2, %f3, %f4;", "fma without one of .rn .rz .rm .rp in line 22"},
        {"div.f64 %fd1, %fd2, %fd3;", "div without one of .rn .rz .rm .rp in line 22"},
        {"cvt.s32.f32 %r1, %f1;", "cvt without one of .rni .rzi .rmi .rpi in line 22"},
        {"cvt.f32.s32 %f1, %r1;", "cvt without one of .rn .rz .rm .rp in line 22"},
        {"add.s32 %f1, %r2, %r3;", "the register %f1 is .f32 where .s32 is made in line 22"},
        {"add.s32 %r1, %r2, %rd3;", "the register %rd3 is .b64 where 32 bits are needed in line 22"},
        {"add.f32 %f1, %f2, 1;", "the integer 1 where .f32 is needed in line 22"},
        {"add.s32 %r1, %r2;", "add has 2 operands and not 3 in line 22"},
        {"add.s32 %r1, %r2, %r20;", "unknown name %r20 in line 22"},
        {"mov.u32 %r1, %envreg0;", "unknown name %envreg0 in line 22"},
        {"bra nowhere;", "unknown name nowhere in line 22"},
        {"{ L: } bra L;", "unknown name L in line 22"},
        {"add.s32 %r1, %r2, %r3", "expected ';' and found 'ret' in line 23"},
        {"@%r1 ret;", "%r1 is no predicate register in line 22"},
        {"ld.param.b64 %rd1, [n];", "an access behind the end of the parameter n in line 22"},
        {"ld.param.b32 %r1, [data+2];", "a misaligned access to the parameter data in line 22"},
        {"ld.global.v4.f64 {%fd0, %fd1, %fd2, %fd3}, [%data];", "an access of 32 bytes in line 22"},
        {"ld.global.v2.f32 {%f0, %f1, %f2}, [%data];", "where 2 registers are needed in line 22"},
        {"bar.sync 1;", "only barrier 0, of all threads, is known in line 22"},
        {"bar.arrive 0, 64;", "bar without one of .sync in line 22"},
        {"redux.sync.add.s32 %r1, %r2, 0xffffffff;", "unknown instruction redux in line 22"},
        {"wmma.load.a.sync.aligned.m16n16k16.shared.f16 %r1, [%rd1];", "unknown instruction wmma in line 22"},
        {"setp.lo.s32 %p1, %r1, %r2;", "unknown modifier .lo of setp.s32 in line 22"},
        {"shl.s32 %r1, %r2, 1;", "unknown type .s32 of shl in line 22"},
        {"call nowhere;", "unknown name nowhere in line 22"},
        {".surf x;", "unknown directive .surf in line 22"},
        {"mov.b32 %r1, 0f3F8000;", "a number in hexadecimal that has not 8 digits in line 22"},
        {"mov.b32 %r1, ?;", "the character '?' has no place in PTX in line 22"},
        {"cvt.rn.bf16.f32 %h1, %f1;", "unknown modifier .bf16 in line 22"},
        {".shared .b8 s[49153];", "static shared memory of 49153 bytes, and 49152 are the most"},
        {".local .b8 l[40000];", "local memory of 40000 bytes; the simulator has 24576"},
    };
    Gpu gpu;
    for (const Case& one : cases) {
        Loaded loaded(kernel(one.body));
        EQUAL(CUDA_ERROR_INVALID_PTX, loaded.code);
        if (loaded.log.find(one.says) == std::string::npos)
            test::fail(__FILE__, __LINE__, "the log says \"" + loaded.log + "\", without \"" + one.says + "\"");
    }

    Loaded unfinished(ptxHeader + ".visible .entry f()\n{\n\tret;\n");
    EQUAL(CUDA_ERROR_INVALID_PTX, unfinished.code);
    CHECK(unfinished.log.find("the text ends inside a function") == 0);
    Loaded misplaced("//@view 1 0 4\n" + kernel(""));
    CHECK(misplaced.log.find("has no parameter with room for this view in line 1") != std::string::npos);
    // A log that does not fit is cut.
    char little[10];
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER};
    void* values[] = {reinterpret_cast<void*>(sizeof little), little};
    CUmodule module;
    EQUAL(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, kernel("frob;").c_str(), 2, options, values));
    EQUAL(0, std::strcmp(little, "unknown i"));
}

TEST(PtxForOtherDriversAndDevices) {
    struct Case {
        const char *version, *target, *driver, *capability;
        CUresult expected;
    };
    const Case cases[] = {
        {"7.0", "sm_80", "11000", "8.0", CUDA_SUCCESS},
        {"7.1", "sm_80", "11000", "8.0", CUDA_ERROR_UNSUPPORTED_PTX_VERSION},
        {"8.4", "sm_80", "12040", "9.0", CUDA_SUCCESS},
        {"8.5", "sm_80", "12040", "9.0", CUDA_ERROR_UNSUPPORTED_PTX_VERSION},
        {"7.0", "sm_80", "12040", "7.5", CUDA_ERROR_NO_BINARY_FOR_GPU},
        {"7.0", "sm_75", "12040", "9.0", CUDA_SUCCESS},
    };
    for (const Case& one : cases) {
        cudasimConfigure("DRIVER_VERSION", one.driver);
        cudasimConfigure("COMPUTE_CAPABILITY", one.capability);
        Gpu gpu;
        Loaded loaded(std::string(".version ") + one.version + "\n.target " + one.target +
            "\n.address_size 64\n.visible .entry f()\n{\n\tret;\n}\n");
        EQUAL(one.expected, loaded.code);
        CHECK(loaded.log.empty() == !one.expected);
    }

    Gpu gpu;
    Loaded old(".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry f()\n{\n.reg .f32 %f;\ntanh.approx.f32 %f, 1.0;\nret;\n}\n");
    EQUAL(CUDA_ERROR_INVALID_PTX, old.code);
    CHECK(old.log.find("tanh.approx.f32 needs .target sm_75 and this is sm_70 in line 7") == 0);
}

TEST(PtxThatGoesWrong) {
    struct Case {
        const char* body;
        CUresult expected;
        const char* says;
        unsigned threads, shared;
    };
    const Case cases[] = {
        {"ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%data+4];", CUDA_ERROR_MISALIGNED_ADDRESS, "f: line 22: read of 16 bytes at", 1, 0},
        {"st.global.f64 [%data+4], %fd1;", CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned access, the address is no multiple of 8", 1, 0},
        {"setp.lt.u32 %p1, %thread, 20;\n@%p1 bar.sync 0;", CUDA_ERROR_LAUNCH_FAILED,
            "f: divergent barrier: 20 of 64 threads of a block wait at bar.sync in line 23, 44 have ended", 64, 0},
        {"setp.lt.u32 %p1, %thread, 20;\n@%p1 bra A;\nbar.sync 0;\nret;\nA:\nbar.sync 0;", CUDA_ERROR_LAUNCH_FAILED,
            "wait at bar.sync in line ", 64, 0},
        {"shfl.sync.idx.b32 %r1, %thread, 20, 31, 0x0000ffff;", CUDA_ERROR_LAUNCH_FAILED,
            "reads lane 20, which takes no part in the shuffle in line 22 (mask 0xffff)", 16, 0},
        {"shfl.sync.down.b32 %r1, %thread, 1, 31, 0xffffffff;", CUDA_ERROR_LAUNCH_FAILED, "lane 15 reads lane 16, which takes no part", 16,
            0},
        {"shfl.sync.idx.b32 %r1, %thread, 0, 31, 1;", CUDA_ERROR_ILLEGAL_INSTRUCTION, "mask that lacks it", 2, 0},
        {"setp.lt.u32 %p1, %thread, 3;\n@%p1 bra A;\nshfl.sync.idx.b32 %r1, %thread, 0, 31, 0xffffffff;\nret;\nA:\n"
            "shfl.sync.idx.b32 %r1, %thread, 0, 31, 0xffffffff;", CUDA_ERROR_LAUNCH_FAILED, "divergent warp", 32, 0},
        {"setp.eq.u32 %p1, %thread, 7;\n@%p1 bar.sync 0;\nshfl.sync.idx.b32 %r1, %thread, 0, 31, 0xffffffff;",
            CUDA_ERROR_LAUNCH_FAILED,
            "1 of 32 threads of a block wait at bar.sync in line 23, 0 have ended, 31 wait for their warp in line 24", 32, 0},
        {"st.global.b32 [%data+256], %thread;", CUDA_ERROR_ILLEGAL_ADDRESS, "0 bytes behind an allocation of 256 bytes", 1, 0},
        {"st.b32 [%data+-4], %thread;", CUDA_ERROR_ILLEGAL_ADDRESS, "f: line 22: write of 4 bytes at", 1, 0},
        {"mov.u64 %rd1, 64;\nld.global.b32 %r1, [%rd1];", CUDA_ERROR_ILLEGAL_ADDRESS,
            "line 23: read of 4 bytes at 0x40: illegal access, no memory of any device", 1, 0},
        {"mov.u64 %rd1, s;\nst.shared.b32 [%rd1+20], 0;", CUDA_ERROR_ILLEGAL_ADDRESS,
            "line 24: write of 4 bytes at 0x24: outside of shared memory, which has 36 bytes", 1, 20},
        {"ld.shared.b32 %r1, [%data];", CUDA_ERROR_ILLEGAL_ADDRESS, "outside of shared memory", 1, 20},
        {".local .align 4 .b8 l[8];\nld.local.b32 %r1, [l+8];", CUDA_ERROR_ILLEGAL_ADDRESS,
            "line 23: read of 4 bytes at 0x8: outside of local memory, which has 8 bytes", 1, 0},
        {"ld.const.b32 %r1, [%rd0];", CUDA_ERROR_MISALIGNED_ADDRESS, "line 22: read of 4 bytes", 1, 0},
        {"mov.u64 %rd1, c;\ncvta.const.u64 %rd1, %rd1;\nst.b32 [%rd1], 1;", CUDA_ERROR_ILLEGAL_ADDRESS, "constant memory", 1, 0},
        {"trap;", CUDA_ERROR_ILLEGAL_INSTRUCTION, "f: line 22: trap", 1, 0},
        {"T: .branchtargets A;\nbrx.idx 1, T;\nA:", CUDA_ERROR_ILLEGAL_INSTRUCTION, "brx.idx behind the end of its list", 1, 0},
    };
    for (const Case& one : cases) {
        Gpu gpu;
        std::string text = kernel(one.body, std::string(one.body).find("mov.u64 %rd1, s;") == 0
            ? ".extern .shared .align 16 .b8 s[];\n.shared .b8 fixed[16];" : "");
        if (std::string(one.body).find("rd1, c;") != std::string::npos) text = kernel(one.body, ".const .b32 c = 1;");
        Loaded loaded(text);
        CUdeviceptr memory = gpu.alloc(256);
        OK(gpu.launch(loaded.function("f"), 1, one.threads, one.shared, memory, 0));
        EQUAL(one.expected, gpu.sync());
        FAULT(one.says);
        EQUAL(one.expected, cuMemAlloc_v2(&memory, 16));  // until the context ends
    }
}

TEST(PtxViews) {
    const std::string text = "//@view 0 0 4\n//@view 0 16 8\n//@view 0 32 4\n" + ptxHeader +
        R"(.visible .entry f(.param .align 8 .b8 all[56])
{
	.reg .b64 %rd<8>;
	.reg .b32 %r<4>;
	ld.param.b64 %rd1, [all];
	ld.param.b64 %rd2, [all+16];
	ld.param.b64 %rd3, [all+48];
	add.u64 %rd4, %rd1, %rd3;
	add.u64 %rd5, %rd2, %rd3;
	ld.global.b32 %r1, [%rd4];
	st.global.b64 [%rd5], %rd3;
	ret;
}
)";
    struct All {
        CUdeviceptr a;
        long long aLength;
        CUdeviceptr b;
        long long bLength;
        CUdeviceptr none;
        long long noLength;
        long long offset;
    };
    struct Case {
        long long aLength, bLength, offset;
        const char* says;
    };
    const Case cases[] = {
        {8, 4, 0, ""},
        {8, 4, 24, ""},
        {8, 4, 32, "f: line 16: read of 4 bytes at"},
        {8, 4, 32, "in no view of the kernel, 0 bytes behind the view in parameter 0 at byte 0 (8 elements of 4 bytes at"},
        {16, 4, 32, "f: line 17: write of 8 bytes at"},
        {16, 4, 32, "0 bytes behind the view in parameter 0 at byte 16 (4 elements of 8 bytes at"},
        {8, 4, -4, "4 bytes before the view in parameter 0 at byte 0"},
        {0, 4, 0, "f: line 16: read of 4 bytes"},
        {0, 0, 0, "all of them are empty"},
        {8, 400, 0, "the view in parameter 0 at byte 16 (400 elements of 8 bytes"},
        {8, 400, 0, "goes past its memory"},
    };
    for (const Case& one : cases) {
        Gpu gpu;
        Loaded loaded(text);
        // Both lie in the middle of memory that the device would let a kernel touch.
        CUdeviceptr a = gpu.alloc(1000), b = gpu.alloc(1000);
        OK(gpu.launch(loaded.function("f"), 2, 2, 0, All{a + 104, one.aLength, b + 104, one.bLength, 0, 0, one.offset}));
        EQUAL(*one.says ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS, gpu.sync());
        FAULT(one.says);
    }
}

TEST(PtxRaces) {
    struct Case {
        const char *body, *says;
        unsigned blocks, threads;
    };
    const Case cases[] = {
        {"st.global.b32 [%mine], %thread;\nld.global.b32 %r1, [%mine];", "", 4, 8},
        {"st.global.b32 [%data], 1;", "race between blocks 0 and 1: line 22 writes and line 22 writes, at 0x", 2, 1},
        {"ld.global.b32 %r1, [%data];\nst.global.b32 [%mine], %r1;", "race between blocks ", 2, 1},
        {"ld.global.b32 %r1, [%data];\nadd.u64 %mine, %mine, 64;\nst.global.b32 [%mine], %r1;", "", 2, 1},
        {"red.global.add.u32 [%data], 1;", "", 4, 32},
        {"red.global.add.u32 [%data], 1;\nld.global.b32 %r1, [%data];", "line 23 reads and line 22 changes (atomically)", 2, 1},
        {"and.b32 %r1, %at, 0xffffffff;\ncvt.u64.u32 %rd1, %r1;\nadd.u64 %rd1, %rd1, %data;\nst.global.u8 [%rd1], %r1;", "", 4, 1},
        {"st.global.b32 [%data], 1;",
            "race between threads 0 and 1 of block 0: line 22 writes and, with no barrier between, line 22 writes", 1, 2},
        {".shared .align 4 .b8 s[256];\nmov.u64 %rd1, s;\nmad.wide.u32 %rd2, %thread, 4, %rd1;\nst.shared.b32 [%rd2], %thread;\n"
            "bar.sync 0;\nld.shared.b32 %r1, [s];", "", 2, 64},
        {".shared .align 4 .b8 s[256];\nmov.u64 %rd1, s;\nmad.wide.u32 %rd2, %thread, 4, %rd1;\nst.shared.b32 [%rd2], %thread;\n"
            "ld.shared.b32 %r1, [s];",
         "with no barrier between, line 26 reads, in shared memory at offset 0", 2, 64},
        {".shared .align 4 .b8 s[128];\nmov.u64 %rd1, s;\nmad.wide.u32 %rd2, %thread, 4, %rd1;\nst.shared.b32 [%rd2], %thread;\n"
            "bar.warp.sync 0xffffffff;\nld.shared.b32 %r1, [s];", "", 2, 32},
        {".shared .align 4 .b8 s[256];\nmov.u64 %rd1, s;\nmad.wide.u32 %rd2, %thread, 4, %rd1;\nst.shared.b32 [%rd2], %thread;\n"
            "bar.warp.sync 0xffffffff;\nld.shared.b32 %r1, [s];",
         "race between threads", 2, 64},
        {".shared .align 4 .b8 s[256];\nmov.u64 %rd1, s;\nmad.wide.u32 %rd2, %thread, 4, %rd1;\nld.shared.b32 %r1, [s];\nbar.sync 0;\n"
            "st.shared.b32 [%rd2], %thread;", "", 2, 64},
    };
    for (const char* races : {"1", "0"}) {
        cudasimConfigure("RACES", races);
        for (const Case& one : cases) {
            Gpu gpu;
            Loaded loaded(kernel(one.body));
            CUdeviceptr memory = gpu.alloc(256);
            OK(gpu.launch(loaded.function("f"), one.blocks, one.threads, 0, memory, 0));
            const bool found = *races == '1' && *one.says;
            EQUAL(found ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS, gpu.sync());
            if (found) FAULT(one.says);
        }
    }
}
