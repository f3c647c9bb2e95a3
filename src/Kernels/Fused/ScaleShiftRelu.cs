using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>max(0, s·x + t), for example with a scale and a shift for each channel.</summary>
public readonly struct ScaleShiftRelu : IFormula3
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T x, T s, T t)
        where T : unmanaged, IReal<T>
        => T.Relu((s * x) + t);
}
