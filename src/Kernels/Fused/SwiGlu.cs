using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>A gate that lets a value through: gate·σ(gate)·value (Shazeer, "GLU Variants Improve Transformer", 2020).</summary>
public readonly struct SwiGlu : IFormula2
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T gate, T value)
        where T : unmanaged, IReal<T>
        => gate * T.Sigmoid(gate) * value;
}
