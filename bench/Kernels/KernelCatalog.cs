using CudaTrainer.Engine.Nn;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Bench.Kernels;

/// <summary>Every kernel that takes time in extraction or training, at the model's shapes.</summary>
internal static class KernelCatalog
{
    private static readonly KernelCase[] All =
    [
        .. GemmKernels.All,
        .. ConvKernels.All,
        .. RecurrentKernels.All,
        .. new ModelOps(RecurrentKernels.Batch, RecurrentKernels.Time, Vgg19.Features).Others(DType.Float32).Select(OpKernel.Case),
    ];

    /// <summary>Those whose name has <paramref name="part"/> in it, whatever its case.</summary>
    public static IEnumerable<KernelCase> Matching(string part) =>
        All.Where(kernel => kernel.ToString().Contains(part, StringComparison.OrdinalIgnoreCase));
}
