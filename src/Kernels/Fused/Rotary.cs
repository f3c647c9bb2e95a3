using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// Pairs of numbers turned by angles: x·cos − y·sin and x·sin + y·cos, as positions are told to attention (Su et al., "RoFormer", 2021).
/// The operands are x, y, cos and sin.
/// </summary>
public readonly struct Rotary : IMultiOutputFormula
{
    public static int Operands => 4;

    public static int Outputs => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(int output, Operands<T> x)
        where T : unmanaged, IReal<T>
        => output == 0 ? (x.A * x.C) - (x.B * x.D) : (x.A * x.D) + (x.B * x.C);
}
