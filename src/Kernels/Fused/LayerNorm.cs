using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// (x − mean) / √(variance + ε) · scale + shift, with mean and variance of the row (Ba, Kiros and Hinton, 2016): operands x, scale and
/// shift by channel.
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
        => sum == 0 ? x.A : Centred(x.A, row) * Centred(x.A, row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => (Centred(x.A, row) * T.ReciprocalSqrt((row.Second / row.Count) + Epsilon) * x.B) + x.C;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Centred<T>(T x, Row<T> row)
        where T : unmanaged, IReal<T>
        => x - (row.First / row.Count);
}
