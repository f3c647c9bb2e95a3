using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>
/// A value with its derivative along one operand: a formula computed with it computes its own derivative (forward-mode differentiation; W.
/// K. Clifford's dual numbers).
/// </summary>
/// <remarks>
/// A number that does not depend on the operand says so (<see cref="Varies"/>) rather than having the slope 0, because 0·∞ would make a
/// NaN that the true derivative has not. Which numbers vary follows from the formula alone, so that compilers leave the rest out. Fields
/// and calls without detours: a compiler that has to look through too many stops inlining.
/// </remarks>
internal readonly struct Dual<TMath, TValue> : IReal<Dual<TMath, TValue>>
    where TMath : struct, IRealMath<TValue>
    where TValue : unmanaged
{
    public readonly TValue Value;

    /// <summary>The derivative; nothing where the number does not vary.</summary>
    public readonly TValue Slope;

    public readonly bool Varies;

    /// <summary>A number that varies.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual(TValue value, TValue slope)
    {
        Value = value;
        Slope = slope;
        Varies = true;
    }

    /// <summary>A number that does not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Dual(TValue value)
    {
        Value = value;
        Slope = default;
        Varies = false;
    }

    /// <summary>What a gradient of this number passes back: nothing, even of an infinite one, to what it does not depend on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TValue PassBack(TValue gradient) => Varies ? TMath.Multiply(gradient, Slope) : TMath.Set(0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator Dual<TMath, TValue>(float constant) => new(TMath.Set(constant));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> operator +(Dual<TMath, TValue> left, Dual<TMath, TValue> right)
    {
        TValue value = TMath.Add(left.Value, right.Value);
        return left.Varies && right.Varies ? new(value, TMath.Add(left.Slope, right.Slope))
            : left.Varies ? new(value, left.Slope)
            : right.Varies ? new(value, right.Slope)
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> operator -(Dual<TMath, TValue> left, Dual<TMath, TValue> right)
    {
        TValue value = TMath.Subtract(left.Value, right.Value);
        return left.Varies && right.Varies ? new(value, TMath.Subtract(left.Slope, right.Slope))
            : left.Varies ? new(value, left.Slope)
            : right.Varies ? new(value, TMath.Negate(right.Slope))
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> operator -(Dual<TMath, TValue> value) =>
        value.Varies ? new(TMath.Negate(value.Value), TMath.Negate(value.Slope)) : new(TMath.Negate(value.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> operator *(Dual<TMath, TValue> left, Dual<TMath, TValue> right)
    {
        TValue value = TMath.Multiply(left.Value, right.Value);
        return left.Varies && right.Varies
            ? new(value, TMath.Add(TMath.Multiply(left.Slope, right.Value), TMath.Multiply(left.Value, right.Slope)))
            : left.Varies ? new(value, TMath.Multiply(left.Slope, right.Value))
            : right.Varies ? new(value, TMath.Multiply(left.Value, right.Slope))
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> operator /(Dual<TMath, TValue> left, Dual<TMath, TValue> right)
    {
        TValue value = TMath.Divide(left.Value, right.Value);
        return left.Varies && right.Varies
            ? new(value, TMath.Divide(TMath.Subtract(left.Slope, TMath.Multiply(value, right.Slope)), right.Value))
            : left.Varies ? new(value, TMath.Divide(left.Slope, right.Value))
            : right.Varies ? new(value, TMath.Divide(TMath.Negate(TMath.Multiply(value, right.Slope)), right.Value))
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Max(Dual<TMath, TValue> a, Dual<TMath, TValue> b)
    {
        TValue value = TMath.Max(a.Value, b.Value);
        return a.Varies || b.Varies ? new(value, TMath.SelectGreater(a.Value, b.Value, SlopeOf(a), SlopeOf(b))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Min(Dual<TMath, TValue> a, Dual<TMath, TValue> b)
    {
        TValue value = TMath.Min(a.Value, b.Value);
        return a.Varies || b.Varies ? new(value, TMath.SelectGreater(b.Value, a.Value, SlopeOf(a), SlopeOf(b))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> SelectGreater(
        Dual<TMath, TValue> a, Dual<TMath, TValue> b, Dual<TMath, TValue> whenGreater, Dual<TMath, TValue> otherwise)
    {
        TValue value = TMath.SelectGreater(a.Value, b.Value, whenGreater.Value, otherwise.Value);
        return whenGreater.Varies || otherwise.Varies
            ? new(value, TMath.SelectGreater(a.Value, b.Value, SlopeOf(whenGreater), SlopeOf(otherwise)))
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Relu(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Relu(x.Value);
        return x.Varies ? new(value, TMath.SelectGreater(x.Value, TMath.Set(0), x.Slope, TMath.Set(0))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Abs(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Abs(x.Value);
        return x.Varies ? new(value, TMath.SelectGreater(x.Value, TMath.Set(0), x.Slope, TMath.Negate(x.Slope))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Sqrt(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Sqrt(x.Value);
        return x.Varies ? new(value, TMath.Divide(TMath.Multiply(x.Slope, TMath.Set(0.5f)), value)) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> ReciprocalSqrt(Dual<TMath, TValue> x)
    {
        TValue value = TMath.ReciprocalSqrt(x.Value);
        return x.Varies ? new(value, TMath.Divide(TMath.Multiply(TMath.Multiply(x.Slope, TMath.Set(-0.5f)), value), x.Value)) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Exp(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Exp(x.Value);
        return x.Varies ? new(value, TMath.Multiply(x.Slope, value)) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Log(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Log(x.Value);
        return x.Varies ? new(value, TMath.Divide(x.Slope, x.Value)) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Log1p(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Log1p(x.Value);
        return x.Varies ? new(value, TMath.Divide(x.Slope, TMath.Add(TMath.Set(1), x.Value))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Tanh(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Tanh(x.Value);
        return x.Varies ? new(value, TMath.Multiply(x.Slope, TMath.Subtract(TMath.Set(1), TMath.Multiply(value, value)))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Sigmoid(Dual<TMath, TValue> x)
    {
        TValue value = TMath.Sigmoid(x.Value);
        return x.Varies ? new(value, TMath.Multiply(x.Slope, TMath.Subtract(value, TMath.Multiply(value, value)))) : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Erf(Dual<TMath, TValue> x)
    {
        const float TwoBySqrtPi = 1.12837917f;
        TValue value = TMath.Erf(x.Value);
        if (!x.Varies)
        {
            return new(value);
        }

        TValue bell = TMath.Exp(TMath.Negate(TMath.Multiply(x.Value, x.Value)));
        return new(value, TMath.Multiply(x.Slope, TMath.Multiply(TMath.Set(TwoBySqrtPi), bell)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Dual<TMath, TValue> Pow(Dual<TMath, TValue> x, Dual<TMath, TValue> y)
    {
        TValue value = TMath.Pow(x.Value, y.Value);
        return x.Varies && y.Varies ? new(value, TMath.Add(SlopeOfBase(x, y), SlopeOfExponent(x, y, value)))
            : x.Varies ? new(value, SlopeOfBase(x, y))
            : y.Varies ? new(value, SlopeOfExponent(x, y, value))
            : new(value);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TValue SlopeOf(Dual<TMath, TValue> x) => x.Varies ? x.Slope : TMath.Set(0);

    /// <summary>x′·y·xʸ⁻¹.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TValue SlopeOfBase(Dual<TMath, TValue> x, Dual<TMath, TValue> y) =>
        TMath.Multiply(x.Slope, TMath.Multiply(y.Value, TMath.Pow(x.Value, TMath.Subtract(y.Value, TMath.Set(1)))));

    /// <summary>y′·xʸ·ln x, and 0 for x = 0, where the limit is that for every y &gt; 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TValue SlopeOfExponent(Dual<TMath, TValue> x, Dual<TMath, TValue> y, TValue power) => TMath.SelectGreater(
        x.Value, TMath.Set(0), TMath.Multiply(y.Slope, TMath.Multiply(power, TMath.Log(x.Value))), TMath.Set(0));
}
