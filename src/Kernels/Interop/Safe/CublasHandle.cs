using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels.Interop;

/// <summary>Element types of activations and operands.</summary>
public enum CudaType
{
    Float32,
    Float16,
}

/// <summary>cuBLAS on one stream.</summary>
internal sealed unsafe class CublasHandle : CudaOwned
{
    private nint _handle;
    private nint _workspace;

    /// <param name="context">The device's context.</param>
    /// <param name="stream">Where products are queued.</param>
    /// <param name="workspaceBytes">Its scratch memory: our own, so that it allocates nothing while a graph is captured.</param>
    /// <exception cref="CudaException">No memory for the workspace: without it cuBLAS would allocate its own, and a captured graph would
    /// keep that.</exception>
    public CublasHandle(CudaContext context, CudaStream stream, long workspaceBytes)
        : base(context) => Make(() =>
    {
        _workspace = context.TryAllocate(workspaceBytes);
        context.Check(_workspace == 0 ? DriverApi.ErrorOutOfMemory : DriverApi.Success, "cuMemAlloc");
        nint handle;
        Check(CublasApi.cublasCreate_v2(&handle), "cublasCreate");
        _handle = handle;

        // Setting the stream takes the workspace away: this order.
        Check(CublasApi.cublasSetStream_v2(handle, stream.Handle), "cublasSetStream");
        Check(CublasApi.cublasSetWorkspace_v2(handle, _workspace, (nuint)workspaceBytes), "cublasSetWorkspace");

        // No TF32, which the default mode leaves off: single precision means single precision. And partial sums of a product that is split
        // along k are not rounded to half precision in between.
        Check(CublasApi.cublasSetMathMode(handle, CublasApi.DefaultMath | CublasApi.NoReducedPrecisionReduction), "cublasSetMathMode");
    });

    /// <summary>10000·major + 100·minor + patch, or with version 11 on 1000 times the major.</summary>
    public int Version
    {
        get
        {
            int version;
            Check(CublasApi.cublasGetVersion_v2(_handle, &version), "cublasGetVersion");
            return version;
        }
    }

    /// <summary>Row-major C = alpha·op(A)·op(B) + beta·C, with sums in single precision.</summary>
    /// <param name="transposeA">op(A) = Aᵀ.</param>
    /// <param name="transposeB">op(B) = Bᵀ.</param>
    /// <param name="m">Rows of C.</param>
    /// <param name="n">Columns of C.</param>
    /// <param name="k">Length of the sums.</param>
    /// <param name="a">[m, k], or [k, m] if transposed, rows <paramref name="lda"/> elements apart.</param>
    /// <param name="b">[k, n], or [n, k] if transposed; of A's type.</param>
    /// <param name="c">[m, n].</param>
    public void Gemm(
        bool transposeA, bool transposeB, int m, int n, int k, float alpha, nint a, CudaType typeA, int lda, nint b, CudaType typeB,
        int ldb, float beta, nint c, CudaType typeC, int ldc)
    {
        if (m == 0 || n == 0)
        {
            return;
        }

        Context.Use();
        Context.Counters.LibraryCalls++;

        // cuBLAS stores by columns: it computes Cᵀ = op(B)ᵀ·op(A)ᵀ, which lies in memory as C by rows.
        int result = CublasApi.cublasGemmEx(
            _handle, Operation(transposeB), Operation(transposeA), n, m, k, &alpha, b, TypeOf(typeB), ldb, a, TypeOf(typeA), lda, &beta, c,
            TypeOf(typeC), ldc,
            CublasApi.Compute32F, CublasApi.DefaultAlgorithm);
        Check(result, "cublasGemmEx");
        Context.Launched("cublasGemmEx", kernel: null);
    }

    private protected override void Release()
    {
        if (_handle != 0)
        {
            _ = CublasApi.cublasDestroy_v2(_handle);
        }

        if (_workspace != 0)
        {
            Context.Free(_workspace);
        }
    }

    private static int Operation(bool transpose) => transpose ? CublasApi.OperationTranspose : CublasApi.OperationNone;

    private static int TypeOf(CudaType type) => type == CudaType.Float32 ? CublasApi.Single : CublasApi.Half;

    private void Check(int status, string call)
    {
        if (status != 0)
        {
            Throw(status, call);
        }
    }

    private void Throw(int status, string call) => throw Context.LibraryFailed(
        call, status, "cuBLAS", Marshal.PtrToStringUTF8((nint)CublasApi.cublasGetStatusString(status))
            ?? string.Empty, status == CublasApi.ExecutionFailed);
}
