using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// −(1 − p)^γ · log p of each row, where log p = Σ t·log softmax(x), the probability of the class that the one-hot t names (Lin et
/// al., 2017): operands x, the logits, and t, of any number of classes.
/// </summary>
[Between(0.01f, 0.05f, Operand = 1)]
public readonly record struct SoftmaxFocal(float Gamma) : IRowFormula, IFormulaExample<SoftmaxFocal>
{
    public static SoftmaxFocal Example => new(2);

    public static int Operands => 2;

    public static int Sums => 3;

    public static bool NeedsMaximum => true;

    public static bool IsPerRow => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
    {
        T logit = x.A - row.Maximum;
        return sum == 0 ? T.Exp(logit) : sum == 1 ? x.B * logit : x.B;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => total;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
    {
        // A p that rounds to 1 leaves no power of 0, whose slope may be infinite.
        T log = row.Second - (row.Third * T.Log(row.First));
        return -T.Pow(T.Max(1f - T.Exp(log), 1e-7f), Gamma) * log;
    }
}
