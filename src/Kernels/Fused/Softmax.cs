using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>eˣ / Σ eˣ over the row.</summary>
public readonly struct Softmax : IRowFormula
{
    public static int Operands => 1;

    public static int Sums => 1;

    public static bool NeedsMaximum => true;

    public static bool IsPerRow => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => T.Exp(x.A - row.Maximum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => 1f / total;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => T.Exp(x.A - row.Maximum) * row.First;
}
