using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// Exponential, logarithm, logistic function and hyperbolic tangent of whole vectors, and of the numbers of GPU threads: within 2 ulp over
/// the full range (subnormal results included), exact at 0 and ±∞, saturating where the true result does, and NaN for NaN.
/// </summary>
/// <remarks>
/// Argument reduction and minimax polynomials are those of Cephes (S. Moshier, expf.c, logf.c, tanhf.c). Every lane is computed by the same
/// sequence of operations, so a number's result does not depend on its place in a vector or on the vector's other lanes.
/// </remarks>
internal static class VectorMath
{
    /// <summary>ln 2 in two parts: n·Ln2High is exact for |n| &lt; 2¹⁴ (Cody and Waite).</summary>
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;

    /// <summary>
    /// Arguments below it give 0, those above <see cref="ExpOverflow"/> ∞; clamping there keeps the power of two in range.
    /// </summary>
    private const float ExpUnderflow = -104f;
    private const float ExpOverflow = 89f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Exp<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        // Bound first: Min and Max return their second argument where either is NaN.
        x = TSimd.Max(TSimd.Set(ExpUnderflow), TSimd.Min(TSimd.Set(ExpOverflow), x));
        TVec power = TSimd.Round(TSimd.Multiply(x, TSimd.Set(1.44269504f)));
        TVec mantissa = ExpReduced<TSimd, TVec>(x, power);

        // 2ⁿ in two factors: n reaches −150 and 128, and the second multiplication rounds once into the subnormals or to infinity.
        TVec half = TSimd.Round(TSimd.Multiply(power, TSimd.Set(0.5f)));
        return TSimd.ScaleByPowerOfTwo(TSimd.ScaleByPowerOfTwo(mantissa, half), TSimd.Subtract(power, half));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Log<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        const float Tiny = 7.8886090522101181e-31f; // 2⁻¹⁰⁰
        TVec zero = TSimd.Zero;
        TVec one = TSimd.Set(1);

        // Subnormals, and what halving would make subnormal, are scaled up by 2²⁴ first. Half the number is split, so that 2⁻ⁿ is normal
        // too.
        TVec isTiny = TSimd.SelectGreater(TSimd.Set(Tiny), x, one, zero);
        TVec scaled = TSimd.SelectGreater(isTiny, zero, TSimd.Multiply(x, TSimd.Set(16777216f)), x);
        TVec exponent = TSimd.Exponent(scaled);
        TVec mantissa = TSimd.ScaleByPowerOfTwo(TSimd.Multiply(scaled, TSimd.Set(0.5f)), TSimd.Subtract(one, exponent));
        exponent = TSimd.NegativeMultiplyAdd(isTiny, TSimd.Set(24), exponent);

        // Mantissa into [√½, √2) so that log(mantissa) has no cancellation against the exponent near 1.
        TVec root = TSimd.Set(1.41421356f);
        exponent = TSimd.Add(exponent, TSimd.SelectGreater(mantissa, root, one, zero));
        mantissa = TSimd.SelectGreater(mantissa, root, TSimd.Multiply(mantissa, TSimd.Set(0.5f)), mantissa);

        TVec f = TSimd.Subtract(mantissa, one);
        TVec square = TSimd.Multiply(f, f);
        TVec p = TSimd.Set(7.0376836292e-2f);
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(-1.1514610310e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(1.1676998740e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(-1.2420140846e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(1.4249322787e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(-1.6668057665e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(2.0000714765e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(-2.4999993993e-1f));
        p = TSimd.MultiplyAdd(p, f, TSimd.Set(3.3333331174e-1f));
        TVec y = TSimd.Multiply(TSimd.Multiply(p, f), square);
        y = TSimd.MultiplyAdd(exponent, TSimd.Set(Ln2Low), y);
        y = TSimd.MultiplyAdd(square, TSimd.Set(-0.5f), y);
        y = TSimd.MultiplyAdd(exponent, TSimd.Set(Ln2High), TSimd.Add(f, y));

        // The edges: log(∞) = ∞, log(0) = −∞, log of a negative number or NaN = NaN.
        y = TSimd.SelectGreater(x, TSimd.Set(float.MaxValue), x, y);
        TVec atMostZero = TSimd.SelectGreater(zero, x, TSimd.Set(float.NaN), TSimd.Set(float.NegativeInfinity));
        TVec notPositive = TSimd.Add(x, atMostZero);
        return TSimd.SelectGreater(x, zero, y, notPositive);
    }

    /// <summary>log(1 + x): what rounding takes from the sum is put back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Log1p<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec one = TSimd.Set(1);
        TVec sum = TSimd.Add(one, x);
        TVec log = Log<TSimd, TVec>(sum);
        TVec lost = TSimd.Divide(TSimd.Subtract(TSimd.Subtract(sum, one), x), sum);
        TVec corrected = TSimd.SelectGreater(sum, TSimd.Set(float.MaxValue), log, TSimd.Subtract(log, lost));
        return TSimd.SelectGreater(sum, TSimd.Zero, corrected, log);
    }

    /// <summary>xʸ for x ≥ 0; NaN for negative x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Pow<TSimd, TVec>(TVec x, TVec y)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        // What rounding takes from the exponent is put back behind the exponential.
        TVec log = Log<TSimd, TVec>(x);
        TVec exponent = TSimd.Multiply(y, log);
        TVec power = Exp<TSimd, TVec>(exponent);
        TVec lost = TSimd.MultiplyAdd(y, log, TSimd.Subtract(TSimd.Zero, exponent));
        power = TSimd.SelectGreater(power, TSimd.Set(float.MaxValue), power, TSimd.MultiplyAdd(power, lost, power));

        // 0 to a positive power is 0, to the power of 0 it is 1, to a negative one ∞.
        TVec zero = TSimd.Zero;
        TVec atZero = TSimd.SelectGreater(y, zero, zero,
            TSimd.SelectGreater(zero, y, TSimd.Set(float.PositiveInfinity), TSimd.Set(1)));
        TVec notPositive = TSimd.Add(x, TSimd.SelectGreater(zero, x, TSimd.Set(float.NaN), atZero));
        return TSimd.SelectGreater(x, zero, power, notPositive);
    }

    /// <summary>The error function.</summary>
    /// <remarks>
    /// Polynomials fitted by iteratively reweighted least squares (C. L. Lawson, 1961): up to 1 erf(x)/x − 1 over x², beyond it −ln
    /// erfc(x), with relative errors below 2·10⁻⁹ before rounding.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Erf<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec square = TSimd.Multiply(x, x);
        TVec p = TSimd.Set(7.853860006e-5f);
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(-8.010193123e-4f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(5.188327748e-3f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(-2.685381100e-2f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(1.128358543e-1f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(-3.761262596e-1f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(1.283791661e-1f));
        TVec small = TSimd.MultiplyAdd(p, x, x);

        // From 4 on it is 1 in single precision.
        TVec magnitude = TSimd.Max(x, TSimd.Subtract(TSimd.Zero, x));
        TVec t = TSimd.Min(TSimd.Set(4), magnitude);
        TVec q = TSimd.Set(-1.912415901e-4f);
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(2.996715019e-3f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(-2.203963138e-2f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(1.035387367e-1f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(6.376352310e-1f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(1.127403259f));
        q = TSimd.MultiplyAdd(q, t, TSimd.Set(2.624957415e-4f));

        // e⁻ᵠ is no smaller than 10⁻⁸, so that it needs neither bounds nor two factors for the power of two.
        TVec exponent = TSimd.Subtract(TSimd.Zero, q);
        TVec power = TSimd.Round(TSimd.Multiply(exponent, TSimd.Set(1.44269504f)));
        TVec e = TSimd.ScaleByPowerOfTwo(ExpReduced<TSimd, TVec>(exponent, power), power);
        TVec large = TSimd.Subtract(TSimd.Set(1), e);
        large = TSimd.SelectGreater(x, TSimd.Zero, large, TSimd.Subtract(TSimd.Zero, large));
        return TSimd.SelectGreater(magnitude, TSimd.Set(1), large, small);
    }

    /// <summary>1 / (1 + e⁻ˣ).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Sigmoid<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        // With e = exp(−|x|) ≤ 1 neither branch loses digits: 1/(1+e) for x > 0, e/(1+e) otherwise.
        TVec one = TSimd.Set(1);
        TVec e = Exp<TSimd, TVec>(TSimd.Min(x, TSimd.Subtract(TSimd.Zero, x)));
        TVec numerator = TSimd.SelectGreater(x, TSimd.Zero, one, e);
        return TSimd.Divide(numerator, TSimd.Add(one, e));
    }

    /// <summary>σ' = σ·(1 − σ), from σ.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec SigmoidSlope<TSimd, TVec>(TVec sigmoid)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
        => TSimd.NegativeMultiplyAdd(sigmoid, sigmoid, sigmoid);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Tanh<TSimd, TVec>(TVec x)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec one = TSimd.Set(1);
        TVec magnitude = TSimd.Max(x, TSimd.Subtract(TSimd.Zero, x));

        // 1 − 2/(e^{2|x|} + 1) away from 0. From 9.1 on it is 1 in single precision; the bound keeps one factor enough for 2ⁿ.
        TVec twice = TSimd.Min(TSimd.Set(40), TSimd.Add(magnitude, magnitude));
        TVec power = TSimd.Round(TSimd.Multiply(twice, TSimd.Set(1.44269504f)));
        TVec e = TSimd.ScaleByPowerOfTwo(ExpReduced<TSimd, TVec>(twice, power), power);
        TVec large = TSimd.Subtract(one, TSimd.Divide(TSimd.Set(2), TSimd.Add(e, one)));
        large = TSimd.SelectGreater(x, TSimd.Zero, large, TSimd.Subtract(TSimd.Zero, large));

        // An odd polynomial near 0, where the other form cancels.
        TVec square = TSimd.Multiply(x, x);
        TVec p = TSimd.Set(-5.70498872745e-3f);
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(2.06390887954e-2f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(-5.37397155531e-2f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(1.33314422036e-1f));
        p = TSimd.MultiplyAdd(p, square, TSimd.Set(-3.33332819422e-1f));
        TVec small = TSimd.MultiplyAdd(TSimd.Multiply(p, square), x, x);

        return TSimd.SelectGreater(magnitude, TSimd.Set(0.625f), large, small);
    }

    /// <summary>e^(x − power·ln 2), between √½ and √2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec ExpReduced<TSimd, TVec>(TVec x, TVec power)
        where TSimd : struct, IArithmetic<TVec>
        where TVec : unmanaged
    {
        TVec r = TSimd.NegativeMultiplyAdd(power, TSimd.Set(Ln2High), x);
        r = TSimd.NegativeMultiplyAdd(power, TSimd.Set(Ln2Low), r);
        TVec p = TSimd.Set(1.9875691500e-4f);
        p = TSimd.MultiplyAdd(p, r, TSimd.Set(1.3981999507e-3f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Set(8.3334519073e-3f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Set(4.1665795894e-2f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Set(1.6666665459e-1f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Set(5.0000001201e-1f));
        return TSimd.Add(TSimd.MultiplyAdd(p, TSimd.Multiply(r, r), r), TSimd.Set(1));
    }
}
