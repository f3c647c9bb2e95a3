namespace CudaTrainer.Kernels.Formulas;

/// <summary>A formula with options that says with which ones it is to be checked and timed; others are taken with every field 0.</summary>
/// <typeparam name="TSelf">The formula.</typeparam>
public interface IFormulaExample<TSelf>
    where TSelf : unmanaged, IFormulaExample<TSelf>
{
    static abstract TSelf Example { get; }
}

/// <summary>
/// Where an operand of a formula lies, on the parameter of its Forward, or on a formula of rows or several outputs: operands are drawn
/// from there where the formula is checked or timed, elsewhere from the standard normal distribution.
/// </summary>
[AttributeUsage(AttributeTargets.Parameter | AttributeTargets.Struct, AllowMultiple = true)]
public sealed class BetweenAttribute(float least, float most) : Attribute
{
    /// <summary>On a formula whose operands are no parameters: the number of the operand, from 0.</summary>
    public int Operand { get; init; }

    public float Least => least;

    public float Most => most;
}
