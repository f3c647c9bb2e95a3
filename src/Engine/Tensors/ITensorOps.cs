namespace CudaTrainer.Engine.Tensors;

/// <summary>The ops that tensors and tapes themselves call. All others extend it, in <c>Ops.IOps</c>.</summary>
public interface ITensorOps
{
    /// <summary>y = x converted between floating-point types.</summary>
    void Cast(Tensor x, Tensor y);

    /// <summary>y += x, elementwise.</summary>
    void Accumulate(Tensor x, Tensor y);
}
