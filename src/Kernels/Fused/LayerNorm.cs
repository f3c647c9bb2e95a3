using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// (x − mean) / √(variance + ε) · scale + shift, with mean and variance of the row (Ba, Kiros and Hinton, 2016): operands x, scale
/// and shift by channel.
/// </summary>
public readonly record struct LayerNorm(float Epsilon) : IRowFormula, IFormulaExample<LayerNorm>
{
    public static LayerNorm Example => new(1e-5f);

    public static int Operands => 3;

    public static int Sums => 2;

    public static bool NeedsMaximum => false;

    public static bool IsPerRow => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => sum == 0 ? x.A : (x.A - row.First) * (x.A - row.First);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => sum == 0 ? total / count : T.ReciprocalSqrt((total / count) + Epsilon);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => ((x.A - row.First) * row.Second * x.B) + x.C;
}
