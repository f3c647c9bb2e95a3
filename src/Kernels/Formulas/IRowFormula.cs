namespace CudaTrainer.Kernels.Formulas;

/// <summary>What a formula of rows knows of the row that an element lies in.</summary>
public struct Row<T>
    where T : unmanaged
{
    /// <summary>The most sums that a formula has.</summary>
    public const int MostSums = 3;

    /// <summary>The largest number of the first operand; 0 for formulas that do not ask for it.</summary>
    public T Maximum;

    /// <summary>What has become of the sums, each over the terms of its number: a term may use those before it.</summary>
    public T First;

    /// <inheritdoc cref="First"/>
    public T Second;

    /// <inheritdoc cref="First"/>
    public T Third;

    /// <summary>Elements of the row.</summary>
    public T Count;
}

/// <summary>
/// The formula of a fused op that needs sums over the last axis first, such as softmax or a normalisation: y = f(operands, sums of their
/// row). A structure without references; its fields are options, the same for every element.
/// </summary>
public interface IRowFormula
{
    /// <summary>How many operands it has, up to four.</summary>
    static abstract int Operands { get; }

    /// <summary>How many sums it needs, from one to three.</summary>
    static abstract int Sums { get; }

    /// <summary>
    /// Whether it needs <see cref="Row{T}.Maximum"/>, which keeps exponentials in range. It counts as a constant, so that y must not depend
    /// on it: e^(x − m) / Σ e^(x − m) does not. <c>gradcheck</c> finds where it does.
    /// </summary>
    static abstract bool NeedsMaximum { get; }

    /// <summary>Whether y is one number for each row, such as a loss, rather than one for each element.</summary>
    static abstract bool IsPerRow { get; }

    /// <summary>What an element adds to a sum.</summary>
    /// <param name="sum">0 for <see cref="Row{T}.First"/>, 1 and 2 for the others; a constant wherever this is called.</param>
    T Term<T>(int sum, Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>;

    /// <summary>What becomes of a sum, once for each row: a mean, the reciprocal of a deviation, or the sum itself.</summary>
    /// <param name="sum">As in <see cref="Term"/>.</param>
    /// <param name="count">Elements of the row.</param>
    T Finish<T>(int sum, T total, T count)
        where T : unmanaged, IReal<T>;

    /// <summary>y; for one number a row of the row alone, since <paramref name="x"/> is then 0.</summary>
    T Forward<T>(Operands<T> x, Row<T> row)
        where T : unmanaged, IReal<T>;
}
