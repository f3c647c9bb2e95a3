namespace CudaTrainer.Kernels.Formulas;

/// <summary>
/// What a formula computes with. Written once over it, a formula is compiled for vectors of every SIMD level, for GPU threads, for double
/// precision and, with <see cref="Dual{TMath, TValue}"/>, for its own derivative.
/// </summary>
/// <typeparam name="TSelf">The number, or several side by side that are computed alike.</typeparam>
public interface IReal<TSelf>
    where TSelf : unmanaged, IReal<TSelf>
{
    /// <summary>A constant, or an option of the formula.</summary>
    static abstract implicit operator TSelf(float constant);

    static abstract TSelf operator +(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf left, TSelf right);

    static abstract TSelf operator -(TSelf value);

    static abstract TSelf operator *(TSelf left, TSelf right);

    static abstract TSelf operator /(TSelf left, TSelf right);

    /// <summary>The larger; <paramref name="b"/> where either is NaN or both are equal, which is also whose derivative it has.</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>The smaller; <paramref name="b"/> where either is NaN or both are equal, which is also whose derivative it has.</summary>
    static abstract TSelf Min(TSelf a, TSelf b);

    /// <summary><paramref name="whenGreater"/> where a &gt; b, else <paramref name="otherwise"/> (also for NaN). Only the one that is
    /// chosen has a derivative.</summary>
    static abstract TSelf SelectGreater(TSelf a, TSelf b, TSelf whenGreater, TSelf otherwise);

    /// <summary>max(0, x); NaN stays NaN; its derivative at 0 is 0.</summary>
    static abstract TSelf Relu(TSelf x);

    /// <summary>|x|; its derivative at 0 is −1.</summary>
    static abstract TSelf Abs(TSelf x);

    static abstract TSelf Sqrt(TSelf x);

    /// <summary>1/√x.</summary>
    static abstract TSelf ReciprocalSqrt(TSelf x);

    static abstract TSelf Exp(TSelf x);

    static abstract TSelf Log(TSelf x);

    /// <summary>log(1 + x) without losing the digits of a small x.</summary>
    static abstract TSelf Log1p(TSelf x);

    /// <summary>xʸ for x ≥ 0; 0 to any positive power is 0, and to the power of 0 it is 1.</summary>
    static abstract TSelf Pow(TSelf x, TSelf y);

    static abstract TSelf Tanh(TSelf x);

    /// <summary>1/(1 + e⁻ˣ).</summary>
    static abstract TSelf Sigmoid(TSelf x);

    /// <summary>2/√π · ∫₀ˣ e^(−t²) dt.</summary>
    static abstract TSelf Erf(TSelf x);
}
