using System.Runtime.CompilerServices;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>A number without its derivative.</summary>
internal readonly struct Real<TMath, TValue>(TValue value) : IReal<Real<TMath, TValue>>
    where TMath : struct, IRealMath<TValue>
    where TValue : unmanaged
{
    public readonly TValue Value = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static implicit operator Real<TMath, TValue>(float constant) => new(TMath.Set(constant));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> operator +(Real<TMath, TValue> left, Real<TMath, TValue> right) =>
        new(TMath.Add(left.Value, right.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> operator -(Real<TMath, TValue> left, Real<TMath, TValue> right) =>
        new(TMath.Subtract(left.Value, right.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> operator -(Real<TMath, TValue> value) => new(TMath.Negate(value.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> operator *(Real<TMath, TValue> left, Real<TMath, TValue> right) =>
        new(TMath.Multiply(left.Value, right.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> operator /(Real<TMath, TValue> left, Real<TMath, TValue> right) =>
        new(TMath.Divide(left.Value, right.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Max(Real<TMath, TValue> a, Real<TMath, TValue> b) => new(TMath.Max(a.Value, b.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Min(Real<TMath, TValue> a, Real<TMath, TValue> b) => new(TMath.Min(a.Value, b.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> SelectGreater(
        Real<TMath, TValue> a, Real<TMath, TValue> b, Real<TMath, TValue> whenGreater, Real<TMath, TValue> otherwise) =>
        new(TMath.SelectGreater(a.Value, b.Value, whenGreater.Value, otherwise.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Relu(Real<TMath, TValue> x) => new(TMath.Relu(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Abs(Real<TMath, TValue> x) => new(TMath.Abs(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Sqrt(Real<TMath, TValue> x) => new(TMath.Sqrt(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> ReciprocalSqrt(Real<TMath, TValue> x) => new(TMath.ReciprocalSqrt(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Exp(Real<TMath, TValue> x) => new(TMath.Exp(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Log(Real<TMath, TValue> x) => new(TMath.Log(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Log1p(Real<TMath, TValue> x) => new(TMath.Log1p(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Tanh(Real<TMath, TValue> x) => new(TMath.Tanh(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Sigmoid(Real<TMath, TValue> x) => new(TMath.Sigmoid(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Erf(Real<TMath, TValue> x) => new(TMath.Erf(x.Value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Real<TMath, TValue> Pow(Real<TMath, TValue> x, Real<TMath, TValue> y) => new(TMath.Pow(x.Value, y.Value));
}
