namespace CudaTrainer.Kernels.Fused;

/// <summary>How an operand spreads over the elements of the output, seen as rows of columns.</summary>
public enum OperandSpread
{
    /// <summary>An element for each of the output's.</summary>
    Whole,

    /// <summary>One for each column.</summary>
    Column,

    /// <summary>One for each row.</summary>
    Row,

    /// <summary>One for all.</summary>
    Scalar,
}

/// <summary>An operand, or where its gradient goes.</summary>
/// <param name="Data">Null for a gradient that nobody wants.</param>
/// <param name="IsHalf">Half precision, else single.</param>
/// <param name="Adds">Of a gradient: whether it is added to what is there.</param>
internal readonly record struct FusedOperand(nint Data, OperandSpread Spread, bool IsHalf, bool Adds = false);

/// <summary>
/// The output as a matrix. Where no operand goes by columns or rows, its elements are rows of <see cref="FlatColumns"/>, the last of which
/// may be shorter.
/// </summary>
internal readonly record struct FusedShape(long Count, int Columns)
{
    /// <summary>Columns that the elements of an output without rows are taken for.</summary>
    public const int FlatColumns = 4096;

    public int Rows => Columns == 0 ? 0 : checked((int)((Count + Columns - 1) / Columns));

    public int ColumnsOf(int row) => (int)Math.Min(Columns, Count - ((long)row * Columns));
}
