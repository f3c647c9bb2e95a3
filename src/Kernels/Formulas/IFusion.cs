using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>Something for each of the up to four operands of a formula.</summary>
public struct Operands<T>
    where T : unmanaged
{
    /// <summary>The most operands that a formula has.</summary>
    public const int Most = 4;

    public T A;
    public T B;
    public T C;
    public T D;

    public static Operands<T> Of(T a, T b, T c, T d)
    {
        Operands<T> operands = default;
        operands.A = a;
        operands.B = b;
        operands.C = c;
        operands.D = d;
        return operands;
    }
}

/// <summary>A formula of any number of operands, as kernels see it.</summary>
public interface IFusion
{
    /// <summary>How many operands it has.</summary>
    static abstract int Count { get; }

    /// <summary>The structure that the author wrote.</summary>
    static abstract Type Formula { get; }

    /// <summary>Operands that the formula has not are ignored.</summary>
    T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>;

    /// <summary>∂f along operand number <paramref name="operand"/>, which is a constant wherever this is called.</summary>
    TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged;
}

/// <summary>The derivatives that formulas compute of themselves.</summary>
internal static class Derivative
{
    /// <inheritdoc cref="IFusion.Slope"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Of<TFusion, TMath, TValue>(TFusion fusion, TValue a, TValue b, TValue c, TValue d, int operand)
        where TFusion : unmanaged, IFusion
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
    {
        Dual<TMath, TValue> y = fusion.Forward<Dual<TMath, TValue>>(
            operand == 0 ? new(a, TMath.Set(1)) : new(a),
            operand == 1 ? new(b, TMath.Set(1)) : new(b),
            operand == 2 ? new(c, TMath.Set(1)) : new(c),
            operand == 3 ? new(d, TMath.Set(1)) : new(d));
        return y.Varies ? y.Slope : TMath.Set(0);
    }
}

/// <summary>A formula of one operand.</summary>
public readonly struct Fusion1<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula1
{
    public static int Count => 1;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>
        => formula.Forward(a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion1<TFormula>, TMath, TValue>(this, a, b, c, d, operand);
}

/// <summary>A formula of two operands.</summary>
public readonly struct Fusion2<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula2
{
    public static int Count => 2;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion2<TFormula>, TMath, TValue>(this, a, b, c, d, operand);
}

/// <summary>A formula of three operands.</summary>
public readonly struct Fusion3<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula3
{
    public static int Count => 3;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion3<TFormula>, TMath, TValue>(this, a, b, c, d, operand);
}

/// <summary>A formula of four operands.</summary>
public readonly struct Fusion4<TFormula>(TFormula formula) : IFusion
    where TFormula : unmanaged, IFormula4
{
    public static int Count => 4;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>
        => formula.Forward(a, b, c, d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
        => Derivative.Of<Fusion4<TFormula>, TMath, TValue>(this, a, b, c, d, operand);
}

/// <summary>A formula with the slopes that its author wrote.</summary>
public readonly struct ByHand<TFusion, TFormula>(TFusion fusion, TFormula formula) : IFusion
    where TFusion : unmanaged, IFusion
    where TFormula : unmanaged, IFormulaSlopes
{
    public static int Count => TFusion.Count;

    public static Type Formula => typeof(TFormula);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Forward<T>(T a, T b, T c, T d)
        where T : unmanaged, IReal<T>
        => fusion.Forward(a, b, c, d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue Slope<TMath, TValue>(TValue a, TValue b, TValue c, TValue d, int operand)
        where TMath : struct, IRealMath<TValue>
        where TValue : unmanaged
    {
        Operands<Real<TMath, TValue>> slopes = formula.Slopes<Real<TMath, TValue>>(new(a), new(b), new(c), new(d));
        return operand == 0 ? slopes.A.Value : operand == 1 ? slopes.B.Value : operand == 2 ? slopes.C.Value : slopes.D.Value;
    }
}
