using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Formulas;

namespace CudaTrainer.Kernels.Fused;

/// <summary>
/// −(1 − p)^γ · log p of each row, where p = Σ t·softmax(x) is the probability of the class that the one-hot t names (Lin et al., 2017):
/// operands x, the logits, and t, of any number of classes.
/// </summary>
[Between(0.1f, 0.9f, Operand = 1)]
public readonly record struct SoftmaxFocal(float Gamma) : IRowFormula, IFormulaExample<SoftmaxFocal>
{
    public static SoftmaxFocal Example => new(2);

    public static int Operands => 2;

    public static int Sums => 2;

    public static bool NeedsMaximum => true;

    public static bool IsPerRow => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
    {
        T power = T.Exp(x.A - row.Maximum);
        return sum == 0 ? power : x.B * power;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>
        => total;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>
    {
        T p = row.Second / row.First;
        return -T.Pow(1f - p, Gamma) * T.Log(p);
    }
}
