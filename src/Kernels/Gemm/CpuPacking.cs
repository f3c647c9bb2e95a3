using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using CudaTrainer.Kernels.Cpu.Simd;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// How packing reads its source, so that half-precision matrices are widened on the way, or numbers made pairs (<see cref="RowPairs{T,
/// TSource}"/>). The partner is the distance to the other number of a pair that lies elsewhere; single numbers have none.
/// </summary>
internal unsafe interface IPackSource<T>
    where T : unmanaged
{
    static abstract float Read(T* source, nint partner = 0);

    static abstract Vector128<float> Load4(T* source, nint partner = 0);

    static abstract TVec Load<TSimd, TVec>(T* source, nint partner = 0)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged;
}

internal readonly unsafe struct SingleSource : IPackSource<float>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(float* source, nint partner) => *source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(float* source, nint partner) => Vector128.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TSimd, TVec>(float* source, nint partner)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.Load(source);
}

internal readonly unsafe struct HalfSource : IPackSource<Half>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Read(Half* source, nint partner) => (float)*source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Load4(Half* source, nint partner) => Simd128.LoadHalf(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TSimd, TVec>(Half* source, nint partner)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => TSimd.LoadHalf(source);
}

/// <summary>
/// Copies blocks of A and B into the order in which <see cref="GemmMicroKernel"/> reads them. What lies outside the matrix becomes 0.
/// </summary>
internal static unsafe class GemmPacking
{
    private const int KStep = GemmMicroKernel.KStep;

    /// <summary>Panels of B packed together.</summary>
    private const int PanelGroup = 8;

    /// <summary>Rows of the source between a prefetch and its use.</summary>
    private const int RowsAhead = 4;

    /// <summary>Floats that <see cref="PackA"/> writes for a block of A.</summary>
    public static nint SizeA(int rows, int depth, int panelRows) => (nint)RoundUp(rows, panelRows) * RoundUp(depth, KStep);

    /// <summary>Floats that <see cref="PackB"/> writes for a block of B.</summary>
    public static nint SizeB(int columns, int depth, int panelColumns) => (nint)RoundUp(columns, panelColumns) * depth;

    public static int RoundUp(int value, int multiple) => (value + multiple - 1) / multiple * multiple;

    /// <summary>
    /// A block of op(A), [rows, depth] → [rows/panelRows][depth/16][panelRows][16]. Element (row, k) is at source[row·ld + k], or at
    /// source[k·ld + row] if <paramref name="transposed"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackA<TSimd, TVec, T, TSource>(bool transposed, int rows, int depth, T* source, nint ld, float* packed,
        nint partner = 0)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int panelRows = GemmMicroKernel.MaxRows<TSimd, TVec>();
        nint panelSize = SizeA(panelRows, depth, panelRows);
        for (int row = 0; row < rows; row += panelRows)
        {
            int count = Math.Min(panelRows, rows - row);
            if (count < panelRows)
            {
                new Span<float>(packed, (int)panelSize).Clear();
            }

            if (transposed)
            {
                Transposition.Pack<TSimd, TVec, T, TSource>(count, depth, source + row, ld, packed, KStep, panelRows * KStep, partner);
            }
            else
            {
                PackRows<TSimd, TVec, T, TSource>(count, depth, source + (row * ld), ld, packed, panelRows * KStep);
            }

            packed += panelSize;
        }
    }

    /// <summary>
    /// A block of op(B), [depth, columns] → [columns/panelColumns][depth][panelColumns]. Element (k, column) is at source[k·ld + column],
    /// or at source[column·ld + k] if <paramref name="transposed"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackB<TSimd, TVec, T, TSource>(bool transposed, int columns, int depth, T* source, nint ld, float* packed,
        nint partner = 0)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int panelColumns = GemmMicroKernel.Columns<TSimd, TVec>();
        nint panelSize = (nint)depth * panelColumns;
        int column = 0;
        if (!transposed)
        {
            for (; column <= columns - panelColumns; column += PanelGroup * panelColumns)
            {
                int panels = Math.Min(PanelGroup, (columns - column) / panelColumns);
                PackPanels<TSimd, TVec, T, TSource>(
                    panels, depth, source + column, ld, packed + (column / panelColumns * panelSize), partner);
            }

            column = columns / panelColumns * panelColumns;
        }

        for (; column < columns; column += panelColumns)
        {
            int count = Math.Min(panelColumns, columns - column);
            float* panel = packed + (column / panelColumns * panelSize);
            if (count < panelColumns)
            {
                new Span<float>(panel, (int)panelSize).Clear();
            }

            if (transposed)
            {
                // Seen from the source this is the same transposition, with the roles of k and column exchanged.
                Transposition.Pack<TSimd, TVec, T, TSource>(depth, count, source + (column * ld), ld, panel, panelColumns);
            }
            else
            {
                PackLastPanel<T, TSource>(count, depth, source + column, ld, panel, panelColumns, partner);
            }
        }
    }

    /// <summary>A block of op(A) as <see cref="PackA"/> packs it, of numbers or of pairs of them.</summary>
    /// <param name="k">Begin of the block, in numbers or pairs.</param>
    /// <param name="depth">Likewise its length.</param>
    /// <param name="source">The block's first row at k = 0.</param>
    public static void PackBlockA<TSimd, TVec, T, TSource>(bool pairs, bool transposed, int rows, int k, int depth, T* source, nint ld,
        float* packed)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        if (!pairs)
        {
            PackA<TSimd, TVec, T, TSource>(transposed, rows, depth, source + (transposed ? k * ld : k), ld, packed);
        }
        else if (transposed)
        {
            PackA<TSimd, TVec, T, RowPairs<T, TSource>>(true, rows, depth, source + (2 * k * ld), 2 * ld, packed, partner: ld);
        }
        else
        {
            PackA<TSimd, TVec, Neighbours<T>, NeighbourPairs<T, TSource>>(
                false, rows, depth, (Neighbours<T>*)source + k, ld / 2, packed);
        }
    }

    /// <summary>A block of op(B) as <see cref="PackB"/> packs it; parameters likewise.</summary>
    public static void PackBlockB<TSimd, TVec, T, TSource>(bool pairs, bool transposed, int columns, int k, int depth, T* source, nint ld,
        float* packed)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        if (!pairs)
        {
            PackB<TSimd, TVec, T, TSource>(transposed, columns, depth, source + (transposed ? k : k * ld), ld, packed);
        }
        else if (transposed)
        {
            PackB<TSimd, TVec, Neighbours<T>, NeighbourPairs<T, TSource>>(
                true, columns, depth, (Neighbours<T>*)source + k, ld / 2, packed);
        }
        else
        {
            PackB<TSimd, TVec, T, RowPairs<T, TSource>>(false, columns, depth, source + (2 * k * ld), 2 * ld, packed, partner: ld);
        }
    }

    /// <summary>Rows [begin, end) of op(A) over all of k, to their place among the panels of the whole matrix.</summary>
    /// <param name="k">In numbers or pairs.</param>
    public static void PackWholeA<TSimd, TVec, T, TSource>(bool pairs, bool transposed, int begin, int end, int k, T* source, nint ld,
        PackedPanels panels)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        for (int p = 0; p < k && begin < end; p += GemmBlocks.DepthBlock)
        {
            int depth = Math.Min(GemmBlocks.DepthBlock, k - p);
            PackBlockA<TSimd, TVec, T, TSource>(pairs, transposed, end - begin, p, depth, source + (transposed ? begin : begin * ld), ld,
                panels.At(p, RoundUp(depth, KStep), begin));
        }
    }

    /// <summary>Columns [begin, end) of op(B) over all of k, to their place among the panels of the whole matrix.</summary>
    /// <param name="k">In numbers or pairs.</param>
    public static void PackWholeB<TSimd, TVec, T, TSource>(bool pairs, bool transposed, int begin, int end, int k, T* source, nint ld,
        PackedPanels panels)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        for (int p = 0; p < k && begin < end; p += GemmBlocks.DepthBlock)
        {
            int depth = Math.Min(GemmBlocks.DepthBlock, k - p);
            PackBlockB<TSimd, TVec, T, TSource>(pairs, transposed, end - begin, p, depth, source + (transposed ? begin * ld : begin), ld,
                panels.At(p, depth, begin));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRows<TSimd, TVec, T, TSource>(int rows, int depth, T* source, nint ld, float* packed, nint blockStride)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        for (int row = 0; row < rows; row++)
        {
            T* from = source + (row * ld);
            float* to = packed + (row * KStep);
            int k = 0;
            for (; k <= depth - KStep; k += KStep)
            {
                TSimd.Prefetch((float*)(from + (RowsAhead * ld) + k));
                for (int i = 0; i < KStep; i += TSimd.Width)
                {
                    TSimd.Store(to + i, TSource.Load<TSimd, TVec>(from + k + i));
                }

                to += blockStride;
            }

            for (int i = 0; k + i < depth; i++)
            {
                to[i] = TSource.Read(from + k + i);
            }
        }
    }

    /// <summary>Whole panels side by side, row by row: a long piece of each row at a time, because rows may be a page apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackPanels<TSimd, TVec, T, TSource>(int panels, int depth, T* source, nint ld, float* packed, nint partner)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        int panelColumns = GemmMicroKernel.Columns<TSimd, TVec>();
        nint panelSize = (nint)depth * panelColumns;
        for (int k = 0; k < depth; k++)
        {
            T* from = source + (k * ld);
            float* to = packed + (k * panelColumns);
            for (int panel = 0; panel < panels; panel++)
            {
                TSimd.Prefetch((float*)(from + (RowsAhead * ld)));
                TSimd.Prefetch((float*)(from + (RowsAhead * ld) + TSimd.Width));
                TSimd.Store(to, TSource.Load<TSimd, TVec>(from, partner));
                TSimd.Store(to + TSimd.Width, TSource.Load<TSimd, TVec>(from + TSimd.Width, partner));
                from += panelColumns;
                to += panelSize;
            }
        }
    }

    /// <summary>A panel with fewer columns than fit.</summary>
    private static void PackLastPanel<T, TSource>(int columns, int depth, T* source, nint ld, float* packed, int panelColumns, nint partner)
        where T : unmanaged
        where TSource : struct, IPackSource<T>
    {
        for (int k = 0; k < depth; k++)
        {
            for (int i = 0; i < columns; i++)
            {
                packed[i] = TSource.Read(source + i, partner);
            }

            source += ld;
            packed += panelColumns;
        }
    }
}
