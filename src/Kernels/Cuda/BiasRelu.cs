using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>What follows a matrix product: a bias for every row, and a ReLU where asked, in place.</summary>
public sealed class BiasRelu(KernelLibrary library)
{
    private readonly TypedKernel _kernel = new(library, "bias_relu.cu", "bias_relu");

    /// <param name="stream">Where to queue.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="x">[rows, columns] of <paramref name="type"/>, updated.</param>
    /// <param name="bias">[columns], float.</param>
    /// <param name="relu">Whether to clamp at 0 afterwards; NaN stays NaN.</param>
    /// <param name="type">Type of x.</param>
    public void Run(CudaStream stream, long rows, int columns, nint x, nint bias, bool relu, CudaType type)
    {
        if (rows * columns == 0)
        {
            return;
        }

        int aligned = columns % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(x) : 0;
        long groups = rows * LaunchSize.DivideUp(columns, LaunchSize.Lanes(type));
        var arguments = new KernelArguments();
        arguments.Add(rows);
        arguments.Add(columns);
        arguments.Add(x);
        arguments.Add(bias);
        arguments.Add(relu ? 1 : 0);
        arguments.Add(aligned);
        _kernel[type].Launch(stream, LaunchSize.Strided(groups), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
