using CudaTrainer.Kernels.Cpu;
using CudaTrainer.Kernels.Cpu.Simd;
using ILGPU.Algorithms;
using ILGPU.Runtime.Cuda;

namespace CudaTrainer.Kernels.Device;

/// <summary>Arithmetic inside kernels. Exponentials and logarithms are the polynomials of <see cref="VectorMath"/>, so that devices
/// differ by rounding alone.</summary>
internal static class GpuMath
{
    /// <summary>a·b + c, rounded once. Where it matters that two kernels compute the very same number: elsewhere the driver may fuse or
    /// not.</summary>
    public static float Fma(float a, float b, float c)
    {
        CudaAsm.Emit("fma.rn.f32 %0, %1, %2, %3;", out float result, a, b, c);
        return result;
    }

    /// <summary>The larger; of a number and a NaN the number.</summary>
    public static float Max(float a, float b) => XMath.Max(a, b);

    /// <summary>The smaller; of a number and a NaN the number.</summary>
    public static float Min(float a, float b) => XMath.Min(a, b);

    public static float Abs(float x) => XMath.Abs(x);

    /// <summary>max(x, 0); NaN stays NaN.</summary>
    public static float Relu(float x) => x <= 0 ? 0 : x;

    /// <summary>Rounded to nearest.</summary>
    public static float Sqrt(float x) => XMath.Sqrt(x);

    /// <inheritdoc cref="Sqrt(float)"/>
    public static double Sqrt(double x) => XMath.Sqrt(x);

    /// <summary>1/√x, by a square root and a division that round to nearest.</summary>
    public static float ReciprocalSqrt(float x) => 1 / Sqrt(x);

    public static float Exp(float x) => VectorMath.Exp<GpuLane, float>(x);

    public static float Log(float x) => VectorMath.Log<GpuLane, float>(x);

    /// <summary>log(1 + x) without losing the digits of a small x.</summary>
    public static float Log1P(float x) => VectorMath.Log1p<GpuLane, float>(x);

    /// <summary>xʸ for x ≥ 0; 0⁰ is 1.</summary>
    public static float Power(float x, float y) => VectorMath.Pow<GpuLane, float>(x, y);

    /// <summary>index / divisor for index ≥ 0; 64-bit division takes several times as long and is rarely needed.</summary>
    public static long Quotient(long index, int divisor) => index >> 32 == 0 ? (uint)index / (uint)divisor : index / divisor;
}

/// <summary>A number of a GPU thread as a vector of one lane.</summary>
internal readonly struct GpuLane : IArithmetic<float>
{
    public static float Zero => 0;

    public static float Set(float value) => value;

    public static float Add(float a, float b) => a + b;

    public static float Subtract(float a, float b) => a - b;

    public static float Multiply(float a, float b) => a * b;

    public static float Divide(float a, float b) => a / b;

    public static float Max(float a, float b) => a > b ? a : b;

    public static float Min(float a, float b) => a < b ? a : b;

    public static float MultiplyAdd(float a, float b, float c) => GpuMath.Fma(a, b, c);

    public static float NegativeMultiplyAdd(float a, float b, float c) => GpuMath.Fma(-a, b, c);

    public static float Sqrt(float a) => GpuMath.Sqrt(a);

    /// <summary>Adding 1.5·2²³ leaves no bits behind the point; right for magnitudes below 2²².</summary>
    public static float Round(float a) => (a + 12582912f) - 12582912f;

    public static float ScaleByPowerOfTwo(float x, float n) => x * ILGPU.Interop.IntAsFloat((uint)((int)n + 127) << 23);

    public static float Exponent(float a) => (int)(ILGPU.Interop.FloatAsInt(a) >> 23) - 127;

    public static float SelectGreater(float a, float b, float whenTrue, float whenFalse) => a > b ? whenTrue : whenFalse;
}
