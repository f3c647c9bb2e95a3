using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>Something for each of the up to four operands, or outputs, of a formula.</summary>
public struct Operands<T>
    where T : unmanaged
{
    /// <summary>The most operands that a formula has.</summary>
    public const int Most = 4;

    public T A;
    public T B;
    public T C;
    public T D;

    public static Operands<T> Of(T a, T b = default, T c = default, T d = default)
    {
        Operands<T> operands = default;
        operands.A = a;
        operands.B = b;
        operands.C = c;
        operands.D = d;
        return operands;
    }

    /// <param name="index">From 0.</param>
    public readonly T At(int index) => index switch
    {
        0 => A,
        1 => B,
        2 => C,
        _ => D,
    };
}

/// <summary>A formula of any number of operands, of elements or of rows, as kernels see it.</summary>
internal interface IFusion
{
    /// <summary>The part of a fusion that is its output, of several the first. Part number k is, of a formula of rows, what an element
    /// adds to the k-th sum of its row; of one of elements, output number k.</summary>
    const int Output = 0;

    /// <summary>Part <see cref="Finished"/> + k is what becomes of the k-th sum, which stands in place of the first operand.</summary>
    const int Finished = Row<float>.MostSums;

    /// <summary>How many operands it has.</summary>
    static abstract int Count { get; }

    /// <summary>How many outputs it has; a formula of rows has one.</summary>
    static virtual int Outputs => 1;

    /// <summary>As <see cref="IRowFormula.Sums"/>; none for formulas of elements.</summary>
    static virtual int Sums => 0;

    /// <inheritdoc cref="IRowFormula.NeedsMaximum"/>
    static virtual bool NeedsMaximum => false;

    /// <inheritdoc cref="IRowFormula.IsPerRow"/>
    static virtual bool IsPerRow => false;

    /// <summary>The structure that the author wrote.</summary>
    static abstract Type Formula { get; }

    /// <summary>Operands that the formula has not are ignored, and so is the row by a formula of elements.</summary>
    /// <param name="part"><see cref="Output"/>, the number of a sum or of another output, or that of a sum and <see cref="Finished"/>; a
    /// constant wherever this is called.</param>
    T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>;

    /// <summary>∂<see cref="Value"/> along an operand or a sum.</summary>
    /// <param name="part">As in <see cref="Value"/>.</param>
    /// <param name="along">The number of an operand, or <see cref="Operands{T}.Most"/> and more for the sums; a constant, too.</param>
    /// <returns>With the slope; the value may be missing.</returns>
    Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged;
}

/// <summary>The derivatives that formulas compute of themselves.</summary>
internal static class Derivative
{
    /// <summary>Of a formula of elements.</summary>
    /// <inheritdoc cref="IFusion.Slope"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Of<TFusion, TMath, TValue>(
        TFusion fusion, int part, TValue a, TValue b, TValue c, TValue d, int along)
        where TFusion : unmanaged, IFusion
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
    {
        return fusion.Value<Dual<TMath, TValue>>(
            part,
            along == 0 ? new(a, TMath.Set(1)) : new(a),
            along == 1 ? new(b, TMath.Set(1)) : new(b),
            along == 2 ? new(c, TMath.Set(1)) : new(c),
            along == 3 ? new(d, TMath.Set(1)) : new(d),
            default);
    }

    /// <summary>Of a formula of rows.</summary>
    /// <inheritdoc cref="IFusion.Slope"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Of<TFusion, TMath, TValue>(
        TFusion fusion, int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TFusion : unmanaged, IFusion
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
    {
        Row<Dual<TMath, TValue>> sums = default;
        sums.Maximum = along == Dependence.Maximum ? new(row.Maximum, TMath.Set(1)) : new(row.Maximum);
        sums.First = along == Operands<TValue>.Most ? new(row.First, TMath.Set(1)) : new(row.First);
        sums.Second = along == Operands<TValue>.Most + 1 ? new(row.Second, TMath.Set(1)) : new(row.Second);
        sums.Third = along == Operands<TValue>.Most + 2 ? new(row.Third, TMath.Set(1)) : new(row.Third);
        sums.Count = new(row.Count);
        return fusion.Value<Dual<TMath, TValue>>(
            part,
            along == 0 ? new(a, TMath.Set(1)) : new(a),
            along == 1 ? new(b, TMath.Set(1)) : new(b),
            along == 2 ? new(c, TMath.Set(1)) : new(c),
            along == 3 ? new(d, TMath.Set(1)) : new(d),
            sums);
    }
}

/// <summary>A formula of one operand.</summary>
internal readonly struct Fusion1<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula1
{
    public static int Count => 1;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => formula.Forward(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion1<TFormula>, TMath, TValue>(this, part, a, b, c, d, along);
}

/// <summary>A formula of two operands.</summary>
internal readonly struct Fusion2<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula2
{
    public static int Count => 2;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion2<TFormula>, TMath, TValue>(this, part, a, b, c, d, along);
}

/// <summary>A formula of three operands.</summary>
internal readonly struct Fusion3<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula3
{
    public static int Count => 3;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion3<TFormula>, TMath, TValue>(this, part, a, b, c, d, along);
}

/// <summary>A formula of four operands.</summary>
internal readonly struct Fusion4<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula4
{
    public static int Count => 4;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b, c, d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion4<TFormula>, TMath, TValue>(this, part, a, b, c, d, along);
}

/// <summary>A formula of several outputs.</summary>
internal readonly struct MultiOutputFusion<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IMultiOutputFormula
{
    public static int Count => TFormula.Operands;

    public static int Outputs => TFormula.Outputs;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => formula.Forward(part, Operands<T>.Of(a, b, c, d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<MultiOutputFusion<TFormula>, TMath, TValue>(this, part, a, b, c, d, along);
}

/// <summary>A formula with the slopes that its author wrote.</summary>
internal readonly struct ByHand<TFusion, TFormula>(TFusion fusion, TFormula formula) : IFusion
    where TFusion : unmanaged, IFusion
    where TFormula : unmanaged, IFormulaSlopes
{
    public static int Count => TFusion.Count;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
        => fusion.Value(part, a, b, c, d, row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
    {
        Operands<Real<TMath, TValue>> slopes = formula.Slopes<Real<TMath, TValue>>(new(a), new(b), new(c), new(d));
        return new(
            default, along == 0 ? slopes.A.Value : along == 1 ? slopes.B.Value : along == 2 ? slopes.C.Value : slopes.D.Value);
    }
}

/// <summary>A formula of rows.</summary>
internal readonly struct RowFusion<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IRowFormula
{
    public static int Count => TFormula.Operands;

    public static int Sums => TFormula.Sums;

    public static bool NeedsMaximum => TFormula.NeedsMaximum;

    public static bool IsPerRow => TFormula.IsPerRow;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Value<T>(int part, T a, T b, T c, T d, Row<T> row)
        where T : unmanaged, IReal<T>
    {
        Operands<T> x = Operands<T>.Of(a, b, c, d);
        return part == IFusion.Output ? formula.Forward(x, row)
            : part <= IFusion.Finished ? formula.Term(part - 1, x, row)
            : formula.Finish(part - IFusion.Finished - 1, a, row.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual<TMath, TValue> Slope<TMath, TValue>(int part, TValue a, TValue b, TValue c, TValue d, Row<TValue> row, int along)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<RowFusion<TFormula>, TMath, TValue>(this, part, a, b, c, d, row, along);
}
