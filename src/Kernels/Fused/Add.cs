using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>a + b.</summary>
public readonly struct Add : IFormula2
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>
        => a + b;
}
