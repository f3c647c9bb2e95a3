using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Rows of a register tile, as a type so that the JIT makes one specialised kernel for each count.</summary>
internal interface ITileRows
{
    static abstract int Count { get; }
}

/// <summary>Where the rows of A lie, as a type: the JIT turns the strides into constant offsets of the broadcasts.</summary>
internal interface ITileLayout
{
    /// <summary>Floats from one row to the next.</summary>
    static abstract int RowStride { get; }

    /// <summary>Consecutive values of k in a row before the next block begins.</summary>
    static abstract int KStep { get; }
}

/// <summary>Rows in cache lines of 16 values: packed matrices and Winograd-transformed tiles.</summary>
internal readonly struct LineLayout : ITileLayout
{
    public static int RowStride => GemmMicroKernel.KStep;

    public static int KStep => GemmMicroKernel.KStep;
}

internal readonly struct Rows12 : ITileRows
{
    public static int Count => 12;
}

internal readonly struct Rows8 : ITileRows
{
    public static int Count => 8;
}

internal readonly struct Rows6 : ITileRows
{
    public static int Count => 6;
}

internal readonly struct Rows4 : ITileRows
{
    public static int Count => 4;
}

internal readonly struct Rows2 : ITileRows
{
    public static int Count => 2;
}

/// <summary>What becomes of the numbers that a tile holds.</summary>
internal enum TileUpdate
{
    /// <summary>They are overwritten, and not read.</summary>
    Overwrite,

    /// <summary>They are sums over lower k that go on.</summary>
    Resume,

    /// <summary>The finished sums, which start at 0, are added to them.</summary>
    Add,
}

/// <summary>
/// The innermost kernel of every matrix product: a register tile of up to 12 rows by two vectors, tile[r, j] = Σₖ a[r, k]·b[k, j].
/// </summary>
/// <remarks>
/// <para>
/// Per k it loads two vectors of B and broadcasts one number of A per row, so 24 fused multiply-adds need 14 loads; 24 independent sums
/// hide the latency of the multiply-add. 12 × 2 sums, two vectors of B and the broadcast fit into 32 registers, 6 × 2 into 16.
/// </para>
/// <para>
/// A comes in blocks of <see cref="ITileLayout.KStep"/> values of k: within a block, row r's values are contiguous and rows lie at a
/// constant distance. A row-major matrix is packed into this form by copying whole cache lines, the Winograd input transform writes it
/// directly (16 channels are one block), and a convolution reads it straight from an image (a row of its window is one block, the next
/// pixel is the next row). B comes as [k][two vectors]. Each sum starts at 0 and runs over k in ascending order, whatever the
/// tile's height.
/// </para>
/// </remarks>
internal static unsafe class GemmMicroKernel
{
    /// <summary>Values of k that lie contiguously in a row of packed A: one cache line.</summary>
    public const int KStep = 16;

    /// <summary>Rows of the largest tile of a level.</summary>
    public static int MaxRows<TSimd, TVec>()
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.Registers >= 32 ? 12 : 6;

    /// <summary>Columns of a tile of a level.</summary>
    public static int Columns<TSimd, TVec>()
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => 2 * TSimd.Width;

    /// <summary>Rows of the largest tile of <paramref name="level"/>.</summary>
    public static int MaxRows(SimdLevel level) => level switch
    {
        SimdLevel.V512 => MaxRows<Simd512, Vector512<float>>(),
        SimdLevel.V256 => MaxRows<Simd256, Vector256<float>>(),
        _ => MaxRows<Simd128, Vector128<float>>(),
    };

    /// <summary>Columns of a tile of <paramref name="level"/>.</summary>
    public static int Columns(SimdLevel level) => level switch
    {
        SimdLevel.V512 => Columns<Simd512, Vector512<float>>(),
        SimdLevel.V256 => Columns<Simd256, Vector256<float>>(),
        _ => Columns<Simd128, Vector128<float>>(),
    };

    /// <summary>
    /// Floats between prefetches such that <paramref name="tiles"/> tiles over the same panel of B together fetch the panel after it: one
    /// line per k at most, because more would compete with the loads.
    /// </summary>
    public static int AheadStep<TSimd, TVec>(int tiles)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => Math.Min(KStep, (Columns<TSimd, TVec>() + tiles - 1) / tiles);

    /// <summary>Chooses the lowest kernel that covers <paramref name="rows"/> rows.</summary>
    /// <param name="rows">1..<see cref="MaxRows{TSimd,TVec}"/>; up to three rows more are computed and stored.</param>
    /// <param name="k">Length of the sums, ≥ 1.</param>
    /// <param name="a">Packed rows of A.</param>
    /// <param name="aBlockStride">Floats from one block of k to the next.</param>
    /// <param name="b">Packed panel of B.</param>
    /// <param name="tile">Receives the sums, row by row.</param>
    /// <param name="tileStride">Floats from one row of the tile to the next.</param>
    /// <param name="update">What becomes of the tile's numbers.</param>
    /// <param name="ahead">Memory to prefetch meanwhile, one line per k.</param>
    /// <param name="aheadStep">Floats from one prefetch to the next; 0 for none.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<TSimd, TVec, TLayout>(int rows, int k, float* a, nint aBlockStride, float* b, float* tile, nint tileStride,
        TileUpdate update, float* ahead, nint aheadStep)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where TLayout : struct, ITileLayout
    {
        if (TSimd.Registers >= 32)
        {
            if (rows > 8)
            {
                Tile<TSimd, TVec, TLayout, Rows12>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
            }
            else if (rows > 4)
            {
                Tile<TSimd, TVec, TLayout, Rows8>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
            }
            else
            {
                Tile<TSimd, TVec, TLayout, Rows4>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
            }
        }
        else if (rows > 4)
        {
            Tile<TSimd, TVec, TLayout, Rows6>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
        }
        else if (rows > 2)
        {
            Tile<TSimd, TVec, TLayout, Rows4>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
        }
        else
        {
            Tile<TSimd, TVec, TLayout, Rows2>(k, a, aBlockStride, b, tile, tileStride, update, ahead, aheadStep);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TSimd, TVec, TLayout, TRows>(int k, float* a, nint aBlockStride, float* b, float* tile, nint stride,
        TileUpdate update, float* ahead, nint aheadStep)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where TLayout : struct, ITileLayout
        where TRows : struct, ITileRows
    {
        TVec c0 = TSimd.Zero, d0 = TSimd.Zero;
        TVec c1 = TSimd.Zero, d1 = TSimd.Zero;
        TVec c2 = TSimd.Zero, d2 = TSimd.Zero;
        TVec c3 = TSimd.Zero, d3 = TSimd.Zero;
        TVec c4 = TSimd.Zero, d4 = TSimd.Zero;
        TVec c5 = TSimd.Zero, d5 = TSimd.Zero;
        TVec c6 = TSimd.Zero, d6 = TSimd.Zero;
        TVec c7 = TSimd.Zero, d7 = TSimd.Zero;
        TVec c8 = TSimd.Zero, d8 = TSimd.Zero;
        TVec c9 = TSimd.Zero, d9 = TSimd.Zero;
        TVec c10 = TSimd.Zero, d10 = TSimd.Zero;
        TVec c11 = TSimd.Zero, d11 = TSimd.Zero;

        if (update == TileUpdate.Resume)
        {
            c0 = TSimd.Load(tile);
            d0 = TSimd.Load(tile + TSimd.Width);
            if (TRows.Count > 1)
            {
                c1 = TSimd.Load(tile + (1 * stride));
                d1 = TSimd.Load(tile + (1 * stride) + TSimd.Width);
            }

            if (TRows.Count > 2)
            {
                c2 = TSimd.Load(tile + (2 * stride));
                d2 = TSimd.Load(tile + (2 * stride) + TSimd.Width);
            }

            if (TRows.Count > 3)
            {
                c3 = TSimd.Load(tile + (3 * stride));
                d3 = TSimd.Load(tile + (3 * stride) + TSimd.Width);
            }

            if (TRows.Count > 4)
            {
                c4 = TSimd.Load(tile + (4 * stride));
                d4 = TSimd.Load(tile + (4 * stride) + TSimd.Width);
            }

            if (TRows.Count > 5)
            {
                c5 = TSimd.Load(tile + (5 * stride));
                d5 = TSimd.Load(tile + (5 * stride) + TSimd.Width);
            }

            if (TRows.Count > 6)
            {
                c6 = TSimd.Load(tile + (6 * stride));
                d6 = TSimd.Load(tile + (6 * stride) + TSimd.Width);
            }

            if (TRows.Count > 7)
            {
                c7 = TSimd.Load(tile + (7 * stride));
                d7 = TSimd.Load(tile + (7 * stride) + TSimd.Width);
            }

            if (TRows.Count > 8)
            {
                c8 = TSimd.Load(tile + (8 * stride));
                d8 = TSimd.Load(tile + (8 * stride) + TSimd.Width);
            }

            if (TRows.Count > 9)
            {
                c9 = TSimd.Load(tile + (9 * stride));
                d9 = TSimd.Load(tile + (9 * stride) + TSimd.Width);
            }

            if (TRows.Count > 10)
            {
                c10 = TSimd.Load(tile + (10 * stride));
                d10 = TSimd.Load(tile + (10 * stride) + TSimd.Width);
            }

            if (TRows.Count > 11)
            {
                c11 = TSimd.Load(tile + (11 * stride));
                d11 = TSimd.Load(tile + (11 * stride) + TSimd.Width);
            }
        }

        while (k > 0)
        {
            int steps = Math.Min(k, TLayout.KStep);
            float* blockEnd = a + steps;
            float* nextBlock = a + aBlockStride;
            do
            {
                TVec b0 = TSimd.Load(b);
                TVec b1 = TSimd.Load(b + TSimd.Width);
                TVec x = TSimd.Set(a[0]);
                c0 = TSimd.MultiplyAdd(x, b0, c0);
                d0 = TSimd.MultiplyAdd(x, b1, d0);
                if (TRows.Count > 1)
                {
                    x = TSimd.Set(a[1 * TLayout.RowStride]);
                    c1 = TSimd.MultiplyAdd(x, b0, c1);
                    d1 = TSimd.MultiplyAdd(x, b1, d1);
                }

                if (TRows.Count > 2)
                {
                    x = TSimd.Set(a[2 * TLayout.RowStride]);
                    c2 = TSimd.MultiplyAdd(x, b0, c2);
                    d2 = TSimd.MultiplyAdd(x, b1, d2);
                }

                if (TRows.Count > 3)
                {
                    x = TSimd.Set(a[3 * TLayout.RowStride]);
                    c3 = TSimd.MultiplyAdd(x, b0, c3);
                    d3 = TSimd.MultiplyAdd(x, b1, d3);
                }

                if (TRows.Count > 4)
                {
                    x = TSimd.Set(a[4 * TLayout.RowStride]);
                    c4 = TSimd.MultiplyAdd(x, b0, c4);
                    d4 = TSimd.MultiplyAdd(x, b1, d4);
                }

                if (TRows.Count > 5)
                {
                    x = TSimd.Set(a[5 * TLayout.RowStride]);
                    c5 = TSimd.MultiplyAdd(x, b0, c5);
                    d5 = TSimd.MultiplyAdd(x, b1, d5);
                }

                if (TRows.Count > 6)
                {
                    x = TSimd.Set(a[6 * TLayout.RowStride]);
                    c6 = TSimd.MultiplyAdd(x, b0, c6);
                    d6 = TSimd.MultiplyAdd(x, b1, d6);
                }

                if (TRows.Count > 7)
                {
                    x = TSimd.Set(a[7 * TLayout.RowStride]);
                    c7 = TSimd.MultiplyAdd(x, b0, c7);
                    d7 = TSimd.MultiplyAdd(x, b1, d7);
                }

                if (TRows.Count > 8)
                {
                    x = TSimd.Set(a[8 * TLayout.RowStride]);
                    c8 = TSimd.MultiplyAdd(x, b0, c8);
                    d8 = TSimd.MultiplyAdd(x, b1, d8);
                }

                if (TRows.Count > 9)
                {
                    x = TSimd.Set(a[9 * TLayout.RowStride]);
                    c9 = TSimd.MultiplyAdd(x, b0, c9);
                    d9 = TSimd.MultiplyAdd(x, b1, d9);
                }

                if (TRows.Count > 10)
                {
                    x = TSimd.Set(a[10 * TLayout.RowStride]);
                    c10 = TSimd.MultiplyAdd(x, b0, c10);
                    d10 = TSimd.MultiplyAdd(x, b1, d10);
                }

                if (TRows.Count > 11)
                {
                    x = TSimd.Set(a[11 * TLayout.RowStride]);
                    c11 = TSimd.MultiplyAdd(x, b0, c11);
                    d11 = TSimd.MultiplyAdd(x, b1, d11);
                }

                TSimd.Prefetch(ahead);
                ahead += aheadStep;
                a++;
                b += 2 * TSimd.Width;
            }
            while (a < blockEnd);

            a = nextBlock;
            k -= steps;
        }

        bool add = update == TileUpdate.Add;
        StoreRow<TSimd, TVec>(tile, c0, d0, add);
        if (TRows.Count > 1)
        {
            StoreRow<TSimd, TVec>(tile + (1 * stride), c1, d1, add);
        }

        if (TRows.Count > 2)
        {
            StoreRow<TSimd, TVec>(tile + (2 * stride), c2, d2, add);
        }

        if (TRows.Count > 3)
        {
            StoreRow<TSimd, TVec>(tile + (3 * stride), c3, d3, add);
        }

        if (TRows.Count > 4)
        {
            StoreRow<TSimd, TVec>(tile + (4 * stride), c4, d4, add);
        }

        if (TRows.Count > 5)
        {
            StoreRow<TSimd, TVec>(tile + (5 * stride), c5, d5, add);
        }

        if (TRows.Count > 6)
        {
            StoreRow<TSimd, TVec>(tile + (6 * stride), c6, d6, add);
        }

        if (TRows.Count > 7)
        {
            StoreRow<TSimd, TVec>(tile + (7 * stride), c7, d7, add);
        }

        if (TRows.Count > 8)
        {
            StoreRow<TSimd, TVec>(tile + (8 * stride), c8, d8, add);
        }

        if (TRows.Count > 9)
        {
            StoreRow<TSimd, TVec>(tile + (9 * stride), c9, d9, add);
        }

        if (TRows.Count > 10)
        {
            StoreRow<TSimd, TVec>(tile + (10 * stride), c10, d10, add);
        }

        if (TRows.Count > 11)
        {
            StoreRow<TSimd, TVec>(tile + (11 * stride), c11, d11, add);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow<TSimd, TVec>(float* row, TVec left, TVec right, bool add)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        if (add)
        {
            left = TSimd.Add(TSimd.Load(row), left);
            right = TSimd.Add(TSimd.Load(row + TSimd.Width), right);
        }

        TSimd.Store(row, left);
        TSimd.Store(row + TSimd.Width, right);
    }
}
