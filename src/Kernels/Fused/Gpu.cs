using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;
using CudaTrainer.Kernels.Interop;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>A formula over all elements, and its gradient.</summary>
/// <remarks>
/// <para>Access: 16 bytes a thread where rows begin on 16 bytes, else element by element.</para>
/// <para>Order: sums over rows as in <see cref="ColumnBlock"/>; sums along a row by one block, or where rows are short one warp, whose
/// threads have fixed columns; the sum over everything is that of the rows, in order. No atomics.</para>
/// <para>Launches: one forward; one backward, one more for operands that repeat along rows where others repeat along columns, and one
/// more for scalars. Formulas of rows keep the numbers of their rows for the launch that sums along columns.</para>
/// </remarks>
internal sealed unsafe partial class FusedKernels<TFusion>(KernelLibrary library)
    where TFusion : unmanaged, IFusion
{
    private const int Warps = LaunchSize.Threads / GpuThread.WarpSize;

    private readonly TypedKernel<Arguments> _forward = TFusion.Sums > 0
        ? new(library, ForwardOfRows<Float32, Four>, ForwardOfRows<Float16, Eight>)
        : new(library, Forward<Float32, Four>, Forward<Float16, Eight>);
    private readonly TypedKernel<Arguments> _columns = new(library, Columns<Float32, Four>, Columns<Float16, Eight>);
    private readonly TypedKernel<Arguments> _rows = TFusion.Sums > 0
        ? new(library, RowsWithSums<Float32, Four>, RowsWithSums<Float16, Eight>)
        : new(library, Rows<Float32, Four>, Rows<Float16, Eight>);
    private readonly GpuKernel<SumArguments> _sum = new(library, FusedSum.Rows);

    /// <summary>y = f(operands).</summary>
    /// <param name="outputs">As many as the formula has, of one type.</param>
    public void Forward(
        CudaStream stream, TFusion fusion, FusedShape shape, Operands<FusedOperand> operands, Operands<FusedOperand> outputs)
    {
        if (shape.Count == 0)
        {
            return;
        }

        CudaType type = TypeOf(outputs.A);
        Arguments arguments = ArgumentsOf(fusion, shape, operands, default, outputs, type, numbers: 0);
        long groups = shape.Rows * LaunchSize.DivideUp(shape.Columns, LaunchSize.Lanes(type));
        Interop.Grid grid = TFusion.Sums > 0 ? GridOfRows(shape, type) : LaunchSize.Strided(groups);
        _forward[type].Launch(stream, grid, arguments);
    }

    /// <summary>The gradients of the operands that have somewhere to go.</summary>
    /// <param name="dy">∂L along the outputs; without data where it is 0.</param>
    /// <param name="memory">As many floats as <see cref="MemoryOf"/> says.</param>
    public void Backward(CudaStream stream, TFusion fusion, FusedShape shape, Operands<FusedOperand> dy,
        Operands<FusedOperand> operands, Operands<FusedOperand> gradients, nint memory)
    {
        CudaType type = TypeOf(dy.A);
        bool columns = Has(gradients, OperandSpread.Column), scalars = Has(gradients, OperandSpread.Scalar);
        bool keepsNumbers = TFusion.Sums > 0 && columns;
        nint numbers = keepsNumbers ? memory : 0;
        nint rowSums = memory + (keepsNumbers ? (nint)shape.Rows * RowNumbers.Floats * sizeof(float) : 0);
        Operands<FusedOperand> ofRows = Operands<FusedOperand>.Of(
            ForRows(gradients.A, 0), ForRows(gradients.B, 1), ForRows(gradients.C, 2), ForRows(gradients.D, 3));

        // The numbers of rows come first; else what the columns' kernel has written is not wanted again.
        if (shape.Rows > 0 && (!columns || scalars || Has(gradients, OperandSpread.Row) || TFusion.Sums > 0))
        {
            Arguments arguments = ArgumentsOf(fusion, shape, operands, ofRows, dy, type, numbers);
            _rows[type].Launch(stream, GridOfRows(shape, type), arguments);
        }

        // Of no rows the sums are 0.
        if (columns && shape.Columns > 0)
        {
            Operands<FusedOperand> ofColumns = TFusion.Sums > 0
                ? Operands<FusedOperand>.Of(
                    ForColumns(gradients.A), ForColumns(gradients.B), ForColumns(gradients.C), ForColumns(gradients.D))
                : gradients;
            Arguments arguments = ArgumentsOf(fusion, shape, operands, ofColumns, dy, type, numbers);
            _columns[type].Launch(stream, ColumnBlock.Owning(shape.Columns), arguments);
        }

        AddRows(gradients.A, 0);
        AddRows(gradients.B, 1);
        AddRows(gradients.C, 2);
        AddRows(gradients.D, 3);

        FusedOperand ForRows(FusedOperand gradient, int operand) => gradient.Spread switch
        {
            OperandSpread.Scalar when gradient.Data != 0 => new FusedOperand(SumsOf(operand), OperandSpread.Row, IsHalf: false),
            OperandSpread.Whole when columns && TFusion.Sums == 0 => gradient with { Data = 0 },
            _ => gradient,
        };

        static FusedOperand ForColumns(FusedOperand gradient) =>
            gradient.Spread == OperandSpread.Column ? gradient : gradient with { Data = 0 };

        void AddRows(FusedOperand gradient, int operand)
        {
            if (gradient is { Data: not 0, Spread: OperandSpread.Scalar })
            {
                _sum.Launch(stream, LaunchSize.Strided(1), new SumArguments
                {
                    Rows = new(SumsOf(operand), shape.Rows),
                    To = GpuOperand.Of(gradient, shape, type),
                    Count = shape.Rows,
                });
            }
        }

        nint SumsOf(int operand) => rowSums + ((nint)operand * shape.Rows * sizeof(float));
    }

    /// <summary>Floats of memory that a backward pass needs.</summary>
    public static long MemoryOf(FusedShape shape, Operands<FusedOperand> gradients) => (long)shape.Rows
        * ((Has(gradients, OperandSpread.Scalar) ? Operands<float>.Most : 0)
            + (TFusion.Sums > 0 && Has(gradients, OperandSpread.Column) ? RowNumbers.Floats : 0));

    /// <summary>Whether a gradient is wanted of an operand that spreads so.</summary>
    private static bool Has(Operands<FusedOperand> gradients, OperandSpread spread) =>
        Is(gradients.A, spread) || Is(gradients.B, spread) || Is(gradients.C, spread) || Is(gradients.D, spread);

    private static bool Is(FusedOperand gradient, OperandSpread spread) => gradient.Data != 0 && gradient.Spread == spread;

    private static CudaType TypeOf(FusedOperand y) => y.IsHalf ? CudaType.Float16 : CudaType.Float32;

    /// <summary>A warp does where it has no more than two groups a thread: a block would wait for its own reductions.</summary>
    private static int ThreadsOf(FusedShape shape, CudaType type) =>
        shape.Columns <= 2 * GpuThread.WarpSize * LaunchSize.Lanes(type) ? GpuThread.WarpSize : LaunchSize.Threads;

    private static Interop.Grid GridOfRows(FusedShape shape, CudaType type) =>
        LaunchSize.Strided(shape.Rows, itemsPerBlock: LaunchSize.Threads / ThreadsOf(shape, type));

    private static Arguments ArgumentsOf(TFusion fusion, FusedShape shape, Operands<FusedOperand> operands,
        Operands<FusedOperand> gradients, Operands<FusedOperand> y, CudaType type, nint numbers)
    {
        nint places = (TFusion.IsPerRow ? 0 : y.A.Data | y.B.Data | y.C.Data | y.D.Data)
            | PlaceOf(operands.A) | PlaceOf(operands.B) | PlaceOf(operands.C) | PlaceOf(operands.D)
            | PlaceOf(gradients.A) | PlaceOf(gradients.B) | PlaceOf(gradients.C) | PlaceOf(gradients.D);
        return new Arguments
        {
            A = GpuOperand.Of(operands.A, shape, type),
            B = GpuOperand.Of(operands.B, shape, type),
            C = GpuOperand.Of(operands.C, shape, type),
            D = GpuOperand.Of(operands.D, shape, type),
            Da = GpuOperand.Of(gradients.A, shape, type),
            Db = GpuOperand.Of(gradients.B, shape, type),
            Dc = GpuOperand.Of(gradients.C, shape, type),
            Dd = GpuOperand.Of(gradients.D, shape, type),
            Y = ArrayOf(y.A, shape),
            Y1 = ArrayOf(y.B, shape),
            Y2 = ArrayOf(y.C, shape),
            Y3 = ArrayOf(y.D, shape),
            Numbers = new(numbers, numbers == 0 ? 0 : (long)shape.Rows * RowNumbers.Floats),
            Fusion = fusion,
            Count = shape.Count,
            Rows = shape.Rows,
            Columns = shape.Columns,
            Aligned = ColumnBlock.Aligned(shape.Columns, type, places),
            ThreadsOfRow = ThreadsOf(shape, type),
        };
    }

    /// <summary>An output, or its gradient.</summary>
    private static GpuArray ArrayOf(FusedOperand y, FusedShape shape) =>
        new(y.Data, y.Data == 0 ? 0 : TFusion.IsPerRow ? shape.Rows : shape.Count);

    /// <summary>The address of what is read in groups.</summary>
    private static nint PlaceOf(FusedOperand operand) =>
        operand.Spread is OperandSpread.Whole or OperandSpread.Column ? operand.Data : 0;

    [GpuKernel(LaunchSize.Threads)]
    private static void Forward<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int groups = (a.Columns + TGroup.Lanes - 1) / TGroup.Lanes;
        for (long index = GpuThread.FirstItem; index < (long)a.Rows * groups; index += GpuThread.ItemStride)
        {
            long row = GpuMath.Quotient(index, groups);
            WriteOutputs<TElement, TGroup>(a, row, (int)(index - (row * groups)) * TGroup.Lanes, default);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteOutputs<TElement, TGroup>(Arguments a, long row, int column, Row<float> sums)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        long place = (row * a.Columns) + column, available = AvailableOf(a, place, column);
        Operands<TGroup> x = Read<TElement, TGroup>(a, row, column, place, available);
        WriteOutput<TElement, TGroup, Constants.Zero>(a, a.Y, x, sums, place, available);
        if (TFusion.Outputs > 1)
        {
            WriteOutput<TElement, TGroup, Constants.One>(a, a.Y1, x, sums, place, available);
        }

        if (TFusion.Outputs > 2)
        {
            WriteOutput<TElement, TGroup, Constants.Two>(a, a.Y2, x, sums, place, available);
        }

        if (TFusion.Outputs > 3)
        {
            WriteOutput<TElement, TGroup, Constants.Three>(a, a.Y3, x, sums, place, available);
        }
    }

    private static void WriteOutput<TElement, TGroup, TOutput>(
        Arguments a, GpuArray to, Operands<TGroup> x, Row<float> sums, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        where TOutput : struct, IConstant
    {
        TGroup y = TGroup.Map(PartLanes<TFusion, TOutput>.Of(a.Fusion, sums), x, TGroup.Splat(0)).A;
        TElement.WriteGroup(to.Start, place, available, a.Aligned, y);
    }

    /// <summary>Gradients of operands that are whole, and of those that repeat along columns: a block owns its columns.</summary>
    [GpuKernel(ColumnBlock.Threads)]
    private static void Columns<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<Four> parts = SharedMemory.Allocate<Four>(ColumnBlock.SharedFours);
        var block = ColumnBlock<TGroup>.Of(a.Columns);
        Operands<TGroup> sums = default;
        for (int row = block.Row; row < a.Rows && block.Available > 0; row += ColumnBlock<TGroup>.RowsApart)
        {
            long place = ((long)row * a.Columns) + block.Column;
            RowNumbers numbers = TFusion.Sums > 0 ? RowNumbers.Read(a.Numbers, row) : default;
            sums = Add(sums, Gradients<TElement, TGroup>(a, numbers, row, block.Column, place, block.Available));
        }

        // Every thread of the block takes part in the sums, those without columns or rows too.
        SumColumns<TElement, TGroup>(a.Da, block, sums.A, parts, a.Aligned);
        if (TFusion.Count > 1)
        {
            SumColumns<TElement, TGroup>(a.Db, block, sums.B, parts, a.Aligned);
        }

        if (TFusion.Count > 2)
        {
            SumColumns<TElement, TGroup>(a.Dc, block, sums.C, parts, a.Aligned);
        }

        if (TFusion.Count > 3)
        {
            SumColumns<TElement, TGroup>(a.Dd, block, sums.D, parts, a.Aligned);
        }

    }

    /// <summary>Gradients of operands that are whole, of those that repeat along rows, and of scalars the sum of each row: a block takes a
    /// row at a time.</summary>
    [GpuKernel(LaunchSize.Threads)]
    private static void Rows<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        for (int row = FirstRow(a); row < a.Rows; row += RowStep(a))
        {
            GradientsOfRow<TElement, TGroup>(a, default, row, parts);
        }
    }

    private static void GradientsOfRow<TElement, TGroup>(Arguments a, RowNumbers numbers, int row, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        Operands<TGroup> sums = default;
        for (int column = ThreadOfRow(a) * TGroup.Lanes; column < a.Columns; column += a.ThreadsOfRow * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column;
            sums = Add(sums, Gradients<TElement, TGroup>(a, numbers, row, column, place, AvailableOf(a, place, column)));
        }

        SumRow(a, a.Da, row, TGroup.Sum(sums.A), parts);
        if (TFusion.Count > 1)
        {
            SumRow(a, a.Db, row, TGroup.Sum(sums.B), parts);
        }

        if (TFusion.Count > 2)
        {
            SumRow(a, a.Dc, row, TGroup.Sum(sums.C), parts);
        }

        if (TFusion.Count > 3)
        {
            SumRow(a, a.Dd, row, TGroup.Sum(sums.D), parts);
        }
    }

    /// <summary>The gradients at a place, of which those of whole operands are written; in lanes without elements 0.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operands<TGroup> Gradients<TElement, TGroup>(
        Arguments a, RowNumbers numbers, int row, int column, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        Operands<TGroup> x = Read<TElement, TGroup>(a, row, column, place, available);
        Operands<TGroup> gradients = default;
        if (TFusion.Outputs == 1 || a.Y.Length > 0)
        {
            gradients = GradientsOf<TElement, TGroup, Constants.Zero>(a, a.Y, numbers, x, row, place, available);
        }

        if (TFusion.Outputs > 1 && a.Y1.Length > 0)
        {
            gradients = Add(gradients, GradientsOf<TElement, TGroup, Constants.One>(a, a.Y1, numbers, x, row, place, available));
        }

        if (TFusion.Outputs > 2 && a.Y2.Length > 0)
        {
            gradients = Add(gradients, GradientsOf<TElement, TGroup, Constants.Two>(a, a.Y2, numbers, x, row, place, available));
        }

        if (TFusion.Outputs > 3 && a.Y3.Length > 0)
        {
            gradients = Add(gradients, GradientsOf<TElement, TGroup, Constants.Three>(a, a.Y3, numbers, x, row, place, available));
        }

        Write<TElement, TGroup>(a.Da, place, available, a.Aligned, gradients.A);
        if (TFusion.Count > 1)
        {
            Write<TElement, TGroup>(a.Db, place, available, a.Aligned, gradients.B);
        }

        if (TFusion.Count > 2)
        {
            Write<TElement, TGroup>(a.Dc, place, available, a.Aligned, gradients.C);
        }

        if (TFusion.Count > 3)
        {
            Write<TElement, TGroup>(a.Dd, place, available, a.Aligned, gradients.D);
        }

        return Operands<TGroup>.Of(
            TGroup.First(gradients.A, available),
            TFusion.Count > 1 ? TGroup.First(gradients.B, available) : gradients.B,
            TFusion.Count > 2 ? TGroup.First(gradients.C, available) : gradients.C,
            TFusion.Count > 3 ? TGroup.First(gradients.D, available) : gradients.D);
    }

    /// <summary>By one output.</summary>
    private static Operands<TGroup> GradientsOf<TElement, TGroup, TOutput>(
        Arguments a, GpuArray dy, RowNumbers numbers, Operands<TGroup> x, int row, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        where TOutput : struct, IConstant
    {
        GradientLanes<TFusion, TOutput> map = default;
        map.Fusion = a.Fusion;
        map.Numbers = numbers;
        return TGroup.Map(map, x, ReadGradient<TElement, TGroup>(a, dy, row, place, available));
    }

    private static TGroup ReadGradient<TElement, TGroup>(Arguments a, GpuArray dy, int row, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => TFusion.IsPerRow ? TGroup.Splat(TElement.Read(dy.Start, row))
            : available > 0 ? TElement.ReadGroup(dy.Start, place, available, a.Aligned)
            : TGroup.Splat(0);

    private static Operands<TGroup> Add<TGroup>(Operands<TGroup> sums, Operands<TGroup> gradients)
        where TGroup : unmanaged, IGroup<TGroup>
        => Operands<TGroup>.Of(
            sums.A + gradients.A,
            TFusion.Count > 1 ? sums.B + gradients.B : sums.B,
            TFusion.Count > 2 ? sums.C + gradients.C : sums.C,
            TFusion.Count > 3 ? sums.D + gradients.D : sums.D);

    private static void Write<TElement, TGroup>(GpuOperand to, long place, long available, int aligned, TGroup values)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (to.Spread == (int)OperandSpread.Whole && to.IsWanted != 0)
        {
            GpuOperand.Write<TElement, TGroup>(to, place, available, aligned, values);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SumColumns<TElement, TGroup>(GpuOperand to, ColumnBlock<TGroup> block, TGroup values, ArrayView<Four> parts,
        int aligned)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (to.Spread != (int)OperandSpread.Column || to.IsWanted == 0)
        {
            return;
        }

        TGroup sum = ColumnBlock<TGroup>.Sum(block, values, parts);
        if (block.Row == 0 && block.Available > 0)
        {
            GpuOperand.Write<TElement, TGroup>(to, block.Column, block.Available, aligned, sum);
        }

        GpuThread.Barrier();
    }

    private static void SumRow(Arguments a, GpuOperand to, int row, float value, ArrayView<double> parts)
    {
        if (to.Spread < (int)OperandSpread.Row || to.IsWanted == 0)
        {
            return;
        }

        float sum = SumOverRow(a, value, parts);
        if (ThreadOfRow(a) == 0)
        {
            GpuOperand.WriteOne(to, row, sum);
        }
    }

    /// <summary>What the threads of a row add up to, for each of them.</summary>
    private static float SumOverRow(Arguments a, float value, ArrayView<double> parts)
    {
        if (a.ThreadsOfRow == GpuThread.WarpSize)
        {
            return (float)Reduce.WarpSum((double)value);
        }

        float sum = (float)Reduce.BlockSum(value, parts, Warps);
        GpuThread.Barrier();
        return sum;
    }

    private static int FirstRow(Arguments a) => ((GpuThread.Block * LaunchSize.Threads) + GpuThread.Index) / a.ThreadsOfRow;

    private static int RowStep(Arguments a) => GpuThread.Blocks * (LaunchSize.Threads / a.ThreadsOfRow);

    private static int ThreadOfRow(Arguments a) => GpuThread.Index & (a.ThreadsOfRow - 1);

    /// <summary>Elements from a place on to the end of its row.</summary>
    private static long AvailableOf(Arguments a, long place, int column)
    {
        long left = a.Count - place;
        return left < a.Columns - column ? left : a.Columns - column;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operands<TGroup> Read<TElement, TGroup>(Arguments a, long row, int column, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => Operands<TGroup>.Of(
            GpuOperand.Read<TElement, TGroup>(a.A, row, column, place, available, a.Aligned),
            TFusion.Count > 1 ? GpuOperand.Read<TElement, TGroup>(a.B, row, column, place, available, a.Aligned) : TGroup.Splat(0),
            TFusion.Count > 2 ? GpuOperand.Read<TElement, TGroup>(a.C, row, column, place, available, a.Aligned) : TGroup.Splat(0),
            TFusion.Count > 3 ? GpuOperand.Read<TElement, TGroup>(a.D, row, column, place, available, a.Aligned) : TGroup.Splat(0));

    private struct Arguments
    {
        public GpuOperand A;
        public GpuOperand B;
        public GpuOperand C;
        public GpuOperand D;
        public GpuOperand Da;
        public GpuOperand Db;
        public GpuOperand Dc;
        public GpuOperand Dd;

        /// <summary>The output, or its gradient.</summary>
        public GpuArray Y;

        /// <summary>Further outputs, or their gradients; empty where these are 0.</summary>
        public GpuArray Y1;
        public GpuArray Y2;
        public GpuArray Y3;

        /// <summary>Of formulas of rows: what the kernel for rows leaves for that for columns, if anything.</summary>
        public GpuArray<float> Numbers;
        public TFusion Fusion;
        public long Count;
        public int Rows;
        public int Columns;
        public int Aligned;

        /// <summary>Those that take a row at a time, where rows are taken one by one: a warp or a block.</summary>
        public int ThreadsOfRow;
    }
}

/// <summary>Adds up what rows have left for a scalar.</summary>
internal static unsafe class FusedSum
{
    private const int Warps = LaunchSize.Threads / GpuThread.WarpSize;

    /// <summary>In one block.</summary>
    [GpuKernel(LaunchSize.Threads)]
    public static void Rows(SumArguments a)
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        double sum = 0;
        for (int row = GpuThread.Index; row < a.Count; row += LaunchSize.Threads)
        {
            sum += a.Rows.Start[row];
        }

        sum = Reduce.BlockSum(sum, parts, Warps);
        if (GpuThread.Index == 0)
        {
            GpuOperand.WriteOne(a.To, 0, (float)sum);
        }
    }
}

internal struct SumArguments
{
    public GpuArray<float> Rows;
    public GpuOperand To;
    public int Count;
}
