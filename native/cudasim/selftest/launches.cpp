// Launches: where threads are, what they do together, and what a launch may ask for.
#include "kernels_ptx.h"

using test::Gpu;

namespace {

const std::string text = test::ptxHeader + ".extern .shared .align 16 .b8 dynamic[];\n" +
    // Each thread's number in its block and 1000 times that of its block, at the thread's number in the grid.
    test::entry("places", ".param .u64 x", R"(
	mov.u32 %r1, %ctaid.z;
	mov.u32 %r2, %nctaid.y;
	mov.u32 %r3, %ctaid.y;
	mad.lo.u32 %r1, %r1, %r2, %r3;
	mov.u32 %r2, %nctaid.x;
	mov.u32 %r3, %ctaid.x;
	mad.lo.u32 %r1, %r1, %r2, %r3;
	mov.u32 %r2, %tid.z;
	mov.u32 %r3, %ntid.y;
	mov.u32 %r4, %tid.y;
	mad.lo.u32 %r2, %r2, %r3, %r4;
	mov.u32 %r5, %ntid.x;
	mad.lo.u32 %r2, %r2, %r5, %thread;
	mul.lo.u32 %r5, %r5, %r3;
	mov.u32 %r6, %ntid.z;
	mul.lo.u32 %r5, %r5, %r6;
	mad.lo.u32 %r5, %r1, %r5, %r2;
	mad.lo.u32 %r6, %r1, 1000, %r2;
	ld.param.u64 %x, [x];
	mad.wide.u32 %x, %r5, 4, %x;
	st.global.u32 [%x], %r6;)") +
    // The sum of a block's numbers and, by the same shared memory, the sum of all threads' sums; both together in y[block].
    test::entry("sums", ".param .u64 x, .param .u64 y", test::pointerX + R"(
	.shared .align 4 .f32 parts[32];
	ld.global.f32 %f1, [%x];
	mov.f32 %f4, 0f00000000;
	and.b32 %r1, %thread, 31;
	setp.eq.u32 %p1, %r1, 0;
	shr.u32 %r2, %thread, 5;
	mov.u64 %rd1, parts;
	mad.wide.u32 %rd2, %r2, 4, %rd1;
	mov.u32 %r3, 0;
AGAIN:
	mov.u32 %r4, 16;
LANES:
	shfl.sync.bfly.b32 %f2, %f1, %r4, 31, 0xffffffff;
	add.f32 %f1, %f1, %f2;
	shr.u32 %r4, %r4, 1;
	setp.ne.u32 %p2, %r4, 0;
	@%p2 bra LANES;
	@%p1 st.shared.f32 [%rd2], %f1;
	bar.sync 0;
	mov.f32 %f1, 0f00000000;
	mov.u32 %r5, %ntid.x;
	mov.u64 %rd3, %rd1;
WARPS:
	ld.shared.f32 %f2, [%rd3];
	add.f32 %f1, %f1, %f2;
	add.u64 %rd3, %rd3, 4;
	sub.u32 %r5, %r5, 32;
	setp.ne.u32 %p2, %r5, 0;
	@%p2 bra WARPS;
	bar.sync 0;
	add.f32 %f4, %f4, %f1;
	add.u32 %r3, %r3, 1;
	setp.lt.u32 %p2, %r3, 2;
	@%p2 bra AGAIN;
	setp.ne.u32 %p2, %thread, 0;
	@%p2 ret;
	ld.param.u64 %y, [y];
	mad.wide.u32 %y, %r0, 4, %y;
	st.global.f32 [%y], %f4;)") +
    // Which threads of the warp are below 40, as those see it.
    test::entry("below40", ".param .u64 x", test::pointerX + R"(
	setp.ge.u32 %p1, %thread, 40;
	@%p1 ret;
	setp.lt.u32 %p1, %thread, 40;
	vote.sync.ballot.b32 %r1, %p1, 0xffffffff;
	st.global.u32 [%x], %r1;)") +
    // The lower half of a warp swaps neighbours, the upper one those beside the next.
    test::entry("swap", ".param .u64 x", test::pointerX + R"(
	setp.lt.u32 %p1, %thread, 16;
	@%p1 bra LOWER;
	shfl.sync.bfly.b32 %r1, %thread, 2, 31, 0xffff0000;
	bra TOGETHER;
LOWER:
	shfl.sync.bfly.b32 %r1, %thread, 1, 31, 0x0000ffff;
TOGETHER:
	bar.warp.sync 0xffffffff;
	st.global.u32 [%x], %r1;)") +
    // y = x backwards, by dynamic shared memory; z[block] = what the last number and a static variable were at first, and-ed.
    test::entry("reverse", ".param .u64 x, .param .u64 y, .param .u64 z, .param .u32 n", R"(
	.shared .align 4 .b32 fixed[4];
	ld.param.u64 %x, [x];
	ld.param.u64 %y, [y];
	ld.param.u64 %z, [z];
	ld.param.u32 %r1, [n];
	mov.u32 %r2, %ntid.x;
	mov.u64 %rd1, dynamic;
	mad.wide.u32 %rd2, %r1, 4, %rd1;
	setp.ne.u32 %p1, %thread, 0;
	@%p1 bra READ;
	ld.shared.b32 %r3, [%rd2+-4];
	ld.shared.b32 %r4, [fixed+12];
	and.b32 %r3, %r3, %r4;
	mad.wide.u32 %z, %r0, 4, %z;
	st.global.b32 [%z], %r3;
READ:
	bar.sync 0;
	mov.u32 %r5, %thread;
NEXT:
	setp.ge.u32 %p1, %r5, %r1;
	@%p1 bra WRITE;
	mad.wide.u32 %rd3, %r5, 4, %x;
	ld.global.b32 %r6, [%rd3];
	mad.wide.u32 %rd3, %r5, 4, %rd1;
	st.shared.b32 [%rd3], %r6;
	add.u32 %r5, %r5, %r2;
	bra NEXT;
WRITE:
	bar.sync 0;
	mov.u32 %r5, %thread;
BACK:
	setp.ge.u32 %p1, %r5, %r1;
	@%p1 ret;
	mad.wide.u32 %rd3, %r5, 4, %rd1;
	ld.shared.b32 %r6, [%rd3];
	sub.u32 %r7, %r1, %r5;
	mad.wide.u32 %rd3, %r7, 4, %y;
	st.global.b32 [%rd3+-4], %r6;
	add.u32 %r5, %r5, %r2;
	bra BACK;)");

}  // namespace

TEST(PlacesInThreeDimensions) {
    struct Case {
        unsigned blocks[3], threads[3];
        CUresult expected;
    };
    const Case cases[] = {
        {{2, 3, 4}, {5, 3, 2}, CUDA_SUCCESS},
        {{1, 1, 1}, {16, 1, 64}, CUDA_SUCCESS},
        {{1, 1, 1}, {1025, 1, 1}, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {1, 1, 65}, CUDA_ERROR_INVALID_VALUE},
        {{1, 1, 1}, {32, 33, 1}, CUDA_ERROR_INVALID_VALUE},
        {{0, 1, 1}, {32, 1, 1}, CUDA_ERROR_INVALID_VALUE},
        {{1, 65536, 1}, {1, 1, 1}, CUDA_ERROR_INVALID_VALUE},
    };
    Gpu gpu;
    CUfunction places = gpu.kernel(text, "places");
    CUdeviceptr x = gpu.alloc(1024 * 4);
    void* parameters[] = {&x};
    for (const Case& one : cases) {
        const unsigned *b = one.blocks, *t = one.threads;
        EQUAL(one.expected, cuLaunchKernel(places, b[0], b[1], b[2], t[0], t[1], t[2], 0, gpu.stream, parameters, nullptr));
        if (one.expected) continue;
        const unsigned inBlock = t[0] * t[1] * t[2], all = b[0] * b[1] * b[2] * inBlock;
        const std::vector<unsigned> got = gpu.download<unsigned>(x, all);
        for (unsigned i = 0; i < all; i++) EQUAL(i / inBlock * 1000 + i % inBlock, got[i]);
    }
}

TEST(ModulesEndWithTheirFunctions) {
    Gpu gpu;
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    CUdeviceptr x = gpu.alloc(4);
    EQUAL(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&module, "no kernels at all, only words"));
    OK(cuModuleLoadData(&module, text.c_str()));
    EQUAL(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&function, module, "nothing"));
    OK(cuModuleGetFunction(&function, module, "places"));
    OK(gpu.launch(function, 1, 1, 0, x));
    OK(cuModuleUnload(module));  // what has been launched still runs
    OK(gpu.sync());
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, gpu.launch(function, 1, 1, 0, x));
}

TEST(ReductionsOfWarpsAndBlocks) {
    for (const char* seed : {"0", "1", "2", "3"}) {
        cudasimConfigure("SEED", seed);
        Gpu gpu;
        std::vector<float> x(7 * 512);
        for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i % 13);
        CUdeviceptr input = gpu.upload(x), output = gpu.alloc(7 * 4);
        OK(gpu.launch(gpu.kernel(text, "sums"), 7, 512, 0, input, output));
        const std::vector<float> got = gpu.download<float>(output, 7);
        for (size_t block = 0; block < 7; block++) {
            double sum = 0;
            for (size_t i = 0; i < 512; i++) sum += x[block * 512 + i];
            CLOSE(sum + 512 * sum, got[block]);
        }
    }
}

TEST(WarpsInParts) {
    Gpu gpu;
    CUdeviceptr below = gpu.alloc(48 * 4), swapped = gpu.alloc(32 * 4);
    OK(gpu.launch(gpu.kernel(text, "below40"), 1, 48, 0, below));
    OK(gpu.launch(gpu.kernel(text, "swap"), 1, 32, 0, swapped));
    const std::vector<unsigned> lanes = gpu.download<unsigned>(below, 40), values = gpu.download<unsigned>(swapped, 32);
    for (unsigned thread = 0; thread < 40; thread++) EQUAL(thread < 32 ? 0xffffffffu : 0xff, lanes[thread]);
    for (unsigned lane = 0; lane < 32; lane++) EQUAL(lane < 16 ? lane ^ 1 : lane ^ 2, values[lane]);
}

TEST(SharedMemory) {
    Gpu gpu;
    CUfunction reverse = gpu.kernel(text, "reverse");
    const int n = 20000, most = 163 << 10;  // 80000 bytes: more than 48 KiB
    std::vector<int> x(n);
    for (int i = 0; i < n; i++) x[(size_t)i] = i;
    CUdeviceptr input = gpu.upload(x), output = gpu.alloc(n * 4), garbage = gpu.alloc(12);
    EQUAL(CUDA_ERROR_INVALID_VALUE, gpu.launch(reverse, 3, 128, n * 4, input, output, garbage, n));
    // With what is static that would be too much.
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most));
    OK(cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, n * 4));
    OK(gpu.launch(reverse, 3, 128, n * 4, input, output, garbage, n));
    const std::vector<int> got = gpu.download<int>(output, n), fresh = gpu.download<int>(garbage, 3);
    for (int i = 0; i < n; i++) EQUAL(n - 1 - i, got[(size_t)i]);
    for (int block : fresh) EQUAL(-1, block);
    int bytes = 0, blocks = 0;
    OK(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, reverse));
    EQUAL(16, bytes);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reverse, 128, n * 4));
    EQUAL(2, blocks);
}
