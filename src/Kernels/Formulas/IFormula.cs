namespace CudaTrainer.Kernels.Formulas;

/// <summary>
/// y = f(x), element by element: the formula of a fused op of one operand. A structure without references; its fields are options, the
/// same for every element.
/// </summary>
public interface IFormula1
{
    T Forward<T>(T x)
        where T : unmanaged, IReal<T>;
}

/// <summary>y = f(a, b), element by element, as <see cref="IFormula1"/>.</summary>
public interface IFormula2
{
    T Forward<T>(T a, T b)
        where T : unmanaged, IReal<T>;
}

/// <summary>y = f(a, b, c), element by element, as <see cref="IFormula1"/>.</summary>
public interface IFormula3
{
    T Forward<T>(T a, T b, T c)
        where T : unmanaged, IReal<T>;
}

/// <summary>y = f(a, b, c, d), element by element, as <see cref="IFormula1"/>.</summary>
public interface IFormula4
{
    T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>;
}

/// <summary>y₀ = f₀(operands), y₁ = f₁(operands), …, element by element, as <see cref="IFormula1"/>: several outputs of the same
/// operands.</summary>
public interface IMultiOutputFormula
{
    /// <summary>How many operands it has, up to four.</summary>
    static abstract int Operands { get; }

    /// <summary>How many outputs it has, up to four.</summary>
    static abstract int Outputs { get; }

    /// <param name="output">The number of the output, from 0; a constant wherever this is called.</param>
    T Forward<T>(int output, Operands<T> x)
        where T : unmanaged, IReal<T>;
}
