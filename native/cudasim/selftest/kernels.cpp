// Kernels: what the emulation computes, and what it refuses.
#include "selftest.h"

#include <cmath>
#include <cstring>

using test::Gpu;

namespace {

const char* const arithmetic = R"(
#include "header.cuh"
struct Scale { float factor; int offset; const float* bias; };
extern "C" __global__ void __launch_bounds__(256) affine(const float* __restrict__ x, float* y, const Scale scale, long long n, unsigned char skip)
{
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        if (i != skip) y[i] = TWICE(x[i]) * scale.factor + scale.offset + scale.bias[0];
}
extern "C" { __global__ void places(unsigned* out)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = block * 1000 + thread;
} }
)";

const char* const groups = R"(
__device__ __forceinline__ float warp_sum(float v)
{
    for (int lanes = 16; lanes > 0; lanes >>= 1) v += __shfl_xor_sync(0xffffffffu, v, lanes);
    return v;
}
template <int N> __device__ float block_sum(float v)
{
    __shared__ float parts[N];
    v = warp_sum(v);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < (int)blockDim.x / 32; i++) sum += parts[i];
    __syncthreads();
    return sum;
}
extern "C" __global__ void sums(const float* x, float* out)
{
    float first = block_sum<32>(x[blockIdx.x * blockDim.x + threadIdx.x]);
    float second = block_sum<16 * 2>(first);
    if (threadIdx.x == 0) out[blockIdx.x] = first + second;
}
extern "C" __global__ void shuffles(long long* out)
{
    int lane = threadIdx.x % 32, t = threadIdx.x;
    long long* mine = out + t * 12;
    mine[0] = __shfl_sync(0xffffffffu, lane * 10, 5);
    mine[1] = __shfl_up_sync(0xffffffffu, lane, 1);
    mine[2] = __shfl_down_sync(0xffffffffu, (unsigned)lane, 2);
    mine[3] = __shfl_xor_sync(0xffffffffu, (long long)lane << 40, 3);
    mine[4] = __ballot_sync(0xffffffffu, lane % 3 == 0);
    mine[5] = __any_sync(0xffffffffu, lane == 31) * 2 + __all_sync(0xffffffffu, lane < 31);
    mine[6] = (long long)(__shfl_sync(0xffffffffu, lane * 0.5, 3, 8) * 2);
    mine[7] = __shfl_down_sync(0xffffffffu, lane, 3, 8);
    if (lane < 16) mine[8] = __shfl_xor_sync(0x0000ffffu, lane, 1);
    else mine[8] = __shfl_xor_sync(0xffff0000u, lane, 2);
    __syncwarp();
    mine[9] = __shfl_up_sync(0xffffffffu, lane, 3, 4);
    mine[10] = (long long)__shfl_xor_sync(0xffffffffu, (float)lane, 16);
    mine[11] = lane;
}
extern "C" __global__ void partial(int* out)
{
    int sum = 1;
    for (int lanes = 16; lanes > 0; lanes >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, lanes) == -1 ? 0 : 1;
    if (threadIdx.x >= 40) return;
    out[threadIdx.x] = __ballot_sync(0xffffffffu, 1);
}
)";

const char* const sharing = R"(
extern "C" __global__ void reverse(const int* x, int* y, int* garbage, int n)
{
    extern __shared__ __align__(16) int buffer[];
    __shared__ int fixed[4];
    if (threadIdx.x == 0) garbage[blockIdx.x] = buffer[n - 1] == -1 && fixed[3] == -1;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) buffer[i] = x[i];
    fixed[threadIdx.x % 4] = 7;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = buffer[n - 1 - i];
}
)";

const char* const wrongs = R"(
extern "C" __global__ void early_exit() { if (threadIdx.x == 3) return; __syncthreads(); }
extern "C" __global__ void two_places(int n)
{
    if (threadIdx.x < n)
        __syncthreads();
    else
        __syncthreads();
}
extern "C" __global__ void lost_lane(int* out) { if (threadIdx.x != 7) out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0); else __syncthreads(); }
extern "C" __global__ void wrong_mask(int* out) { out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 0); }
extern "C" __global__ void past_end(float* x, int i) { x[i] = 1; }
extern "C" __global__ void unaligned(const float* x, float* y) { *(float4*)y = *(const float4*)(x + 1); }
extern "C" __global__ void divide(int* x, int y) { x[0] = 5 / y; }
extern "C" __global__ void trap() { __trap(); }
extern "C" __global__ void deep(int* x, int n) { volatile char big[40000]; big[n] = 1; if (n > 0) { int v[20000]; v[n] = n; for (int i = 0; i < n; i++) v[i] = big[i] + v[n]; x[0] = v[n - 1]; } }
extern "C" __global__ void shared_overrun(int n) { extern __shared__ float s[]; s[n] = 1; }
)";

}  // namespace

TEST(ArgumentsAndIndices) {
    Gpu gpu;
    test::Build made = test::build(arithmetic, {"--gpu-architecture=sm_80", "--std=c++17"}, "#define TWICE(x) ((x) * 2)\n");
    EQUAL(NVRTC_SUCCESS, made.result);
    CUmodule module;
    CUfunction affine, places, none;
    OK(cuModuleLoadData(&module, made.cubin.data()));
    OK(cuModuleGetFunction(&affine, module, "affine"));
    OK(cuModuleGetFunction(&places, module, "places"));
    EQUAL(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&none, module, "nothing"));

    std::vector<float> x(1000);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)i;
    struct Scale {
        float factor;
        int offset;
        CUdeviceptr bias;
    };
    CUdeviceptr input = gpu.upload(x), output = gpu.alloc(4000), bias = gpu.upload(std::vector<float>{0.25f});
    OK(gpu.launch(affine, 2, 256, 0, input, output, Scale{0.5f, 3, bias}, 1000LL, (unsigned char)9));
    std::vector<float> y = gpu.download<float>(output, 1000);
    for (int i = 0; i < 1000; i++)
        if (i != 9) CLOSE(i + 3.25, y[(size_t)i]);
    CHECK(std::isnan(y[9]));  // what nobody writes is not a number

    int value = 0;
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, affine));
    EQUAL(256, value);
    EQUAL(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, gpu.launch(affine, 1, 257, 0, input, output, Scale{}, 0LL, (unsigned char)0));
    EQUAL(CUDA_ERROR_INVALID_VALUE, gpu.launch(places, 1, 1025, 0, output));
    EQUAL(CUDA_ERROR_INVALID_VALUE, gpu.launch(places, 0, 32, 0, output));

    CUdeviceptr numbers = gpu.alloc(4 * 2 * 3 * 4 * 5 * 3 * 2);
    void* parameters[] = {&numbers};
    OK(cuLaunchKernel(places, 2, 3, 4, 5, 3, 2, 0, gpu.stream, parameters, nullptr));
    std::vector<unsigned> got = gpu.download<unsigned>(numbers, 2 * 3 * 4 * 30);
    for (unsigned i = 0; i < got.size(); i++) EQUAL(i / 30 * 1000 + i % 30, got[i]);
    OK(cuModuleUnload(module));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
    EQUAL(CUDA_ERROR_INVALID_HANDLE, gpu.launch(places, 1, 1, 0, output));
}

TEST(ReductionsOfWarpsAndBlocks) {
    for (const char* seed : {"0", "1", "2", "3"}) {
        cudasimConfigure("SEED", seed);
        Gpu gpu;
        CUfunction sums = gpu.kernel(groups, "sums");
        std::vector<float> x(7 * 512);
        for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i % 13);
        CUdeviceptr input = gpu.upload(x), output = gpu.alloc(7 * 4);
        OK(gpu.launch(sums, 7, 512, 0, input, output));
        std::vector<float> got = gpu.download<float>(output, 7);
        for (size_t block = 0; block < 7; block++) {
            double sum = 0;
            for (size_t i = 0; i < 512; i++) sum += x[block * 512 + i];
            CLOSE(sum + 512 * sum, got[block]);
        }
    }
}

TEST(Shuffles) {
    Gpu gpu;
    CUdeviceptr output = gpu.alloc(64 * 12 * 8);
    OK(gpu.launch(gpu.kernel(groups, "shuffles"), 1, 64, 0, output));
    std::vector<long long> got = gpu.download<long long>(output, 64 * 12);
    unsigned thirds = 0;
    for (int lane = 0; lane < 32; lane++) thirds |= lane % 3 == 0 ? 1u << lane : 0;
    for (int thread = 0; thread < 64; thread++) {
        long long lane = thread % 32, *mine = &got[(size_t)thread * 12];
        EQUAL(50, mine[0]);
        EQUAL(lane == 0 ? 0 : lane - 1, mine[1]);
        EQUAL(lane + 2 < 32 ? lane + 2 : lane, mine[2]);
        EQUAL((lane ^ 3) << 40, mine[3]);
        EQUAL(thirds, mine[4]);
        EQUAL(2, mine[5]);
        EQUAL(lane / 8 * 8 + 3, mine[6]);
        EQUAL(lane % 8 + 3 < 8 ? lane + 3 : lane, mine[7]);
        EQUAL(lane < 16 ? lane ^ 1 : lane ^ 2, mine[8]);
        EQUAL(lane % 4 >= 3 ? lane - 3 : lane, mine[9]);
        EQUAL(lane ^ 16, mine[10]);
        EQUAL(lane, mine[11]);
    }
}

TEST(WarpsThatAreNotFull) {
    Gpu gpu;
    CUdeviceptr output = gpu.alloc(40 * 4);
    OK(gpu.launch(gpu.kernel(groups, "partial"), 1, 48, 0, output));
    std::vector<int> got = gpu.download<int>(output, 40);
    for (size_t thread = 0; thread < 40; thread++) EQUAL(thread < 32 ? -1 : 0xff, got[thread]);
}

TEST(SharedMemory) {
    Gpu gpu;
    CUfunction reverse = gpu.kernel(sharing, "reverse");
    const int n = 20000;  // 80000 bytes: more than 48 KiB
    std::vector<int> x(n);
    for (int i = 0; i < n; i++) x[(size_t)i] = i;
    CUdeviceptr input = gpu.upload(x), output = gpu.alloc(n * 4), garbage = gpu.alloc(12);
    EQUAL(CUDA_ERROR_INVALID_VALUE, gpu.launch(reverse, 3, 128, n * 4, input, output, garbage, n));
    EQUAL(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 163 << 10));  // with what is static
    OK(cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, n * 4));
    OK(gpu.launch(reverse, 3, 128, n * 4, input, output, garbage, n));
    std::vector<int> got = gpu.download<int>(output, n), fresh = gpu.download<int>(garbage, 3);
    for (int i = 0; i < n; i++) EQUAL(n - 1 - i, got[(size_t)i]);
    for (int block : fresh) EQUAL(1, block);
    int bytes = 0, blocks = 0;
    OK(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, reverse));
    EQUAL(16, bytes);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, reverse, 128, n * 4));
    EQUAL(2, blocks);
}

TEST(WhatKernelsMustNotDo) {
    struct Case {
        const char* name;
        CUresult expected;
        const char* says;
        bool output;
        int number;
    };
    const Case cases[] = {
        {"early_exit", CUDA_ERROR_LAUNCH_FAILED, "63 of 64 threads of a block wait at __syncthreads in line 2, 1 have ended", false, 0},
        {"two_places", CUDA_ERROR_LAUNCH_FAILED, "in line 6 and in line 8", false, 5},
        {"lost_lane", CUDA_ERROR_LAUNCH_FAILED, "divergent", true, 0},
        {"wrong_mask", CUDA_ERROR_ILLEGAL_INSTRUCTION, "mask that lacks it", true, 0},
        {"past_end", CUDA_ERROR_ILLEGAL_ADDRESS, "past_end: illegal access to", true, 64},
        {"unaligned", CUDA_ERROR_MISALIGNED_ADDRESS, "unaligned: misaligned access", true, -1},
        {"divide", CUDA_ERROR_LAUNCH_FAILED, "division by zero", true, 0},
        {"trap", CUDA_ERROR_ILLEGAL_INSTRUCTION, "__trap()", false, 0},
        {"deep", CUDA_ERROR_ILLEGAL_ADDRESS, "deep: illegal access", true, 19999},
        {"shared_overrun", CUDA_ERROR_ILLEGAL_ADDRESS, "shared_overrun: written behind the end of dynamic shared memory", false, 17},
        {"shared_overrun", CUDA_ERROR_ILLEGAL_ADDRESS, "shared_overrun: illegal access", false, 20},
    };
    for (const Case& one : cases) {
        Gpu gpu;
        CUfunction f = gpu.kernel(wrongs, one.name);
        CUdeviceptr output = gpu.alloc(256);
        if (!strcmp(one.name, "shared_overrun") || (!one.output && one.number)) OK(gpu.launch(f, 1, 64, 68, one.number));
        else if (one.output && one.number < 0) OK(gpu.launch(f, 1, 1, 0, output, output));
        else if (one.output) OK(gpu.launch(f, 1, 64, 0, output, one.number));
        else OK(gpu.launch(f, 1, 64, 0));
        EQUAL(one.expected, gpu.sync());
        FAULT(one.says);
        CUdeviceptr more = 0;
        EQUAL(one.expected, cuMemAlloc_v2(&more, 16));  // the error stays
    }

    Gpu gpu;  // and ends with the context
    CUdeviceptr memory = gpu.alloc(256);
    OK(gpu.launch(gpu.kernel(wrongs, "past_end"), 1, 1, 0, memory, 63));
    OK(gpu.sync());
}

TEST(NvrtcErrors) {
    test::Build made = test::build("extern \"C\" __global__ void broken(float* x)\n{\n    x[0] = missing;\n}\n");
    EQUAL(NVRTC_ERROR_COMPILATION, made.result);
    CHECK(made.log.find("test.cu(3): error: ") == 0 || made.log.find("\ntest.cu(3): error: ") != std::string::npos);
    CHECK(made.cubin.empty());
    EQUAL(NVRTC_ERROR_COMPILATION, test::build("#include <stdio.h>\nextern \"C\" __global__ void f() {}\n").result);
    EQUAL(NVRTC_ERROR_COMPILATION, test::build("extern \"C\" __global__ void f(float* x) { atomicAdd(x, 1.0f); }\n").result);
    EQUAL(NVRTC_ERROR_INVALID_OPTION, test::build("", {"--gpu-architecture=sm_42"}).result);
    EQUAL(NVRTC_ERROR_INVALID_OPTION, test::build("", {"--no-such-option"}).result);
    size_t size = 0;
    int unrelated = 0;
    EQUAL(NVRTC_ERROR_INVALID_PROGRAM, nvrtcGetCUBINSize((nvrtcProgram)&unrelated, &size));
    EQUAL(NVRTC_ERROR_INVALID_PROGRAM, nvrtcGetProgramLogSize(nullptr, &size));
    test::Build defined = test::build("#if __CUDA_ARCH__ != 890 || N != 3\n#error\n#endif\nextern \"C\" __global__ void f() {}\n", {"-arch=sm_89", "-DN=3"});
    EQUAL(NVRTC_SUCCESS, defined.result);
}

TEST(ImagesFitTheirDevice) {
    Gpu gpu;
    const char* source = "extern \"C\" __global__ void f() {}\n";
    CUmodule module = nullptr;
    EQUAL(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, test::build(source, {"--gpu-architecture=sm_86"}).cubin.data()));
    EQUAL(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, test::build(source, {"--gpu-architecture=sm_75"}).cubin.data()));
    test::Build virtual75 = test::build(source, {"--gpu-architecture=compute_75"});
    EQUAL(0, virtual75.cubin.size());
    OK(cuModuleLoadData(&module, virtual75.ptx.data()));
    OK(cuModuleUnload(module));
    EQUAL(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&module, "not a cubin at all, only text"));
}

TEST(HalfConversions) {
    Gpu gpu;
    const char* source = R"(
extern "C" __global__ void to_float(float* out) { int i = blockIdx.x * blockDim.x + threadIdx.x; out[i] = cudasim_half_to_float((unsigned short)i); }
extern "C" __global__ void to_half(const float* x, unsigned short* out) { int i = blockIdx.x * blockDim.x + threadIdx.x; out[i] = cudasim_float_to_half(x[i]); }
)";
    CUdeviceptr floats = gpu.alloc(65536 * 4), halves = gpu.alloc(65536 * 2 * 4), many;
    OK(gpu.launch(gpu.kernel(source, "to_float"), 256, 256, 0, floats));
    std::vector<float> got = gpu.download<float>(floats, 65536), inputs;
    for (int bits = 0; bits < 65536; bits++) {
        unsigned short pattern = (unsigned short)bits;
        _Float16 half;
        std::memcpy(&half, &pattern, 2);
        float expected = (float)half;
        if (std::isnan(expected)) CHECK(std::isnan(got[(size_t)bits]));
        else EQUAL(0, std::memcmp(&expected, &got[(size_t)bits], 4));
        // Each half, what lies halfway to the next, and right beside halfway.
        if (!std::isfinite(expected) || std::abs(expected) > 65504.0f) continue;
        if (bits & 0x8000) continue;
        unsigned short above = (unsigned short)(bits + 1);
        std::memcpy(&half, &above, 2);
        float next = std::isinf((float)half) ? 65536.0f : (float)half, middle = (expected + next) / 2;
        for (float value : {middle, std::nextafter(middle, 0.0f), -std::nextafter(middle, 1e9f), -middle})
            if (inputs.size() < 65536 * 4) inputs.push_back(value);
    }

    inputs.resize(65536 * 4, NAN);
    many = gpu.upload(inputs);
    OK(gpu.launch(gpu.kernel(source, "to_half"), 1024, 256, 0, many, halves));
    std::vector<unsigned short> rounded = gpu.download<unsigned short>(halves, inputs.size());
    for (size_t i = 0; i < inputs.size(); i++) {
        _Float16 half = (_Float16)inputs[i];
        unsigned short expected;
        std::memcpy(&expected, &half, 2);
        if (std::isnan(inputs[i])) CHECK((rounded[i] & 0x7c00) == 0x7c00 && (rounded[i] & 0x3ff));
        else EQUAL(expected, rounded[i]);
    }
}
