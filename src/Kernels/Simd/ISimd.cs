namespace CudaTrainer.Kernels.Cpu.Simd;

/// <summary>
/// One instruction-set level over vectors of float. Kernels are written once as <c>Run&lt;TSimd, TVec&gt;</c> and the JIT
/// specialises them for each level: every member is a single instruction (or a short fixed sequence) after inlining.
/// </summary>
/// <typeparam name="TVec">The register type: <c>Vector512&lt;float&gt;</c>, <c>Vector256&lt;float&gt;</c> or
/// <c>Vector128&lt;float&gt;</c>.</typeparam>
/// <remarks>
/// Loads and stores are unaligned. <see cref="IArithmetic{TVec}.MultiplyAdd"/> is fused at every level that runs on AVX2 or AVX-512
/// hardware; the 128-bit level fuses where the machine can and otherwise rounds twice, so bits agree between thread counts, not between
/// levels.
/// </remarks>
internal unsafe interface ISimd<TVec> : IArithmetic<TVec>
    where TVec : unmanaged
{
    /// <summary>Floats per vector.</summary>
    static abstract int Width { get; }

    /// <summary>Architectural vector registers; kernels choose their register tile by it.</summary>
    static abstract int Registers { get; }

    static abstract TVec Load(float* source);

    static abstract void Store(float* destination, TVec value);

    /// <summary>Asks for the cache line that holds <paramref name="address"/>, which need not be valid; never faults.</summary>
    static abstract void Prefetch(float* address);

    /// <summary>Loads the first <paramref name="count"/> floats (0 ≤ count ≤ Width) without touching memory behind them; the rest is
    /// 0.</summary>
    static abstract TVec LoadPartial(float* source, int count);

    /// <summary>Stores the first <paramref name="count"/> floats (0 ≤ count ≤ Width) without touching memory behind them.</summary>
    static abstract void StorePartial(float* destination, TVec value, int count);

    /// <summary>Loads <see cref="Width"/> half-precision numbers and widens them.</summary>
    static abstract TVec LoadHalf(Half* source);

    /// <summary>Rounds to half precision (nearest even, overflow to infinity) and stores <see cref="Width"/> numbers.</summary>
    static abstract void StoreHalf(Half* destination, TVec value);

    /// <summary>Sum of all lanes, always added in the same tree.</summary>
    static abstract float Sum(TVec a);

    /// <summary>Largest lane.</summary>
    static abstract float HorizontalMax(TVec a);

    /// <summary>
    /// Writes the elements of one vector that are not 0 (NaN is not), in order, to <paramref name="values"/>, and for element i the number
    /// first + i·step to <paramref name="places"/>. Up to <see cref="Width"/> numbers of both are overwritten.
    /// </summary>
    /// <returns>How many there are.</returns>
    static abstract int CompressNonZero(float* source, int first, int step, float* values, int* places);
}
