using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// The transforms of Winograd's minimal filtering F(4×4, 3×3): Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A.
/// </summary>
/// <remarks>
/// <para>
/// After Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016): a 6×6 input tile d gives a 4×4 output tile Y with
/// 36 multiplications instead of 144. The matrices follow from the Toom–Cook construction for six points 0, ±p, ±q, ∞: with M(x) =
/// x(x²−p²)(x²−q²), row i of Bᵀ has the coefficients of M(x)/(x−xᵢ), row i of G is (1, xᵢ, xᵢ²)/M′(xᵢ), and column i of Aᵀ is (1, xᵢ, xᵢ²,
/// xᵢ³).
/// </para>
/// <para>
/// The usual points ±1, ±2 lose precision because powers of 2 up to 8 meet powers of 1. With p = 3/4, q = 3/2 the magnitudes are balanced:
/// half the error (1.2e-6 relative for 256 channels, against 2.3e-6), and every constant is exact in binary.
/// </para>
/// </remarks>
internal static unsafe class WinogradTransform
{
    /// <summary>Rows and columns of an output tile.</summary>
    public const int TileSize = 4;

    /// <summary>Rows and columns of an input tile.</summary>
    public const int WindowSize = TileSize + 2;

    /// <summary>Elements of a transformed tile, each of which takes part in its own matrix product.</summary>
    public const int Points = WindowSize * WindowSize;

    private const float P = 0.75f;
    private const float Q = 1.5f;
    private const float P2 = P * P;
    private const float Q2 = Q * Q;

    /// <summary>U = G g Gᵀ in double precision.</summary>
    /// <param name="filter">g, 3×3.</param>
    /// <param name="transformed">Receives 36 numbers.</param>
    public static void Weights(float* filter, Span<double> transformed)
    {
        const double np = 2 * P2 * (P2 - Q2);
        const double nq = 2 * Q2 * (Q2 - P2);
        Span<double> rows = stackalloc double[WindowSize * 3];
        for (int column = 0; column < 3; column++)
        {
            Apply(filter[column], filter[3 + column], filter[6 + column], rows[column..], 3);
        }

        for (int row = 0; row < WindowSize; row++)
        {
            Apply(rows[row * 3], rows[(row * 3) + 1], rows[(row * 3) + 2], transformed[(row * WindowSize)..], 1);
        }

        static void Apply(double g0, double g1, double g2, Span<double> to, int stride)
        {
            to[0] = g0 / (P2 * Q2);
            to[1 * stride] = (g0 + (P * g1) + (P2 * g2)) / np;
            to[2 * stride] = (g0 - (P * g1) + (P2 * g2)) / np;
            to[3 * stride] = (g0 + (Q * g1) + (Q2 * g2)) / nq;
            to[4 * stride] = (g0 - (Q * g1) + (Q2 * g2)) / nq;
            to[5 * stride] = g2;
        }
    }

    /// <summary>The first half of V = Bᵀ d B for one vector of channels: Bᵀ d, column by column.</summary>
    /// <param name="window">d's upper left element.</param>
    /// <param name="rowStride">Floats from one row of d to the next.</param>
    /// <param name="columnStride">Floats from one column of d to the next.</param>
    /// <param name="half">Receives 36 vectors.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void InputColumns<TSimd, TVec>(float* window, nint rowStride, nint columnStride, float* half)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int column = 0; column < WindowSize; column++)
        {
            TVec d0 = TSimd.Load(window);
            TVec d1 = TSimd.Load(window + rowStride);
            TVec d2 = TSimd.Load(window + (2 * rowStride));
            TVec d3 = TSimd.Load(window + (3 * rowStride));
            TVec d4 = TSimd.Load(window + (4 * rowStride));
            TVec d5 = TSimd.Load(window + (5 * rowStride));
            InputVector<TSimd, TVec>(d0, d1, d2, d3, d4, d5, half, WindowSize * TSimd.Width);
            window += columnStride;
            half += TSimd.Width;
        }
    }

    /// <summary>
    /// As <see cref="InputColumns"/> for a window of which only rows top..bottom−1 and columns left..right−1 are in the image; the others
    /// are 0 and their memory is not touched.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void InputColumnsAtBorder<TSimd, TVec>(
        float* window, nint rowStride, nint columnStride, float* half, int top, int bottom, int left, int right)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int column = 0; column < WindowSize; column++)
        {
            float* pixel = window + (column * columnStride);
            bool inside = column >= left && column < right;
            TVec d0 = inside && top <= 0 && bottom > 0 ? TSimd.Load(pixel) : TSimd.Zero;
            TVec d1 = inside && top <= 1 && bottom > 1 ? TSimd.Load(pixel + rowStride) : TSimd.Zero;
            TVec d2 = inside && bottom > 2 ? TSimd.Load(pixel + (2 * rowStride)) : TSimd.Zero;
            TVec d3 = inside && bottom > 3 ? TSimd.Load(pixel + (3 * rowStride)) : TSimd.Zero;
            TVec d4 = inside && bottom > 4 ? TSimd.Load(pixel + (4 * rowStride)) : TSimd.Zero;
            TVec d5 = inside && bottom > 5 ? TSimd.Load(pixel + (5 * rowStride)) : TSimd.Zero;
            InputVector<TSimd, TVec>(d0, d1, d2, d3, d4, d5, half, WindowSize * TSimd.Width);
            half += TSimd.Width;
        }
    }

    /// <summary>The second half of V = Bᵀ d B: row by row.</summary>
    /// <param name="half">What the first half left.</param>
    /// <param name="target">Receives point i at i·<paramref name="pointStride"/>.</param>
    /// <param name="pointStride">Floats from one point to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void InputRows<TSimd, TVec>(float* half, float* target, nint pointStride)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int row = 0; row < WindowSize; row++)
        {
            TVec d0 = TSimd.Load(half);
            TVec d1 = TSimd.Load(half + TSimd.Width);
            TVec d2 = TSimd.Load(half + (2 * TSimd.Width));
            TVec d3 = TSimd.Load(half + (3 * TSimd.Width));
            TVec d4 = TSimd.Load(half + (4 * TSimd.Width));
            TVec d5 = TSimd.Load(half + (5 * TSimd.Width));
            InputVector<TSimd, TVec>(d0, d1, d2, d3, d4, d5, target, pointStride);
            half += WindowSize * TSimd.Width;
            target += WindowSize * pointStride;
        }
    }

    /// <summary>The first half of Y = Aᵀ M A for one vector of channels: Aᵀ M, column by column.</summary>
    /// <param name="products">Point i of M is at i·<paramref name="pointStride"/>.</param>
    /// <param name="pointStride">Floats from one point to the next.</param>
    /// <param name="half">Receives 4 × 6 vectors.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OutputColumns<TSimd, TVec>(float* products, nint pointStride, float* half)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int column = 0; column < WindowSize; column++)
        {
            OutputVector<TSimd, TVec>(products, WindowSize * pointStride, out TVec y0, out TVec y1, out TVec y2, out TVec y3);
            TSimd.Store(half, y0);
            TSimd.Store(half + (WindowSize * TSimd.Width), y1);
            TSimd.Store(half + (2 * WindowSize * TSimd.Width), y2);
            TSimd.Store(half + (3 * WindowSize * TSimd.Width), y3);
            products += pointStride;
            half += TSimd.Width;
        }
    }

    /// <summary>One row of Y from the first half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OutputRow<TSimd, TVec>(float* half, int row, out TVec y0, out TVec y1, out TVec y2, out TVec y3)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => OutputVector<TSimd, TVec>(half + (row * WindowSize * TSimd.Width), TSimd.Width, out y0, out y1, out y2, out y3);

    /// <summary>Aᵀ m for six vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void OutputVector<TSimd, TVec>(float* source, nint stride, out TVec y0, out TVec y1, out TVec y2, out TVec y3)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec m1 = TSimd.Load(source + stride);
        TVec m2 = TSimd.Load(source + (2 * stride));
        TVec m3 = TSimd.Load(source + (3 * stride));
        TVec m4 = TSimd.Load(source + (4 * stride));
        TVec sumP = TSimd.Add(m1, m2);
        TVec differenceP = TSimd.Subtract(m1, m2);
        TVec sumQ = TSimd.Add(m3, m4);
        TVec differenceQ = TSimd.Subtract(m3, m4);
        y0 = TSimd.Add(TSimd.Add(TSimd.Load(source), sumP), sumQ);
        y1 = TSimd.MultiplyAdd(TSimd.Set(Q), differenceQ, TSimd.Multiply(TSimd.Set(P), differenceP));
        y2 = TSimd.MultiplyAdd(TSimd.Set(Q2), sumQ, TSimd.Multiply(TSimd.Set(P2), sumP));
        TVec last = TSimd.MultiplyAdd(TSimd.Set(P * P2), differenceP, TSimd.Load(source + (5 * stride)));
        y3 = TSimd.MultiplyAdd(TSimd.Set(Q * Q2), differenceQ, last);
    }

    /// <summary>Bᵀ d for six vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void InputVector<TSimd, TVec>(TVec d0, TVec d1, TVec d2, TVec d3, TVec d4, TVec d5, float* target, nint targetStride)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec evenP = TSimd.NegativeMultiplyAdd(TSimd.Set(Q2), d2, d4);
        TVec oddP = TSimd.NegativeMultiplyAdd(TSimd.Set(Q2), d1, d3);
        TVec evenQ = TSimd.NegativeMultiplyAdd(TSimd.Set(P2), d2, d4);
        TVec oddQ = TSimd.NegativeMultiplyAdd(TSimd.Set(P2), d1, d3);
        TVec first = TSimd.NegativeMultiplyAdd(TSimd.Set(P2 + Q2), d2, d4);
        TVec last = TSimd.NegativeMultiplyAdd(TSimd.Set(P2 + Q2), d3, d5);
        TSimd.Store(target, TSimd.MultiplyAdd(TSimd.Set(P2 * Q2), d0, first));
        TSimd.Store(target + targetStride, TSimd.MultiplyAdd(TSimd.Set(P), oddP, evenP));
        TSimd.Store(target + (2 * targetStride), TSimd.NegativeMultiplyAdd(TSimd.Set(P), oddP, evenP));
        TSimd.Store(target + (3 * targetStride), TSimd.MultiplyAdd(TSimd.Set(Q), oddQ, evenQ));
        TSimd.Store(target + (4 * targetStride), TSimd.NegativeMultiplyAdd(TSimd.Set(Q), oddQ, evenQ));
        TSimd.Store(target + (5 * targetStride), TSimd.MultiplyAdd(TSimd.Set(P2 * Q2), d1, last));
    }
}
