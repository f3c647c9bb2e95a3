using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>sums[j] += Σ over rows of x[i, j].</summary>
    /// <param name="x">[rows, columns].</param>
    /// <param name="sums">[columns].</param>
    void AddColumnSums(Tensor x, Tensor sums);
}

internal sealed unsafe partial class CpuOps
{
    public void AddColumnSums(Tensor x, Tensor sums) =>
        Cpu.ColumnSum.Accumulate(team, x.Shape.Rows, x.Shape[-1], Floats(x), x.Shape[-1], Floats(sums));
}

internal sealed partial class CudaOps
{
    private Gpu.ColumnSums ColumnSumKernels => field ??= new Gpu.ColumnSums(_kernels);

    public void AddColumnSums(Tensor x, Tensor sums) =>
        ColumnSumKernels.Run(_stream, x.Shape.Rows, x.Shape[-1], x.Data, sums.Data, TypeOf(x));
}

internal sealed partial class ReferenceOps
{
    public void AddColumnSums(Tensor x, Tensor sums)
    {
        double[] values = Load(x), total = Load(sums);
        for (int i = 0; i < values.Length; i++)
        {
            total[i % total.Length] += values[i];
        }

        Store(sums, total);
    }
}
