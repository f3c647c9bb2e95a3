// cuBLAS: products against plain loops in double, what it refuses, what a graph replays.
#include "libraries.h"

#include <cublas_v2.h>

using namespace test;

namespace {

struct Blas {
    explicit Blas(Gpu& gpu, size_t workspaceBytes = 1 << 16) {
        EQUAL(CUBLAS_STATUS_SUCCESS, cublasCreate_v2(&handle));
        EQUAL(CUBLAS_STATUS_SUCCESS, cublasSetStream_v2(handle, gpu.stream));
        workspace = gpu.alloc(workspaceBytes);
        EQUAL(CUBLAS_STATUS_SUCCESS, cublasSetWorkspace_v2(handle, pointer(workspace), workspaceBytes));
    }
    ~Blas() {
        cublasDestroy_v2(handle);
        cuMemFree_v2(workspace);
    }

    cublasHandle_t handle = nullptr;
    CUdeviceptr workspace = 0;
};

// One product, column-major as cuBLAS has it.
struct Product {
    bool transposeA, transposeB;
    int m, n, k;
    cudaDataType typeA = CUDA_R_32F, typeC = CUDA_R_32F;
    float alpha = 1, beta = 0;
    int padA = 0, padB = 0, padC = 0;

    int lda() const { return std::max(1, (transposeA ? k : m) + padA); }
    int ldb() const { return std::max(1, (transposeB ? n : k) + padB); }
    int ldc() const { return m + padC; }
    size_t sizeA() const { return size_t(lda()) * (transposeA ? m : k); }
    size_t sizeB() const { return size_t(ldb()) * (transposeB ? k : n); }
    size_t sizeC() const { return size_t(ldc()) * n; }

    cublasStatus_t run(cublasHandle_t handle, CUdeviceptr a, CUdeviceptr b, CUdeviceptr c) const {
        return cublasGemmEx(
            handle, transposeA ? CUBLAS_OP_T : CUBLAS_OP_N, transposeB ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &alpha, pointer(a), typeA, lda(), pointer(b), typeA, ldb(), &beta,
            pointer(c), typeC, ldc(), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    }
};

void check(Gpu& gpu, const Blas& blas, const Product& p) {
    bool halfA = p.typeA == CUDA_R_16F, halfC = p.typeC == CUDA_R_16F;
    Array a(gpu, random(p.sizeA(), 1), halfA), b(gpu, random(p.sizeB(), 2), halfA), c(gpu, random(p.sizeC(), 3), halfC);
    EQUAL(CUBLAS_STATUS_SUCCESS, p.run(blas.handle, a.memory, b.memory, c.memory));
    std::vector<float> result = c.download(gpu);
    double worst = 0;
    for (int j = 0; j < p.n; j++) {
        for (int row = 0; row < p.ldc(); row++) {
            size_t place = size_t(j) * p.ldc() + row;
            double expected = c.values[place];
            if (row < p.m) {
                double sum = 0;
                for (int l = 0; l < p.k; l++) {
                    sum += double(a.values[p.transposeA ? size_t(row) * p.lda() + l : size_t(l) * p.lda() + row]) * b.values[p.transposeB ? size_t(l) * p.ldb() + j : size_t(j) * p.ldb() + l];
                }

                expected = p.alpha * sum + (p.beta == 0 ? 0 : p.beta * expected);
            }

            worst = std::max(worst, std::abs(expected - result[place]) / (1 + std::abs(expected)));
        }
    }

    double tolerance = halfC ? 1e-3 : 3e-6 * std::sqrt(double(p.k) + 1);
    if (!(worst <= tolerance)) fail(__FILE__, __LINE__, "a product of " + std::to_string(p.m) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k) + " is wrong by " + std::to_string(worst));
}

}  // namespace

TEST(products_of_all_shapes_types_and_layouts) {
    Gpu gpu;
    Blas blas(gpu);
    struct { int m, n, k; } sizes[] = {{1, 1, 1}, {1, 7, 5}, {33, 1, 64}, {17, 19, 300}, {64, 50, 31}, {130, 97, 513}};
    for (auto size : sizes) {
        for (int transposes = 0; transposes < 4; transposes++) {
            for (int types = 0; types < 3; types++) {
                Product p{(transposes & 1) != 0, (transposes & 2) != 0, size.m, size.n, size.k, types == 0 ? CUDA_R_32F : CUDA_R_16F, types == 2 ? CUDA_R_16F : CUDA_R_32F};
                check(gpu, blas, p);
                p.alpha = -0.5f, p.beta = 2, p.padA = 3, p.padB = 5, p.padC = 7;
                check(gpu, blas, p);
            }
        }
    }
}

TEST(a_sum_of_no_products_is_zero_and_beta_zero_forgets_what_was_there) {
    Gpu gpu;
    Blas blas(gpu);
    Product p{false, false, 5, 4, 0};
    CUdeviceptr c = gpu.alloc(5 * 4 * 4), other = gpu.alloc(64);
    EQUAL(CUBLAS_STATUS_SUCCESS, p.run(blas.handle, other, other, c));
    for (float value : gpu.download<float>(c, 20)) EQUAL(0, value);
    OK(gpu.sync());
    cuMemFree_v2(c);
    cuMemFree_v2(other);
}

TEST(products_refuse_wrong_arguments) {
    Gpu gpu;
    Blas blas(gpu);
    Array a(gpu, random(64, 1), false), b(gpu, random(64, 2), false), c(gpu, random(64, 3), false);
    float one = 1, zero = 0;
    auto gemm = [&](cublasHandle_t handle, int m, int lda, CUdeviceptr from, cudaDataType type, cudaDataType typeB, cublasComputeType_t compute, const float* alpha, CUdeviceptr to) {
        return cublasGemmEx(
            handle, CUBLAS_OP_N, CUBLAS_OP_N, m, 8, 8, alpha, pointer(from), type, lda, pointer(b.memory), typeB, 8, &zero, pointer(to), CUDA_R_32F, 8, compute, CUBLAS_GEMM_DEFAULT);
    };
    const auto F = CUDA_R_32F, H = CUDA_R_16F;
    const auto SUMS = CUBLAS_COMPUTE_32F;
    EQUAL(CUBLAS_STATUS_SUCCESS, gemm(blas.handle, 8, 8, a.memory, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_NOT_INITIALIZED, gemm(nullptr, 8, 8, a.memory, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, -1, 8, a.memory, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 7, a.memory, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 8, a.memory, F, F, SUMS, nullptr, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 8, 0, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 8, a.memory + 4, F, F, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 8, a.memory, F, F, SUMS, &one, c.memory + 4));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, gemm(blas.handle, 8, 8, a.memory, F, F, SUMS, &one, a.memory));
    EQUAL(CUBLAS_STATUS_NOT_SUPPORTED, gemm(blas.handle, 8, 8, a.memory, F, H, SUMS, &one, c.memory));
    EQUAL(CUBLAS_STATUS_NOT_SUPPORTED, gemm(blas.handle, 8, 8, a.memory, F, F, CUBLAS_COMPUTE_16F, &one, c.memory));

    Array narrow(gpu, random(24, 1), true);
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, cublasGemmEx(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, pointer(narrow.memory + 1), H, 2, pointer(narrow.memory), H, 2, &zero, pointer(c.memory), F, 2, SUMS, CUBLAS_GEMM_DEFAULT));

    // Setting the stream gives the caller's workspace back; one that is not all on the device is refused.
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, cublasSetWorkspace_v2(blas.handle, pointer(blas.workspace), (1 << 16) + 1024));
    OK(gpu.sync());
}

TEST(a_handle_belongs_to_its_device) {
    Gpu first(0), second(1);
    cublasHandle_t handle = nullptr;
    OK(cuCtxSetCurrent(first.context));
    EQUAL(CUBLAS_STATUS_SUCCESS, cublasCreate_v2(&handle));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, cublasSetStream_v2(handle, second.stream));
    EQUAL(CUBLAS_STATUS_SUCCESS, cublasSetStream_v2(handle, first.stream));
    Product p{false, false, 2, 2, 2};
    CUdeviceptr here = first.alloc(64), result = first.alloc(64);
    OK(cuCtxSetCurrent(second.context));
    CUdeviceptr there = second.alloc(64);
    EQUAL(CUBLAS_STATUS_EXECUTION_FAILED, p.run(handle, here, here, result));
    OK(cuCtxSetCurrent(first.context));
    EQUAL(CUBLAS_STATUS_INVALID_VALUE, p.run(handle, here, there, result));
    EQUAL(CUBLAS_STATUS_SUCCESS, p.run(handle, here, here, result));
    OK(first.sync());
    EQUAL(CUBLAS_STATUS_SUCCESS, cublasDestroy_v2(handle));
    EQUAL(CUBLAS_STATUS_NOT_INITIALIZED, p.run(handle, here, here, result));
    cuMemFree_v2(here);
    cuMemFree_v2(result);
    cuMemFree_v2(there);
    OK(cuCtxSetCurrent(nullptr));
    EQUAL(CUBLAS_STATUS_NOT_INITIALIZED, cublasCreate_v2(&handle));
}

TEST(a_captured_product_reads_its_operands_when_it_is_replayed) {
    Gpu gpu;
    Blas blas(gpu);
    Array a(gpu, {1, 2, 3, 4}, false), b(gpu, {1, 0, 0, 1}, false), c(gpu, {9, 9, 9, 9}, false);
    OK(gpu.sync());
    Product p{false, false, 2, 2, 2};
    OK(cuStreamBeginCapture_v2(gpu.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    EQUAL(CUBLAS_STATUS_SUCCESS, p.run(blas.handle, a.memory, b.memory, c.memory));
    CUgraph graph = nullptr;
    CUgraphExec exec = nullptr;
    OK(cuStreamEndCapture(gpu.stream, &graph));
    OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
    EQUAL(9, c.download(gpu)[0]);
    std::vector<float> other = {5, 6, 7, 8};
    OK(cuMemcpyHtoDAsync_v2(a.memory, other.data(), 16, gpu.stream));
    OK(cuGraphLaunch(exec, gpu.stream));
    EQUAL(8, c.download(gpu)[3]);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
}
