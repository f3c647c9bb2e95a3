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
/// <para>Order: sums over rows as in <see cref="ColumnBlock"/>; sums along a row by one block, whose threads have fixed columns; the sum
/// over everything is that of the rows, in order. No atomics.</para>
/// <para>Launches: one forward; one backward, one more for operands that repeat along rows where others repeat along columns, and one
/// more for scalars. Formulas of rows keep the numbers of their rows for the launch that sums along columns.</para>
/// </remarks>
public sealed unsafe class FusedKernels<TFusion>(KernelLibrary library)
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
    public void Forward(CudaStream stream, TFusion fusion, FusedShape shape, Operands<FusedOperand> operands, FusedOperand y)
    {
        if (shape.Count == 0)
        {
            return;
        }

        CudaType type = TypeOf(y);
        Arguments arguments = ArgumentsOf(fusion, shape, operands, default, y, type, numbers: 0);
        long groups = shape.Rows * LaunchSize.DivideUp(shape.Columns, LaunchSize.Lanes(type));
        Interop.Grid grid = TFusion.Sums > 0 ? LaunchSize.Strided(shape.Rows, itemsPerBlock: 1) : LaunchSize.Strided(groups);
        _forward[type].Launch(stream, grid, arguments);
    }

    /// <summary>The gradients of the operands that have somewhere to go.</summary>
    /// <param name="dy">∂L/∂y, as y.</param>
    /// <param name="memory">As many floats as <see cref="MemoryOf"/> says.</param>
    public void Backward(CudaStream stream, TFusion fusion, FusedShape shape, FusedOperand dy, Operands<FusedOperand> operands,
        Operands<FusedOperand> gradients, nint memory)
    {
        CudaType type = TypeOf(dy);
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
            _rows[type].Launch(stream, LaunchSize.Strided(shape.Rows, itemsPerBlock: 1), arguments);
        }

        // Of no rows the sums are 0.
        if (columns && shape.Columns > 0)
        {
            Operands<FusedOperand> ofColumns = TFusion.Sums > 0
                ? Operands<FusedOperand>.Of(ForColumns(gradients.A), ForColumns(gradients.B), ForColumns(gradients.C), ForColumns(gradients.D))
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

    private static Arguments ArgumentsOf(TFusion fusion, FusedShape shape, Operands<FusedOperand> operands,
        Operands<FusedOperand> gradients, FusedOperand y, CudaType type, nint numbers)
    {
        nint places = (TFusion.IsPerRow ? 0 : y.Data) | PlaceOf(operands.A) | PlaceOf(operands.B) | PlaceOf(operands.C) | PlaceOf(operands.D)
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
            Y = new(y.Data, TFusion.IsPerRow ? shape.Rows : shape.Count),
            Numbers = new(numbers, numbers == 0 ? 0 : (long)shape.Rows * RowNumbers.Floats),
            Fusion = fusion,
            Count = shape.Count,
            Rows = shape.Rows,
            Columns = shape.Columns,
            Aligned = ColumnBlock.Aligned(shape.Columns, type, places),
        };
    }

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
            WriteOutput<TElement, TGroup>(a, row, (int)(index - (row * groups)) * TGroup.Lanes, default);
        }
    }

    /// <summary>A formula of rows: a block takes a row at a time.</summary>
    [GpuKernel(LaunchSize.Threads, IsForRows = true)]
    private static void ForwardOfRows<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        for (int row = GpuThread.Block; row < a.Rows; row += GpuThread.Blocks)
        {
            Row<float> sums = Sums<TElement, TGroup>(a, row, parts).Row;
            if (TFusion.IsPerRow)
            {
                if (GpuThread.Index == 0)
                {
                    ForwardLanes<TFusion> map = ForwardLanes<TFusion>.Of(a.Fusion, sums);
                    TElement.Write(a.Y.Start, row, ForwardLanes<TFusion>.Map(map, default, 0).A);
                }
            }
            else
            {
                for (int column = GpuThread.Index * TGroup.Lanes; column < a.Columns; column += LaunchSize.Threads * TGroup.Lanes)
                {
                    WriteOutput<TElement, TGroup>(a, row, column, sums);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteOutput<TElement, TGroup>(Arguments a, long row, int column, Row<float> sums)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        long place = (row * a.Columns) + column, available = AvailableOf(a, place, column);
        Operands<TGroup> x = Read<TElement, TGroup>(a, row, column, place, available);
        TGroup y = TGroup.Map(ForwardLanes<TFusion>.Of(a.Fusion, sums), x, TGroup.Splat(0)).A;
        TElement.WriteGroup(a.Y.Start, place, available, a.Aligned, y);
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
        for (int row = GpuThread.Block; row < a.Rows; row += GpuThread.Blocks)
        {
            GradientsOfRow<TElement, TGroup>(a, default, row, parts);
        }
    }

    /// <summary>As <see cref="Rows"/>, of a formula of rows; leaves the numbers of the rows if they are wanted.</summary>
    [GpuKernel(LaunchSize.Threads, IsForRows = true)]
    private static void RowsWithSums<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        for (int row = GpuThread.Block; row < a.Rows; row += GpuThread.Blocks)
        {
            RowNumbers numbers = GradientsOfSums<TElement, TGroup>(a, row, Sums<TElement, TGroup>(a, row, parts), parts);
            if (GpuThread.Index == 0 && a.Numbers.Length > 0)
            {
                RowNumbers.Write(a.Numbers, row, numbers);
            }

            GradientsOfRow<TElement, TGroup>(a, numbers, row, parts);
        }
    }

    private static void GradientsOfRow<TElement, TGroup>(Arguments a, RowNumbers numbers, int row, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        Operands<TGroup> sums = default;
        for (int column = GpuThread.Index * TGroup.Lanes; column < a.Columns; column += LaunchSize.Threads * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column;
            sums = Add(sums, Gradients<TElement, TGroup>(a, numbers, row, column, place, AvailableOf(a, place, column)));
        }

        SumRow(a.Da, row, TGroup.Sum(sums.A), parts);
        if (TFusion.Count > 1)
        {
            SumRow(a.Db, row, TGroup.Sum(sums.B), parts);
        }

        if (TFusion.Count > 2)
        {
            SumRow(a.Dc, row, TGroup.Sum(sums.C), parts);
        }

        if (TFusion.Count > 3)
        {
            SumRow(a.Dd, row, TGroup.Sum(sums.D), parts);
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
        GradientLanes<TFusion> map = default;
        map.Fusion = a.Fusion;
        map.Numbers = numbers;
        Operands<TGroup> gradients = TGroup.Map(map, x, ReadGradient<TElement, TGroup>(a, row, place, available));
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

    private static TGroup ReadGradient<TElement, TGroup>(Arguments a, int row, long place, long available)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        => TFusion.IsPerRow ? TGroup.Splat(TElement.Read(a.Y.Start, row))
            : available > 0 ? TElement.ReadGroup(a.Y.Start, place, available, a.Aligned)
            : TGroup.Splat(0);

    /// <summary>The sums of a row, for every thread of the block, and in place of gradients the slope of what became of each along
    /// itself.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static RowNumbers Sums<TElement, TGroup>(Arguments a, int row, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        RowNumbers numbers = default;
        numbers.Row.Count = a.Columns;
        if (TFusion.NeedsMaximum)
        {
            numbers.Row.Maximum = MaximumOf<TElement, TGroup>(a, row, parts);
        }

        Operands<float> first = Sum<TElement, TGroup, Constants.One>(a, row, numbers.Row, parts);
        numbers.Row.First = first.A;
        numbers.Gradients.First = first.B;
        if (TFusion.Sums > 1)
        {
            Operands<float> second = Sum<TElement, TGroup, Constants.Two>(a, row, numbers.Row, parts);
            numbers.Row.Second = second.A;
            numbers.Gradients.Second = second.B;
        }

        if (TFusion.Sums > 2)
        {
            Operands<float> third = Sum<TElement, TGroup, Constants.Three>(a, row, numbers.Row, parts);
            numbers.Row.Third = third.A;
            numbers.Gradients.Third = third.B;
        }

        return numbers;
    }

    /// <summary>What has become of a sum, and its slope along the sum.</summary>
    private static Operands<float> Sum<TElement, TGroup, TPart>(Arguments a, int row, Row<float> numbers, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        where TPart : struct, IConstant
    {
        TermLanes<TFusion, TPart> terms = TermLanes<TFusion, TPart>.Of(a.Fusion, numbers);
        float total = SumOf<TElement, TGroup, TermLanes<TFusion, TPart>>(a, row, parts, terms).A;
        Dual<SingleMath<GpuLane, float>, float> finished = Derivative.Of<TFusion, SingleMath<GpuLane, float>, float>(
            a.Fusion, IFusion.Finished + TPart.Value, total, 0, 0, 0, numbers, 0);
        return Operands<float>.Of(finished.Value, finished.Varies ? finished.Slope : 0, 0, 0);
    }

    /// <summary>∂L along the sums: what the output passes back, and then each sum to those before it.</summary>
    /// <param name="numbers">As <see cref="Sums"/> has left them.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static RowNumbers GradientsOfSums<TElement, TGroup>(Arguments a, int row, RowNumbers numbers, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        SlopeLanes<TFusion, Constants.Zero> ofOutput = SlopeLanes<TFusion, Constants.Zero>.Of(a.Fusion, numbers.Row);
        Operands<float> gradients = TFusion.IsPerRow
            ? SlopeLanes<TFusion, Constants.Zero>.Map(ofOutput, default, TElement.Read(a.Y.Start, row))
            : SumOf<TElement, TGroup, SlopeLanes<TFusion, Constants.Zero>>(a, row, parts, ofOutput);
        if (TFusion.Sums > 2)
        {
            gradients.C *= numbers.Gradients.Third;
            Operands<float> third = SumOf<TElement, TGroup, SlopeLanes<TFusion, Constants.Three>>(
                a, row, parts, SlopeLanes<TFusion, Constants.Three>.Of(a.Fusion, numbers.Row));
            gradients.A += gradients.C * third.A;
            gradients.B += gradients.C * third.B;
        }

        if (TFusion.Sums > 1)
        {
            gradients.B *= numbers.Gradients.Second;
            Operands<float> second = SumOf<TElement, TGroup, SlopeLanes<TFusion, Constants.Two>>(
                a, row, parts, SlopeLanes<TFusion, Constants.Two>.Of(a.Fusion, numbers.Row));
            gradients.A += gradients.B * second.A;
        }

        numbers.Gradients.First *= gradients.A;
        numbers.Gradients.Second = gradients.B;
        numbers.Gradients.Third = gradients.C;
        return numbers;
    }

    /// <summary>What a map makes of the elements of a row, added up by the block.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Operands<float> SumOf<TElement, TGroup, TMap>(Arguments a, int row, ArrayView<double> parts, TMap map)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
        where TMap : unmanaged, ISumMap<TMap>
    {
        TGroup first = TGroup.Splat(0), second = TGroup.Splat(0), third = TGroup.Splat(0);
        for (int column = GpuThread.Index * TGroup.Lanes; column < a.Columns; column += LaunchSize.Threads * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column, available = AvailableOf(a, place, column);
            Operands<TGroup> x = Read<TElement, TGroup>(a, row, column, place, available);
            TGroup dy = TMap.NeedsGradient ? ReadGradient<TElement, TGroup>(a, row, place, available) : TGroup.Splat(1);
            Operands<TGroup> terms = TGroup.Map(map, x, dy);
            first += TGroup.First(terms.A, available);
            if (TMap.Sums > 1)
            {
                second += TGroup.First(terms.B, available);
            }

            if (TMap.Sums > 2)
            {
                third += TGroup.First(terms.C, available);
            }
        }

        Operands<float> sums = default;
        sums.A = BlockSum(TGroup.Sum(first), parts);
        if (TMap.Sums > 1)
        {
            sums.B = BlockSum(TGroup.Sum(second), parts);
        }

        if (TMap.Sums > 2)
        {
            sums.C = BlockSum(TGroup.Sum(third), parts);
        }

        return sums;
    }

    private static float BlockSum(float value, ArrayView<double> parts)
    {
        float sum = (float)Reduce.BlockSum(value, parts, Warps);
        GpuThread.Barrier();
        return sum;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float MaximumOf<TElement, TGroup>(Arguments a, int row, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        TGroup lowest = TGroup.Splat(float.NegativeInfinity), largest = lowest, one = TGroup.Splat(1);
        for (int column = GpuThread.Index * TGroup.Lanes; column < a.Columns; column += LaunchSize.Threads * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column, available = AvailableOf(a, place, column);
            TGroup x = GpuOperand.Read<TElement, TGroup>(a.A, row, column, place, available, a.Aligned);
            largest = TGroup.Max(largest, x + TGroup.WherePositive(one - TGroup.First(one, available), lowest));
        }

        float maximum = Reduce.BlockMax(TGroup.Largest(largest), parts, Warps);
        GpuThread.Barrier();
        return maximum;
    }

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

    private static void SumRow(GpuOperand to, int row, float value, ArrayView<double> parts)
    {
        if (to.Spread < (int)OperandSpread.Row || to.IsWanted == 0)
        {
            return;
        }

        double sum = Reduce.BlockSum(value, parts, Warps);
        if (GpuThread.Index == 0)
        {
            GpuOperand.WriteOne(to, row, (float)sum);
        }

        GpuThread.Barrier();
    }

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

        /// <summary>Of formulas of rows: what the kernel for rows leaves for that for columns, if anything.</summary>
        public GpuArray<float> Numbers;
        public TFusion Fusion;
        public long Count;
        public int Rows;
        public int Columns;
        public int Aligned;
    }
}

/// <summary>An operand in a GPU's memory, of the kernel's type or of the other.</summary>
internal unsafe struct GpuOperand
{
    public GpuArray<byte> Data;

    /// <summary>As <see cref="OperandSpread"/>.</summary>
    public int Spread;

    /// <summary>Whether it is in half precision in a kernel for single precision, or the other way round.</summary>
    public int IsOther;

    public int IsHalf;

    /// <summary>Of a gradient: whether it is.</summary>
    public int IsWanted;

    /// <summary>Of a gradient: whether it is added to what is there.</summary>
    public int Adds;

    public static GpuOperand Of(FusedOperand operand, FusedShape shape, CudaType type)
    {
        long count = operand.Spread switch
        {
            OperandSpread.Whole => shape.Count,
            OperandSpread.Column => shape.Columns,
            OperandSpread.Row => shape.Rows,
            _ => 1,
        };
        GpuOperand result = default;
        result.Data = new(operand.Data, operand.Data == 0 ? 0 : count * (operand.IsHalf ? 2 : 4));
        result.Spread = (int)operand.Spread;
        result.IsHalf = operand.IsHalf ? 1 : 0;
        result.IsWanted = operand.Data == 0 ? 0 : 1;
        result.Adds = operand.Adds ? 1 : 0;
        result.IsOther = operand.IsHalf == (type == CudaType.Float16) ? 0 : 1;
        return result;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static TGroup Read<TElement, TGroup>(GpuOperand operand, long row, int column, long place, long available, int aligned)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (operand.Spread >= (int)OperandSpread.Row)
        {
            long index = operand.Spread == (int)OperandSpread.Row ? row : 0;
            return TGroup.Splat(operand.IsHalf != 0 ? Float16.Read(operand.Data.Start, index) : Float32.Read(operand.Data.Start, index));
        }

        long at = operand.Spread == (int)OperandSpread.Whole ? place : column;
        return operand.IsOther != 0
            ? TGroup.ReadOther(operand.Data.Start, at, available, aligned)
            : TElement.ReadGroup(operand.Data.Start, at, available, aligned);
    }

    /// <summary>A group of a gradient, which is added where it is to be.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Write<TElement, TGroup>(GpuOperand to, long at, long available, int aligned, TGroup values)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (to.Adds != 0)
        {
            values += to.IsOther != 0
                ? TGroup.ReadOther(to.Data.Start, at, available, aligned)
                : TElement.ReadGroup(to.Data.Start, at, available, aligned);
        }

        if (to.IsOther != 0)
        {
            TGroup.WriteOther(to.Data.Start, at, available, aligned, values);
        }
        else
        {
            TElement.WriteGroup(to.Data.Start, at, available, aligned, values);
        }
    }

    /// <summary>One number of a gradient.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void WriteOne(GpuOperand to, long at, float value)
    {
        if (to.IsHalf != 0)
        {
            Float16.Write(to.Data.Start, at, to.Adds != 0 ? value + Float16.Read(to.Data.Start, at) : value);
        }
        else
        {
            Float32.Write(to.Data.Start, at, to.Adds != 0 ? value + Float32.Read(to.Data.Start, at) : value);
        }
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

/// <summary>What the elements of a row have in common.</summary>
internal unsafe struct RowNumbers
{
    /// <summary>Of a row in memory: two accesses of 16 bytes.</summary>
    public const int Floats = 8;

    public Row<float> Row;

    /// <summary>∂L along the sums before they were finished.</summary>
    public Row<float> Gradients;

    public static RowNumbers Read(GpuArray<float> from, int row)
    {
        Four sums = Four.ReadFloats(from.Start + ((long)row * Floats), Four.Lanes, aligned: 1);
        Four gradients = Four.ReadFloats(from.Start + ((long)row * Floats) + Four.Lanes, Four.Lanes, aligned: 1);
        RowNumbers numbers = default;
        numbers.Row.Maximum = sums.A;
        numbers.Row.First = sums.B;
        numbers.Row.Second = sums.C;
        numbers.Row.Third = sums.D;
        numbers.Gradients.First = gradients.A;
        numbers.Gradients.Second = gradients.B;
        numbers.Gradients.Third = gradients.C;
        numbers.Row.Count = gradients.D;
        return numbers;
    }

    public static void Write(GpuArray<float> to, int row, RowNumbers numbers)
    {
        Four.WriteFloats(to.Start + ((long)row * Floats), Four.Lanes, aligned: 1,
            Four.Of(numbers.Row.Maximum, numbers.Row.First, numbers.Row.Second, numbers.Row.Third));
        Four.WriteFloats(to.Start + ((long)row * Floats) + Four.Lanes, Four.Lanes, aligned: 1,
            Four.Of(numbers.Gradients.First, numbers.Gradients.Second, numbers.Gradients.Third, numbers.Row.Count));
    }
}

/// <summary>A formula for one lane of a group.</summary>
internal struct ForwardLanes<TFusion> : ILaneMap<ForwardLanes<TFusion>>
    where TFusion : unmanaged, IFusion
{
    private TFusion _fusion;
    private Row<float> _row;

    public static ForwardLanes<TFusion> Of(TFusion fusion, Row<float> row)
    {
        ForwardLanes<TFusion> map = default;
        map._fusion = fusion;
        map._row = row;
        return map;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(ForwardLanes<TFusion> map, Operands<float> x, float gradient) =>
        LaneValue.Of(map._fusion, IFusion.Output, x, map._row);
}

/// <summary>The terms of a sum.</summary>
internal struct TermLanes<TFusion, TPart> : ISumMap<TermLanes<TFusion, TPart>>
    where TFusion : unmanaged, IFusion
    where TPart : struct, IConstant
{
    private TFusion _fusion;
    private Row<float> _row;

    public static int Sums => 1;

    public static bool NeedsGradient => false;

    public static TermLanes<TFusion, TPart> Of(TFusion fusion, Row<float> row)
    {
        TermLanes<TFusion, TPart> map = default;
        map._fusion = fusion;
        map._row = row;
        return map;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(TermLanes<TFusion, TPart> map, Operands<float> x, float gradient) =>
        LaneValue.Of(map._fusion, TPart.Value, x, map._row);
}

/// <summary>The slopes of a part along the sums before it, times a gradient.</summary>
internal struct SlopeLanes<TFusion, TPart> : ISumMap<SlopeLanes<TFusion, TPart>>
    where TFusion : unmanaged, IFusion
    where TPart : struct, IConstant
{
    private TFusion _fusion;
    private Row<float> _row;

    public static int Sums => TPart.Value == IFusion.Output ? TFusion.Sums : TPart.Value - 1;

    public static bool NeedsGradient => TPart.Value == IFusion.Output;

    public static SlopeLanes<TFusion, TPart> Of(TFusion fusion, Row<float> row)
    {
        SlopeLanes<TFusion, TPart> map = default;
        map._fusion = fusion;
        map._row = row;
        return map;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(SlopeLanes<TFusion, TPart> map, Operands<float> x, float gradient) => Operands<float>.Of(
        gradient * Along(map, x, 0), Sums > 1 ? gradient * Along(map, x, 1) : 0, Sums > 2 ? gradient * Along(map, x, 2) : 0, 0);

    private static float Along(SlopeLanes<TFusion, TPart> map, Operands<float> x, int sum) =>
        map._fusion.Slope<SingleMath<GpuLane, float>, float>(
            TPart.Value, x.A, x.B, x.C, x.D, map._row, Operands<float>.Most + sum);
}

/// <summary>The gradients of a formula's operands for one lane of a group.</summary>
internal struct GradientLanes<TFusion> : ILaneMap<GradientLanes<TFusion>>
    where TFusion : unmanaged, IFusion
{
    public TFusion Fusion;
    public RowNumbers Numbers;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static Operands<float> Map(GradientLanes<TFusion> map, Operands<float> x, float gradient) => Operands<float>.Of(
        Along(map, x, gradient, 0),
        TFusion.Count > 1 ? Along(map, x, gradient, 1) : 0,
        TFusion.Count > 2 ? Along(map, x, gradient, 2) : 0,
        TFusion.Count > 3 ? Along(map, x, gradient, 3) : 0);

    /// <summary>By the output, and by the sums of the row.</summary>
    private static float Along(GradientLanes<TFusion> map, Operands<float> x, float dy, int operand)
    {
        float gradient = TFusion.IsPerRow ? 0 : dy * Slope(map, IFusion.Output, x, operand);
        if (TFusion.Sums > 0)
        {
            gradient += map.Numbers.Gradients.First * Slope(map, 1, x, operand);
        }

        if (TFusion.Sums > 1)
        {
            gradient += map.Numbers.Gradients.Second * Slope(map, 2, x, operand);
        }

        if (TFusion.Sums > 2)
        {
            gradient += map.Numbers.Gradients.Third * Slope(map, 3, x, operand);
        }

        return gradient;
    }

    private static float Slope(GradientLanes<TFusion> map, int part, Operands<float> x, int operand) =>
        map.Fusion.Slope<SingleMath<GpuLane, float>, float>(part, x.A, x.B, x.C, x.D, map.Numbers.Row, operand);
}

/// <summary>Something that is added up over the lanes of groups.</summary>
internal interface ISumMap<TSelf> : ILaneMap<TSelf>
    where TSelf : unmanaged, ISumMap<TSelf>
{
    /// <summary>How many of the results are added up.</summary>
    static abstract int Sums { get; }

    /// <summary>Whether it needs the gradient of the output.</summary>
    static abstract bool NeedsGradient { get; }
}

/// <summary>A part of a fusion for one lane.</summary>
internal static class LaneValue
{
    public static Operands<float> Of<TFusion>(TFusion fusion, int part, Operands<float> x, Row<float> row)
        where TFusion : unmanaged, IFusion
    {
        Row<Real<SingleMath<GpuLane, float>, float>> sums = default;
        if (TFusion.Sums > 0)
        {
            sums.Maximum = new(row.Maximum);
            sums.First = new(row.First);
            sums.Second = new(row.Second);
            sums.Third = new(row.Third);
            sums.Count = new(row.Count);
        }

        Operands<float> value = default;
        value.A = fusion.Value<Real<SingleMath<GpuLane, float>, float>>(
            part, new(x.A), new(x.B), new(x.C), new(x.D), sums).Value;
        return value;
    }
}
