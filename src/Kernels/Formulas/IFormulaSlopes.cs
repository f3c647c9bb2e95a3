namespace CudaTrainer.Kernels.Formulas;

/// <summary>
/// A formula whose author knows a cheaper derivative than the one that it computes of itself on dual numbers. <c>gradcheck</c> compares it
/// with differences all the same.
/// </summary>
public interface IFormulaSlopes
{
    /// <returns>∂f along each operand; those that the formula has not are ignored.</returns>
    Operands<T> Slopes<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>;
}
