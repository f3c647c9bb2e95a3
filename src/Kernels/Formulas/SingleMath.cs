using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Formulas;

/// <summary>Single precision: a vector of the processor, or the number of a GPU thread.</summary>
/// <typeparam name="TArithmetic">Its instructions.</typeparam>
/// <typeparam name="TValue">The vector, or float.</typeparam>
internal readonly struct SingleMath<TArithmetic, TValue> : IRealMath<TValue>
    where TArithmetic : struct, IArithmetic<TValue>
    where TValue : unmanaged
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Set(float value) => TArithmetic.Set(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Add(TValue a, TValue b) => TArithmetic.Add(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Subtract(TValue a, TValue b) => TArithmetic.Subtract(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Negate(TValue a) => TArithmetic.Subtract(TArithmetic.Zero, a);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Multiply(TValue a, TValue b) => TArithmetic.Multiply(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Divide(TValue a, TValue b) => TArithmetic.Divide(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue SelectGreater(TValue a, TValue b, TValue whenGreater, TValue otherwise) =>
        TArithmetic.SelectGreater(a, b, whenGreater, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Max(TValue a, TValue b) => TArithmetic.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Min(TValue a, TValue b) => TArithmetic.Min(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Relu(TValue x) => TArithmetic.Max(TArithmetic.Zero, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Abs(TValue x) => TArithmetic.Max(x, Negate(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Sqrt(TValue x) => TArithmetic.Sqrt(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue ReciprocalSqrt(TValue x) => TArithmetic.Divide(TArithmetic.Set(1), TArithmetic.Sqrt(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Exp(TValue x) => VectorMath.Exp<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Log(TValue x) => VectorMath.Log<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Log1p(TValue x) => VectorMath.Log1p<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Tanh(TValue x) => VectorMath.Tanh<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Sigmoid(TValue x) => VectorMath.Sigmoid<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Erf(TValue x) => VectorMath.Erf<TArithmetic, TValue>(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TValue Pow(TValue x, TValue y) => VectorMath.Pow<TArithmetic, TValue>(x, y);
}
