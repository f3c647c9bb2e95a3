using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// −Σ t·log softmax(x) of each row: operands x, the logits, and the wanted probabilities t, of any number of classes.
/// </summary>
public readonly struct SoftmaxCrossEntropy : IRowFormula
{
    public static int Operands => 2;

    public static int Sums => 3;

    public static bool NeedsMaximum => true;

    public static bool IsPerRow => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => sum == 0 ? T.Exp(x.A - row.Maximum)
            : sum == 1 ? x.B * (x.A - row.Maximum)
            : x.B;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => total;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
        => (row.Third * T.Log(row.First)) - row.Second;
}
