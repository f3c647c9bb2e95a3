using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// The product of a few state rows with a recurrent weight matrix, for kernels that alternate it with gate maths at every time step.
/// </summary>
/// <remarks>
/// Weights are packed into panels of <see cref="Vectors"/> vectors of columns, [k][vectors], once per pass over a sequence. A tile of
/// <see cref="Rows"/> rows by one panel is 12 sums in registers, which fits 16 registers and is enough to hide the latency of multiply-add
/// with 32. Each sum runs over k in order, whatever the row's place in a tile.
/// </remarks>
internal static unsafe class RecurrentProduct
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 3;

    /// <summary>Vectors of columns in a panel.</summary>
    public const int Vectors = 4;

    /// <summary>Floats that the packed recurrent weights of a layer need at any level, for the forward pass or the backward pass.</summary>
    public static nint PackedLength(int hidden)
    {
        const int WidestVector = 16;
        return (nint)4 * hidden * GemmPacking.RoundUp(hidden, Vectors * WidestVector);
    }

    /// <summary>
    /// Packs one vector of columns from a matrix stored transposed: panel[p, vector, lane] = source[lane·stride + p]; lanes behind
    /// <paramref name="lanes"/> are 0.
    /// </summary>
    public static void PackTransposed<TSimd, TVec>(int k, float* source, nint stride, int lanes, float* panel, int vector)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        float* column = panel + (vector * TSimd.Width);
        for (int lane = 0; lane < TSimd.Width; lane++)
        {
            float* row = source + (lane * stride);
            for (int p = 0; p < k; p++)
            {
                column[(p * Vectors * TSimd.Width) + lane] = lane < lanes ? row[p] : 0;
            }
        }
    }

    /// <summary>
    /// Packs one vector of columns: panel[p, vector, lane] = source[p·stride + lane]; lanes behind <paramref name="lanes"/> are 0.
    /// </summary>
    public static void Pack<TSimd, TVec>(int k, float* source, nint stride, int lanes, float* panel, int vector)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        float* column = panel + (vector * TSimd.Width);
        for (int p = 0; p < k; p++)
        {
            TVec row = lanes > 0 ? Lanes.Load<TSimd, TVec>(source + (p * stride), lanes) : TSimd.Zero;
            TSimd.Store(column + (p * Vectors * TSimd.Width), row);
        }
    }

    /// <summary>sums[row, vector] = Σ over p of row[p]·panel[p, vector].</summary>
    /// <param name="k">Length of the sums.</param>
    /// <param name="row0">First row [k].</param>
    /// <param name="row1">Second row [k]; a tile with fewer rows names one of them twice.</param>
    /// <param name="row2">Third row [k].</param>
    /// <param name="panel">Packed weights [k, Vectors] of vectors.</param>
    /// <param name="sums">Output [Rows, Vectors] of vectors.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tile<TSimd, TVec>(int k, float* row0, float* row1, float* row2, float* panel, float* sums)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TVec a0 = TSimd.Zero, a1 = TSimd.Zero, a2 = TSimd.Zero, a3 = TSimd.Zero;
        TVec b0 = TSimd.Zero, b1 = TSimd.Zero, b2 = TSimd.Zero, b3 = TSimd.Zero;
        TVec c0 = TSimd.Zero, c1 = TSimd.Zero, c2 = TSimd.Zero, c3 = TSimd.Zero;
        for (int p = 0; p < k; p++)
        {
            TVec a = TSimd.Set(row0[p]);
            TVec b = TSimd.Set(row1[p]);
            TVec c = TSimd.Set(row2[p]);
            TVec weights = TSimd.Load(panel);
            a0 = TSimd.MultiplyAdd(a, weights, a0);
            b0 = TSimd.MultiplyAdd(b, weights, b0);
            c0 = TSimd.MultiplyAdd(c, weights, c0);
            weights = TSimd.Load(panel + TSimd.Width);
            a1 = TSimd.MultiplyAdd(a, weights, a1);
            b1 = TSimd.MultiplyAdd(b, weights, b1);
            c1 = TSimd.MultiplyAdd(c, weights, c1);
            weights = TSimd.Load(panel + (2 * TSimd.Width));
            a2 = TSimd.MultiplyAdd(a, weights, a2);
            b2 = TSimd.MultiplyAdd(b, weights, b2);
            c2 = TSimd.MultiplyAdd(c, weights, c2);
            weights = TSimd.Load(panel + (3 * TSimd.Width));
            a3 = TSimd.MultiplyAdd(a, weights, a3);
            b3 = TSimd.MultiplyAdd(b, weights, b3);
            c3 = TSimd.MultiplyAdd(c, weights, c3);
            panel += Vectors * TSimd.Width;
        }

        StoreRow<TSimd, TVec>(sums, a0, a1, a2, a3);
        StoreRow<TSimd, TVec>(sums + (Vectors * TSimd.Width), b0, b1, b2, b3);
        StoreRow<TSimd, TVec>(sums + (2 * Vectors * TSimd.Width), c0, c1, c2, c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow<TSimd, TVec>(float* sums, TVec v0, TVec v1, TVec v2, TVec v3)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        TSimd.Store(sums, v0);
        TSimd.Store(sums + TSimd.Width, v1);
        TSimd.Store(sums + (2 * TSimd.Width), v2);
        TSimd.Store(sums + (3 * TSimd.Width), v3);
    }
}
