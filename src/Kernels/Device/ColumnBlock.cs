using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Device;

/// <summary>
/// How kernels divide a matrix whose columns are reduced over the rows: a block owns 16 columns for good, a thread a group of them in every
/// <see cref="ColumnBlock{TGroup}.RowsApart"/>-th row. Hence full 32-byte sectors in half precision too, and sums whose order depends on
/// the shape alone. This is the launch's side.
/// </summary>
internal static class ColumnBlock
{
    /// <summary>Threads of a block.</summary>
    public const int Threads = 256;

    /// <summary>Columns of a block.</summary>
    public const int Columns = 16;

    public const int Warps = Threads / GpuThread.WarpSize;

    /// <summary>Places of shared memory that one <see cref="ColumnBlock{TGroup}.Sum"/> takes: a number for each column and warp.</summary>
    public const int SharedFours = Warps * Columns / 4;

    /// <summary>
    /// A block for all rows of its columns, from the first sum to the last store: no result depends on the number of blocks.
    /// </summary>
    public static Interop.Grid Owning(int columns) => new((int)LaunchSize.DivideUp(columns, Columns));

    /// <summary>
    /// The grid of a kernel that need not see all rows of a column: more blocks, among which the grid's Y divides the rows.
    /// </summary>
    /// <param name="rowsPerThread">Rows that a thread has at least before there is another block.</param>
    public static Interop.Grid Spread(int rows, int columns, CudaType type, int rowsPerThread)
    {
        Interop.Grid grid = Owning(columns);
        int rowsTogether = Threads / (Columns / LaunchSize.Lanes(type)) * rowsPerThread;
        return grid with { Y = (int)Math.Clamp(LaunchSize.DivideUp(rows, rowsTogether), 1, Math.Max(1, LaunchSize.MaxBlocks / grid.X)) };
    }

    /// <summary>1 when every group of lanes in rows of these matrices begins on 16 bytes, else 0.</summary>
    public static int Aligned(int columns, CudaType type, nint a, nint b = 0, nint c = 0) =>
        columns % LaunchSize.Lanes(type) == 0 ? LaunchSize.Aligned(a, b, c) : 0;
}

/// <summary>The kernel's side of <see cref="ColumnBlock"/>: what part of the matrix a thread has.</summary>
internal unsafe struct ColumnBlock<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    /// <summary>
    /// Rows that a thread sums on their own before they join the total, which bounds the rounding error of tall matrices.
    /// </summary>
    private const int RowsTogether = 16;

    /// <summary>Columns of the matrix.</summary>
    public int Columns;

    /// <summary>Which of the block's groups is the thread's.</summary>
    public int Group;

    /// <summary>The thread's first row.</summary>
    public int Row;

    /// <summary>The first of the thread's columns.</summary>
    public int Column;

    /// <summary>Columns of the matrix from there on; none for threads beyond the last.</summary>
    public int Available;

    public static int Groups => ColumnBlock.Columns / TGroup.Lanes;

    /// <summary>The distance, in rows, from one of a thread's rows to the next.</summary>
    public static int RowsApart => ColumnBlock.Threads / Groups;

    public static ColumnBlock<TGroup> Of(int columns)
    {
        ColumnBlock<TGroup> block = default;
        block.Columns = columns;
        block.Group = GpuThread.Index & (Groups - 1);
        block.Row = GpuThread.Index / Groups;
        block.Column = (GpuThread.Block * ColumnBlock.Columns) + (block.Group * TGroup.Lanes);
        block.Available = columns - block.Column;
        return block;
    }

    /// <summary>What a vector with a number for each column has for the thread's columns.</summary>
    public readonly TGroup ReadFloats(GpuArray<float> vector, int aligned) => TGroup.ReadFloats(vector.Start + Column, Available, aligned);

    public readonly void WriteFloats(GpuArray<float> vector, int aligned, TGroup values) =>
        TGroup.WriteFloats(vector.Start + Column, Available, aligned, values);

    /// <summary>What the thread's rows add up to.</summary>
    public static TSums SumRows<TTerms, TRow, TSums>(ColumnBlock<TGroup> block, long rows, int aligned, TTerms terms)
        where TTerms : unmanaged, IRowTerms<TTerms, TRow, TSums>
        where TRow : unmanaged
        where TSums : unmanaged
    {
        TSums sums = default;
        if (block.Available <= 0)
        {
            return sums;
        }

        for (long begin = block.Row; begin < rows; begin += RowsTogether * RowsApart)
        {
            TSums parts = default;
            long end = begin + (RowsTogether * RowsApart);
            end = end < rows ? end : rows;
            for (long row = begin; row < end; row += 2 * RowsApart)
            {
                var pair = RowPair<TRow>.Read<TTerms, TGroup>(block, row, row + RowsApart, end, aligned, terms);
                parts = TTerms.Add(terms, parts, pair.First, pair.FirstPlace);
                if (pair.HasSecond)
                {
                    parts = TTerms.Add(terms, parts, pair.Second, pair.SecondPlace);
                }
            }

            sums = TTerms.Join(sums, parts);
        }

        return sums;
    }

    /// <summary>Writes what becomes of the elements in the thread's rows, of which the blocks in the grid's Y have a share each.</summary>
    /// <param name="to">As large as what <paramref name="map"/> reads; may be the same.</param>
    public static void MapRows<TElement, TMap, TRow>(ColumnBlock<TGroup> block, long rows, int aligned, TMap map, GpuArray to)
        where TElement : struct, IElement<TGroup>
        where TMap : unmanaged, IRowMap<TMap, TRow, TGroup>
        where TRow : unmanaged
    {
        if (block.Available <= 0)
        {
            return;
        }

        long step = (long)GpuThread.BlocksY * RowsApart;
        for (long row = block.Row + ((long)GpuThread.BlockY * RowsApart); row < rows; row += 2 * step)
        {
            var pair = RowPair<TRow>.Read<TMap, TGroup>(block, row, row + step, rows, aligned, map);
            TElement.WriteGroup(to.Start, pair.FirstPlace, block.Available, aligned, TMap.Map(map, pair.First, pair.FirstPlace));
            if (pair.HasSecond)
            {
                TElement.WriteGroup(to.Start, pair.SecondPlace, block.Available, aligned, TMap.Map(map, pair.Second, pair.SecondPlace));
            }
        }
    }

    /// <summary>
    /// Adds up what every thread has for its columns over all threads of the same columns, and gives the totals to each of them: within a
    /// warp by butterflies, then the warps in their order. Every thread of the block calls.
    /// </summary>
    /// <param name="parts">
    /// Shared memory of <see cref="ColumnBlock.SharedFours"/> places, used for nothing else since the last barrier.
    /// </param>
    public static TGroup Sum(ColumnBlock<TGroup> block, TGroup values, ArrayView<Four> parts)
    {
        values += TGroup.ShuffleXor(values, 16);
        values += TGroup.ShuffleXor(values, 8);
        values += TGroup.ShuffleXor(values, 4);
        if (Groups < 4)
        {
            values += TGroup.ShuffleXor(values, 2);
        }

        ArrayView<TGroup> places = parts.Cast<TGroup>();
        if (GpuThread.Lane < Groups)
        {
            places[(GpuThread.Warp * Groups) + block.Group] = values;
        }

        // All threads read all parts: that takes as long as if some did and shared the total, and needs no second barrier. Written out, the
        // reads do not wait for each other.
        GpuThread.Barrier();
        TGroup total = Part(block, places, 0) + Part(block, places, 1);
        total += Part(block, places, 2);
        total += Part(block, places, 3);
        total += Part(block, places, 4);
        total += Part(block, places, 5);
        total += Part(block, places, 6);
        return total + Part(block, places, 7);
    }

    private static TGroup Part(ColumnBlock<TGroup> block, ArrayView<TGroup> places, int warp) => places[(warp * Groups) + block.Group];
}

/// <summary>Two of a thread's rows, whose accesses are on their way together.</summary>
internal struct RowPair<TRow>
    where TRow : unmanaged
{
    public TRow First;
    public TRow Second;
    public long FirstPlace;
    public long SecondPlace;
    public bool HasSecond;

    /// <param name="first">A row before <paramref name="end"/>.</param>
    /// <param name="second">A row; if it is not before <paramref name="end"/>, there is none.</param>
    public static RowPair<TRow> Read<TReader, TGroup>(
        ColumnBlock<TGroup> block, long first, long second, long end, int aligned, TReader reader)
        where TReader : unmanaged, IRowReader<TReader, TRow>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        RowPair<TRow> pair = default;
        pair.HasSecond = second < end;
        pair.FirstPlace = (first * block.Columns) + block.Column;

        // Where there is no second row, the first is read twice: that costs less than a branch between the accesses.
        pair.SecondPlace = pair.HasSecond ? (second * block.Columns) + block.Column : pair.FirstPlace;
        if (aligned != 0 && block.Available >= TGroup.Lanes)
        {
            pair.First = TReader.Read(reader, pair.FirstPlace, TGroup.Lanes, aligned: 1);
            pair.Second = TReader.Read(reader, pair.SecondPlace, TGroup.Lanes, aligned: 1);
        }
        else
        {
            pair.First = TReader.Read(reader, pair.FirstPlace, block.Available, aligned: 0);
            pair.Second = TReader.Read(reader, pair.SecondPlace, block.Available, aligned: 0);
        }

        return pair;
    }
}

/// <summary>What a pass reads of a row.</summary>
/// <typeparam name="TSelf">The structure that implements it.</typeparam>
/// <typeparam name="TRow">The elements of a group of columns.</typeparam>
internal interface IRowReader<TSelf, TRow>
{
    /// <summary>
    /// Reads the group that begins at element number <paramref name="place"/>; the rest is as in <see cref="IElement{TGroup}.ReadGroup"/>.
    /// </summary>
    static abstract TRow Read(TSelf reader, long place, long available, int aligned);
}

/// <summary>What rows add to sums over them.</summary>
/// <typeparam name="TSelf">The structure that implements it.</typeparam>
/// <typeparam name="TRow">The elements of a group of columns.</typeparam>
/// <typeparam name="TSums">The sums for a group of columns; their default is 0.</typeparam>
internal interface IRowTerms<TSelf, TRow, TSums> : IRowReader<TSelf, TRow>
{
    /// <summary>The sums with the terms of the group that begins at element number <paramref name="place"/>.</summary>
    static abstract TSums Add(TSelf terms, TSums sums, TRow row, long place);

    /// <summary>Two sums together.</summary>
    static abstract TSums Join(TSums left, TSums right);
}

/// <summary>What becomes of rows, element by element.</summary>
/// <typeparam name="TSelf">The structure that implements it.</typeparam>
/// <typeparam name="TRow">The elements of a group of columns.</typeparam>
/// <typeparam name="TGroup">What they become.</typeparam>
internal interface IRowMap<TSelf, TRow, TGroup> : IRowReader<TSelf, TRow>
{
    /// <summary>Maps the group that begins at element number <paramref name="place"/>.</summary>
    static abstract TGroup Map(TSelf map, TRow row, long place);
}

/// <summary>The elements themselves as terms.</summary>
internal unsafe struct RowValues<TElement, TGroup> : IRowTerms<RowValues<TElement, TGroup>, TGroup, TGroup>
    where TElement : struct, IElement<TGroup>
    where TGroup : unmanaged, IGroup<TGroup>
{
    // Not the bare pointer: the compiler takes a structure of nothing but a pointer for what the pointer points to.
    private GpuArray _matrix;

    public static RowValues<TElement, TGroup> Of(GpuArray matrix)
    {
        RowValues<TElement, TGroup> values = default;
        values._matrix = matrix;
        return values;
    }

    public static TGroup Read(RowValues<TElement, TGroup> reader, long place, long available, int aligned) =>
        TElement.ReadGroup(reader._matrix.Start, place, available, aligned);

    public static TGroup Add(RowValues<TElement, TGroup> terms, TGroup sums, TGroup row, long place) => sums + row;

    public static TGroup Join(TGroup left, TGroup right) => left + right;
}
