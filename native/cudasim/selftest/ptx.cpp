// Kernels in PTX: as ILGPU writes them, what they compute together, and what is refused or goes wrong.
#include "ptx.h"

#include <cmath>
#include <numeric>

using test::Gpu;
using test::Loaded;
using test::ptxHeader;

TEST(PtxOfIlgpu) {
    const std::string text = "//@view 0 0 4\n//@view 1 0 4\n" + ptxHeader + R"(
.visible .entry Kernel_Block(
	.param .align 8 .b8 _x_3886[16],
	.param .align 8 .b8 _y_3895[16]
)
.maxntid 64, 1, 1
.minnctapersm 2
{

	.shared .align 4 .b8 __shared_alloca0[256];

	.reg .pred	%p<4>;
	.reg .b32	%r<7>;
	.reg .b64	%rd<11>;
	.reg .f32	%f<8>;

	mov.b64	%rd5, __shared_alloca0;
	ld.param.b64	%rd6, [_x_3886];
	cvta.to.global.u64	%rd1, %rd6;
	ld.param.b64	%rd2, [_x_3886+8];
	ld.param.b64	%rd6, [_y_3895];
	cvta.to.global.u64	%rd3, %rd6;
	ld.param.b64	%rd4, [_y_3895+8];

	mov.b32	%r3, %tid.x;
	mul.wide.u32	%rd7, %r3, 4;
	add.u64	%rd6, %rd5, %rd7;
	mul.wide.u32	%rd8, %r3, 4;
	add.u64	%rd7, %rd1, %rd8;
	ld.global.f32	%f3, [%rd7];
	st.shared.f32	[%rd6], %f3;
	bar.sync	0;
	mov.f32	%f1, 0f00000000;
	mov.b32	%r1, 0;

	L_38080:
	setp.ge.s32	%p1, %r1, 64;
	@%p1 bra.uni	L_38081;

	mul.wide.u32	%rd9, %r1, 4;
	add.u64	%rd8, %rd5, %rd9;
	ld.shared.f32	%f4, [%rd8];
	add.f32	%f5, %f1, %f4;
	add.s32	%r4, %r1, 1;
	mov.f32	%f1, %f5;
	mov.b32	%r1, %r4;
	bra.uni	L_38080;

	L_38081:
	mov.b32	%r2, 16;
	mov.f32	%f2, %f1;

	L_38082:
	setp.le.s32	%p2, %r2, 0;
	@%p2 bra.uni	L_38083;

	shr.s32	%r5, %r2, 1;
	shfl.sync.bfly.b32	%f6, %f2, %r2, 31, 4294967295;
	add.f32	%f7, %f2, %f6;
	mov.b32	%r2, %r5;
	mov.f32	%f2, %f7;
	bra.uni	L_38082;

	L_38083:
	setp.eq.s32	%p3, %r3, 0;
	@%p3 bra	L_38085;

	L_38084:
	ret;

	L_38085:
	mov.b32	%r6, %ctaid.x;
	mul.wide.u32	%rd10, %r6, 4;
	add.u64	%rd9, %rd3, %rd10;
	st.global.f32	[%rd9], %f2;
	bra.uni	L_38084;

}
)";
    struct View {
        CUdeviceptr address;
        long long length;
    };
    for (const char* seed : {"0", "1", "2", "3"}) {
        cudasimConfigure("SEED", seed);
        Gpu gpu;
        Loaded loaded(text);
        EQUAL(CUDA_SUCCESS, loaded.code);
        CUfunction f = loaded.function("Kernel_Block");
        std::vector<float> x(64);
        float sum = 0;
        for (size_t i = 0; i < 64; i++) sum += x[i] = (float)i;
        View input{gpu.upload(x), 64}, output{gpu.alloc(12), 3};
        OK(gpu.launch(f, 3, 64, 0, input, output));
        for (float got : gpu.download<float>(output.address, 3)) EQUAL(32 * sum, got);
        OK(gpu.sync());
        int shared = 0, threads = 0, registers = 0;
        OK(cuFuncGetAttribute(&shared, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f));
        OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
        OK(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, f));
        EQUAL(256, shared);
        EQUAL(64, threads);
        CHECK(registers >= 16 && registers < 64);
        EQUAL(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, gpu.launch(f, 1, 65, 0, input, output));

        View less{input.address, 63};
        OK(gpu.launch(f, 3, 64, 0, less, output));
        EQUAL(CUDA_ERROR_ILLEGAL_ADDRESS, gpu.sync());
        FAULT("Kernel_Block: line 35: read of 4 bytes at");
        FAULT("0 bytes behind the view in parameter 0 at byte 0 (63 elements of 4 bytes at");
    }
}

namespace {

/// A kernel "f" with registers of all kinds; `data` is the address of its memory in %data.
std::string kernel(const std::string& body, const std::string& before = "") {
    return ptxHeader + before + R"(.visible .entry f(.param .u64 data, .param .u32 n)
{
	.reg .pred %p<4>;
	.reg .b16 %h<8>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<20>;
	.reg .f32 %f<20>;
	.reg .f64 %fd<4>;
	.reg .b64 %data;
	.reg .b32 %n, %thread, %at;
	.reg .b64 %mine;
	ld.param.u64 %data, [data];
	ld.param.u32 %n, [n];
	mov.u32 %thread, %tid.x;
	mov.u32 %at, %ntid.x;
	mov.u32 %r0, %ctaid.x;
	mad.lo.u32 %at, %at, %r0, %thread;
	mad.wide.u32 %mine, %at, 4, %data;
)" + body + "\n\tret;\n}\n";
}

/// Runs kernel(body) and answers what it made of its memory.
std::vector<unsigned> run(const std::string& text, unsigned blocks, unsigned threads, std::vector<unsigned> data, unsigned n = 0,
    unsigned shared = 0) {
    Gpu gpu;
    Loaded loaded(text);
    if (loaded.code) {
        test::fail(__FILE__, __LINE__, loaded.log);
        return data;
    }

    CUdeviceptr memory = gpu.upload(data);
    OK(gpu.launch(loaded.function("f"), blocks, threads, shared, memory, n));
    data = gpu.download<unsigned>(memory, data.size());
    OK(gpu.sync());
    return data;
}

/// The same, with `count` words 0, 1, 2, …
std::vector<unsigned> run(const std::string& text, unsigned blocks, unsigned threads, size_t count, unsigned n = 0, unsigned shared = 0) {
    std::vector<unsigned> data(count);
    std::iota(data.begin(), data.end(), 0u);
    return run(text, blocks, threads, data, n, shared);
}

}  // namespace

TEST(PtxShuffles) {
    // For each mode the value and whether it came from inside the segment; the last two in segments of 8.
    const std::string store = " selp.b32 %r2, 1, 0, %p1; shl.b32 %r1, %r1, 1; or.b32 %r1, %r1, %r2; st.global.b32 [%mine+";
    const std::vector<unsigned> got = run(kernel("mad.wide.u32 %mine, %thread, 24, %data;\n"
                                                  "shfl.sync.up.b32 %r1|%p1, %thread, 3, 0, 0xffffffff;" + store + "0], %r1;\n"
                                                  "shfl.sync.down.b32 %r1|%p1, %thread, 3, 31, 0xffffffff;" + store + "4], %r1;\n"
                                                  "shfl.sync.bfly.b32 %r1|%p1, %thread, 16, 31, 0xffffffff;" + store + "8], %r1;\n"
                                                  "shfl.sync.idx.b32 %r1|%p1, %thread, 5, 31, 0xffffffff;" + store + "12], %r1;\n"
                                                  "shfl.sync.down.b32 %r1|%p1, %thread, 3, 0x181f, 0xffffffff;" + store + "16], %r1;\n"
                                                  "shfl.sync.idx.b32 %r1|%p1, %thread, 5, 0x181f, 0xffffffff;" + store + "20], %r1;\n"),
                                          1, 32, 32 * 6);
    for (unsigned lane = 0; lane < 32; lane++) {
        const unsigned* mine = &got[lane * 6];
        EQUAL(lane < 3 ? lane * 2 : (lane - 3) * 2 + 1, mine[0]);
        EQUAL(lane > 28 ? lane * 2 : (lane + 3) * 2 + 1, mine[1]);
        EQUAL((lane ^ 16) * 2 + 1, mine[2]);
        EQUAL(11, mine[3]);
        EQUAL(lane % 8 > 4 ? lane * 2 : (lane + 3) * 2 + 1, mine[4]);
        EQUAL((lane / 8 * 8 + 5) * 2 + 1, mine[5]);
    }
}

TEST(PtxWarpsAndBlocks) {
    const std::vector<unsigned> got = run(kernel(R"(
	mad.wide.u32 %mine, %thread, 40, %data;
	setp.lt.u32 %p1, %thread, 10;
	vote.sync.ballot.b32 %r1, %p1, 0xffffffff;
	st.global.b32 [%mine], %r1;
	vote.sync.any.pred %p2, %p1, 0xffffffff;
	selp.b32 %r1, 1, 0, %p2;
	st.global.b32 [%mine+4], %r1;
	vote.sync.all.pred %p2, !%p1, 0xffffffff;
	selp.b32 %r1, 1, 0, %p2;
	st.global.b32 [%mine+8], %r1;
	vote.sync.uni.pred %p2, %p1, 0xffffffff;
	selp.b32 %r1, 1, 0, %p2;
	st.global.b32 [%mine+12], %r1;
	and.b32 %r2, %thread, 3;
	match.any.sync.b32 %r1, %r2, 0xffffffff;
	st.global.b32 [%mine+16], %r1;
	match.all.sync.b32 %r1|%p3, %r2, 0xffffffff;
	selp.b32 %r1, 1, %r1, %p3;
	st.global.b32 [%mine+20], %r1;
	bar.red.popc.u32 %r1, 0, %p1;
	st.global.b32 [%mine+24], %r1;
	bar.red.or.pred %p2, 0, !%p1;
	selp.b32 %r1, 1, 0, %p2;
	barrier.red.and.pred %p2, 0, %p1;
	@%p2 add.u32 %r1, %r1, 2;
	st.global.b32 [%mine+28], %r1;
	bar.warp.sync 0xffffffff;
	membar.cta; fence.acq_rel.gpu;
	mov.u32 %r1, %lanemask_lt;
	st.global.b32 [%mine+32], %r1;
	mov.u32 %r1, %warpid;
	mov.u32 %r2, %laneid;
	mad.lo.u32 %r1, %r1, 100, %r2;
	st.global.b32 [%mine+36], %r1;
)"), 1, 64, 64 * 10);
    for (unsigned thread = 0; thread < 64; thread++) {
        const unsigned *mine = &got[thread * 10], lane = thread % 32, warp = thread / 32;
        EQUAL(warp ? 0 : 0x3ff, mine[0]);
        EQUAL(!warp, mine[1]);
        EQUAL(warp, mine[2]);
        EQUAL(warp, mine[3]);
        EQUAL(0x11111111u << lane % 4, mine[4]);
        EQUAL(0, mine[5]);
        EQUAL(10, mine[6]);
        EQUAL(1, mine[7]);
        EQUAL((1u << lane) - 1, mine[8]);
        EQUAL(warp * 100 + lane, mine[9]);
    }
}

TEST(PtxMemory) {
    // Static beside dynamic shared memory, local memory, generic addresses, constants, variables of the module, vectors.
    const std::vector<unsigned> got = run(kernel(R"(
	.shared .align 4 .b8 fixed[12];
	.local .align 8 .b8 depot[16];
	mov.b64 %rd1, dynamic;
	mov.b64 %rd2, fixed;
	st.shared.b32 [%rd2+8], 7;
	mad.wide.u32 %rd3, %thread, 4, %rd1;
	st.shared.b32 [%rd3], %thread;
	bar.sync 0;
	xor.b32 %r1, %thread, 3;
	mad.wide.u32 %rd3, %r1, 4, %rd1;
	cvta.shared.u64 %rd4, %rd3;
	ld.b32 %r2, [%rd4];
	ld.shared.b32 %r3, [fixed+8];
	add.u32 %r2, %r2, %r3;
	mov.u64 %rd5, depot;
	st.local.v2.b32 [%rd5+8], {%r2, %thread};
	cvta.local.u64 %rd6, %rd5;
	ld.b32 %r4, [%rd6+8];
	cvta.to.local.u64 %rd6, %rd6;
	ld.local.b32 %r5, [%rd6+12];
	ld.const.u32 %r6, [table+4];
	mov.u64 %rd7, table;
	cvta.const.u64 %rd7, %rd7;
	ld.u32 %r7, [%rd7+8];
	atom.global.add.u32 %r8, [counter], 1;
	mov.u64 %rd8, counter;
	isspacep.shared %p1, %rd4;
	isspacep.local %p2, %rd4;
	selp.b32 %r9, 1, 0, %p1;
	@%p2 mov.b32 %r9, 9;
	isspacep.global %p1, %rd8;
	@!%p1 mov.b32 %r9, 8;
	mad.wide.u32 %mine, %thread, 32, %data;
	st.global.v4.b32 [%mine], {%r4, %r5, %r6, %r7};
	ld.global.v2.b32 {%r10, %r11}, [%mine+8];
	ld.global.nc.b64 %rd9, [%mine+8];
	mov.b64 {%r12, %r13}, %rd9;
	add.u32 %r11, %r11, %r12;
	mov.u32 %r14, %dynamic_smem_size;
	st.volatile.global.b32 [%mine+16], %r11;
	st.relaxed.gpu.global.b32 [%mine+20], %r9;
	st.global.wb.u8 [%mine+24], %r14;
	st.global.b32 [%mine+28], %r8;
)", ".extern .shared .align 16 .b8 dynamic[];\n.const .align 4 .b32 table[4] = {3, 5, 7};\n.global .align 4 .u32 counter;\n"),
                                          1, 4, 32, 0, 16);
    unsigned counted = 0;
    for (unsigned thread = 0; thread < 4; thread++) {
        const unsigned* mine = &got[thread * 8];
        EQUAL((thread ^ 3) + 7, mine[0]);
        EQUAL(thread, mine[1]);
        EQUAL(5, mine[2]);
        EQUAL(7, mine[3]);
        EQUAL(12, mine[4]);
        EQUAL(1, mine[5]);
        EQUAL(16, mine[6] & 255);
        EQUAL((thread * 8 + 6) >> 8, mine[6] >> 8);  // one byte was written
        counted |= 1u << mine[7];
    }

    EQUAL(15, counted);
}

TEST(PtxAtomics) {
    const std::vector<unsigned> got = run(kernel(R"(
	red.add.global.u32 [%data], 2;
	red.global.max.s32 [%data+4], %thread;
	atom.global.or.b32 %r1, [%data+8], 0x100;
	cvt.rn.f32.u32 %f1, 1;
	red.global.add.f32 [%data+12], %f1;
	atom.global.inc.u32 %r1, [%data+16], 9;
	red.global.add.u64 [%data+24], 0x100000000;
	setp.eq.u32 %p1, %thread, 0;
	@%p1 atom.global.cas.b32 %r2, [%data+32], 8, 100;
	@%p1 atom.global.exch.b32 %r2, [%data+36], 55;
	@%p1 st.global.b32 [%data+40], %r2;
	red.global.min.u32 [%data+44], %thread;
	red.global.and.b32 [%data+48], 0xfffffffb;
)"), 1, 64, 16);
    EQUAL(128, got[0]);
    EQUAL(63, got[1]);
    EQUAL(0x102, got[2]);
    EQUAL(test::bits(64.0f), got[3]);
    EQUAL((4 + 64) % 10, got[4]);
    EQUAL(7 + 64, got[7]);
    EQUAL(100, got[8]);
    EQUAL(55, got[9]);
    EQUAL(9, got[10]);
    EQUAL(0, got[11]);
    EQUAL(8, got[12]);
}

TEST(PtxFunctions) {
    const std::string function = R"(.func (.param .b32 result) twice(.param .b32 x);
.func (.param .b32 result) twice(.param .b32 x)
{
	.reg .b32 %r<3>;
	.reg .pred %p;
	ld.param.b32 %r1, [x];
	setp.gt.u32 %p, %r1, 100;
	@%p bra big;
	add.u32 %r1, %r1, %r1;
big:
	st.param.b32 [result], %r1;
	ret;
}
)";
    const std::vector<unsigned> got = run(kernel(R"(
	ld.global.b32 %r1, [%mine];
	{
		.param .b32 argument;
		.param .b32 answer;
		st.param.b32 [argument], %r1;
		call.uni (answer), twice, (argument);
		ld.param.b32 %r2, [answer];
	}
	st.global.b32 [%mine], %r2;
)", function), 2, 64, 128);
    for (unsigned i = 0; i < 128; i++) EQUAL(i > 100 ? i : 2 * i, got[i]);
}

TEST(PtxStructs) {
    const std::string text = ptxHeader + R"(
.visible .entry f(
	.param .align 8 .b8 first[24],
	.param .b8 second,
	.param .f64 third
)
.reqntid 32
{
	.reg .b64 %rd<4>;
	.reg .f32 %f<4>;
	.reg .b16 %h<3>;
	.reg .f64 %d<4>;
	ld.param.b64 %rd1, [first];
	ld.param.f32 %f1, [first+16];
	ld.param.s8 %h1, [second];
	ld.param.f64 %d1, [third];
	cvt.rn.f32.s16 %f2, %h1;
	cvt.rn.f32.f64 %f3, %d1;
	fma.rn.f32 %f1, %f1, %f2, %f3;
	st.global.f32 [%rd1], %f1;
	exit;
}
)";
    struct First {
        CUdeviceptr address;
        long long length;
        float factor;
    };
    Gpu gpu;
    Loaded loaded(text);
    CUdeviceptr memory = gpu.alloc(4);
    OK(gpu.launch(loaded.function("f"), 1, 32, 0, First{memory, 1, 2.5f}, (signed char)-2, 1.0));
    EQUAL(-4, gpu.download<float>(memory, 1)[0]);
    OK(gpu.sync());
    EQUAL(CUDA_ERROR_INVALID_VALUE, gpu.launch(loaded.function("f"), 1, 16, 0, First{memory, 1, 2.5f}, (signed char)-2, 1.0));
}

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

TEST(PtxHalvesAreTheCompilers) {
    const auto half = [](unsigned pattern) {
        _Float16 value;
        std::memcpy(&value, &pattern, sizeof value);
        return (float)value;
    };
    const std::vector<unsigned> widened = run(kernel("cvt.u16.u32 %h1, %at;\ncvt.f32.f16 %f1, %h1;\nst.global.f32 [%mine], %f1;"), 256,
        256, 65536);
    std::vector<unsigned> inputs;
    for (unsigned pattern = 0; pattern < 65536; pattern++) {
        const float expected = half(pattern);
        if (std::isnan(expected)) CHECK((widened[pattern] & 0x7fffffff) > 0x7f800000);
        else EQUAL(test::bits(expected), widened[pattern]);
        // What lies halfway from each half to the next, and right beside that.
        if (pattern >= 0x7c00) continue;
        const float next = pattern == 0x7bff ? 65536 : half(pattern + 1), middle = (expected + next) / 2;
        for (float value : {middle, -middle, std::nextafter(middle, 0.0f), -std::nextafter(middle, 1e9f)})
            inputs.push_back((unsigned)test::bits(value));
    }

    const std::vector<unsigned> rounded = run(kernel("ld.global.f32 %f1, [%mine];\ncvt.rn.f16.f32 %h1, %f1;\ncvt.u32.u16 %r1, %h1;\n"
        "st.global.b32 [%mine], %r1;"), (unsigned)inputs.size() / 256, 256, inputs);
    for (size_t i = 0; i < inputs.size(); i++) {
        float value;
        std::memcpy(&value, &inputs[i], sizeof value);
        const _Float16 expected = (_Float16)value;
        unsigned pattern = 0;
        std::memcpy(&pattern, &expected, sizeof expected);
        EQUAL(pattern, rounded[i]);
    }
}

TEST(PtxRoundsHalvesAlike) {
    // From a float, which the processor does, and from the same number as a double, in all roundings.
    std::string body = "mul.lo.u32 %r1, %at, 0x9e3779b1;\nmov.b32 %r2, 0;\n";
    for (int turn = 0; turn < 2; turn++) {
        // All floats, and those that are halves or subnormal halves: exponents from 2^-26 to 2^17.
        body += turn ? "and.b32 %r3, %r1, 0x807fffff;\nshr.u32 %r4, %r1, 23;\nrem.u32 %r4, %r4, 43;\nadd.u32 %r4, %r4, 101;\n"
            "shl.b32 %r4, %r4, 23;\nor.b32 %r1, %r3, %r4;\n" : "";
        body += "mov.b32 %f1, %r1;\ncvt.f64.f32 %fd1, %f1;\n";
        for (const char* mode : {"rn", "rz", "rm", "rp"})
            body += std::string("cvt.") + mode + ".f16.f32 %h1, %f1;\ncvt." + mode +
                ".f16.f64 %h2, %fd1;\nsetp.ne.b16 %p1, %h1, %h2;\n@%p1 add.u32 %r2, %r2, 1;\n";
    }

    for (unsigned wrong : run(kernel(body + "st.global.b32 [%mine], %r2;"), 256, 256, 65536)) EQUAL(0, wrong);
}
