using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>x·σ(x), also called swish (Elfwing, Uchibe and Doya, 2017).</summary>
public readonly struct Silu : IFormula1
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => x * T.Sigmoid(x);
}
