using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels.Interop;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>C = op(A)·op(B) (+ C) with op the identity or the transpose.</summary>
    /// <param name="a">Seen as a matrix of its last dimension, [m, k] ([k, m] if transposed).</param>
    /// <param name="b">[k, n] ([n, k] if transposed).</param>
    /// <param name="c">[m, n].</param>
    /// <param name="bias">[n], added to every row, or null.</param>
    void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias = null, bool accumulate = false);
}

internal sealed unsafe partial class CpuOps
{
    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        Cpu.Gemm.Run(
            team, transposeA, transposeB, m, n, k, Floats(a), a.Shape[-1], Floats(b), b.Shape[-1], Floats(c), n,
            accumulate, bias is null ? null : Floats(bias));
    }
}

internal sealed partial class CudaOps
{
    private Gpu.BiasRelu BiasReluKernels => field ??= new Gpu.BiasRelu(_kernels);

    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        CudaType type = a.DType == DType.Float16 || b.DType == DType.Float16 ? CudaType.Float16 : CudaType.Float32;
        nint left = Operand(a, type, CudaWorkspace.Use.OperandA), right = Operand(b, type, CudaWorkspace.Use.OperandB);
        Multiply(transposeA, transposeB, m, n, k, left, a.Shape[-1], right, b.Shape[-1], type, c.Data, TypeOf(c), accumulate);
        if (bias is not null)
        {
            BiasReluKernels.Run(_stream, m, n, c.Data, bias.Data, relu: false, TypeOf(c));
        }
    }

    /// <summary>Row-major C[m, n] = op(A)·op(B) (+ C), with fp32 sums.</summary>
    private void Multiply(
        bool transposeA, bool transposeB, int m, int n, int k, nint a, int lda, nint b, int ldb, CudaType type, nint c, CudaType typeC,
        bool accumulate) =>
        _cublas.Gemm(transposeA, transposeB, m, n, k, 1, a, type, lda, b, type, ldb, accumulate ? 1 : 0, c, typeC, n);
}

internal sealed partial class ReferenceOps
{
    public void Gemm(Tensor a, bool transposeA, Tensor b, bool transposeB, Tensor c, Tensor? bias, bool accumulate)
    {
        double[] x = Load(a), w = Load(b), y = Load(c);
        double[]? offset = bias is null ? null : Load(bias);
        int m = c.Shape.Rows, n = c.Shape[-1], k = transposeA ? a.Shape.Rows : a.Shape[-1];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = (accumulate ? y[(i * n) + j] : 0) + (offset?[j] ?? 0);
                for (int l = 0; l < k; l++)
                {
                    sum += x[transposeA ? (l * m) + i : (i * k) + l] * w[transposeB ? (j * k) + l : (l * n) + j];
                }

                y[(i * n) + j] = sum;
            }
        }

        Store(c, y);
    }
}
