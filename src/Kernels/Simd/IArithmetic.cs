namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>Arithmetic over vectors of float: what elementary functions are written in, once for every SIMD level and for GPU
/// threads.</summary>
/// <typeparam name="TVec">A vector, or one float.</typeparam>
internal interface IArithmetic<TVec>
    where TVec : unmanaged
{
    static abstract TVec Zero { get; }

    static abstract TVec Set(float value);

    static abstract TVec Add(TVec a, TVec b);

    static abstract TVec Subtract(TVec a, TVec b);

    static abstract TVec Multiply(TVec a, TVec b);

    static abstract TVec Divide(TVec a, TVec b);

    /// <summary>The larger of each pair; <paramref name="b"/> where either is NaN (x86 semantics at every level).</summary>
    static abstract TVec Max(TVec a, TVec b);

    /// <summary>The smaller of each pair; <paramref name="b"/> where either is NaN (x86 semantics at every level).</summary>
    static abstract TVec Min(TVec a, TVec b);

    /// <summary>a·b + c.</summary>
    static abstract TVec MultiplyAdd(TVec a, TVec b, TVec c);

    /// <summary>c − a·b.</summary>
    static abstract TVec NegativeMultiplyAdd(TVec a, TVec b, TVec c);

    /// <summary>√a, rounded to nearest.</summary>
    static abstract TVec Sqrt(TVec a);

    /// <summary>Rounds to the nearest integer, ties to even.</summary>
    static abstract TVec Round(TVec a);

    /// <summary>x·2ⁿ for integral n with −126 ≤ n ≤ 127; exact when the result is normal.</summary>
    static abstract TVec ScaleByPowerOfTwo(TVec x, TVec n);

    /// <summary>⌊log₂ a⌋ for normal a &gt; 0; anything for other numbers.</summary>
    static abstract TVec Exponent(TVec a);

    /// <summary>Per lane: <paramref name="whenTrue"/> where a &gt; b, else <paramref name="whenFalse"/> (also for NaN).</summary>
    static abstract TVec SelectGreater(TVec a, TVec b, TVec whenTrue, TVec whenFalse);
}
