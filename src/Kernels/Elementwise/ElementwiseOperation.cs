namespace CudaTrainer.Kernels;

/// <summary>What the elementwise kernel computes.</summary>
public enum ElementwiseOperation
{
    /// <summary>y = a + b.</summary>
    Add,

    /// <summary>y = c·a.</summary>
    Scale,

    /// <summary>y += c·a.</summary>
    Accumulate,
}
