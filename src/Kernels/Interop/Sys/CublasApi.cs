using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>cuBLAS as in cublas_v2.h; results are <c>cublasStatus_t</c>.</summary>
internal static unsafe partial class CublasApi
{
    public const string Library = "cublas";

    public const int OperationNone = 0;
    public const int OperationTranspose = 1;
    public const int DefaultMath = 0;

    /// <summary>CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION.</summary>
    public const int NoReducedPrecisionReduction = 16;

    /// <summary>CUBLAS_STATUS_EXECUTION_FAILED.</summary>
    public const int ExecutionFailed = 13;

    /// <summary>CUDA_R_32F, CUDA_R_16F of library_types.h.</summary>
    public const int Single = 0;
    public const int Half = 2;

    /// <summary>CUBLAS_COMPUTE_32F: products and sums in single precision, tensor cores for half-precision operands.</summary>
    public const int Compute32F = 68;

    /// <summary>CUBLAS_GEMM_DEFAULT.</summary>
    public const int DefaultAlgorithm = -1;

    [LibraryImport(Library)]
    public static partial int cublasCreate_v2(nint* handle);

    [LibraryImport(Library)]
    public static partial int cublasDestroy_v2(nint handle);

    [LibraryImport(Library)]
    public static partial int cublasSetStream_v2(nint handle, nint stream);

    [LibraryImport(Library)]
    public static partial int cublasSetWorkspace_v2(nint handle, nint workspace, nuint bytes);

    [LibraryImport(Library)]
    public static partial int cublasSetMathMode(nint handle, int mode);

    [LibraryImport(Library)]
    public static partial int cublasGetVersion_v2(nint handle, int* version);

    [LibraryImport(Library)]
    public static partial int cublasGemmEx(
        nint handle, int transposeA, int transposeB, int m, int n, int k, void* alpha, nint a, int typeA, int lda, nint b, int typeB,
        int ldb, void* beta, nint c, int typeC, int ldc, int computeType, int algorithm);

    [LibraryImport(Library)]
    public static partial byte* cublasGetStatusString(int status);
}
