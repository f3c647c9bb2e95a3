// Kernels in PTX: as ILGPU writes them, and what they compute together.
#include "ptx.h"

#include <cmath>
#include <numeric>

using test::Gpu;
using test::Loaded;
using test::kernel;
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
