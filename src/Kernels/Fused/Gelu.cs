using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>x·Φ(x), with the distribution function Φ of the normal distribution (Hendrycks and Gimpel, 2016).</summary>
public readonly struct Gelu : IFormula1
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T x)
        where T : unmanaged, IReal<T>
        => 0.5f * x * (1f + T.Erf(0.70710678f * x));
}
