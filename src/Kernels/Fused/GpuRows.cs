using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Formulas;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

internal sealed unsafe partial class FusedKernels<TFusion>
{
    /// <summary>A formula of rows: a block takes a row at a time.</summary>
    [GpuKernel(LaunchSize.Threads, IsForRows = true)]
    private static void ForwardOfRows<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        for (int row = FirstRow(a); row < a.Rows; row += RowStep(a))
        {
            Row<float> sums = Sums<TElement, TGroup>(a, row, parts).Row;
            if (TFusion.IsPerRow)
            {
                if (ThreadOfRow(a) == 0)
                {
                    PartLanes<TFusion, Constants.Zero> map = PartLanes<TFusion, Constants.Zero>.Of(a.Fusion, sums);
                    TElement.Write(a.Y.Start, row, PartLanes<TFusion, Constants.Zero>.Map(map, default, 0).A);
                }
            }
            else
            {
                for (int column = ThreadOfRow(a) * TGroup.Lanes; column < a.Columns; column += a.ThreadsOfRow * TGroup.Lanes)
                {
                    WriteOutputs<TElement, TGroup>(a, row, column, sums);
                }
            }
        }
    }

    /// <summary>As <see cref="Rows"/>, of a formula of rows; leaves the numbers of the rows if they are wanted.</summary>
    [GpuKernel(LaunchSize.Threads, IsForRows = true)]
    private static void RowsWithSums<TElement, TGroup>(Arguments a)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<double> parts = SharedMemory.Allocate<double>(Warps);
        for (int row = FirstRow(a); row < a.Rows; row += RowStep(a))
        {
            RowNumbers numbers = GradientsOfSums<TElement, TGroup>(a, row, Sums<TElement, TGroup>(a, row, parts), parts);
            if (ThreadOfRow(a) == 0 && a.Numbers.Length > 0)
            {
                RowNumbers.Write(a.Numbers, row, numbers);
            }

            GradientsOfRow<TElement, TGroup>(a, numbers, row, parts);
        }
    }

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
        PartLanes<TFusion, TPart> terms = PartLanes<TFusion, TPart>.Of(a.Fusion, numbers);
        float total = SumOf<TElement, TGroup, PartLanes<TFusion, TPart>>(a, row, parts, terms).A;
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
        for (int column = ThreadOfRow(a) * TGroup.Lanes; column < a.Columns; column += a.ThreadsOfRow * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column, available = AvailableOf(a, place, column);
            Operands<TGroup> x = Read<TElement, TGroup>(a, row, column, place, available);
            TGroup dy = TMap.NeedsGradient ? ReadGradient<TElement, TGroup>(a, a.Y, row, place, available) : TGroup.Splat(1);
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
        sums.A = SumOverRow(a, TGroup.Sum(first), parts);
        if (TMap.Sums > 1)
        {
            sums.B = SumOverRow(a, TGroup.Sum(second), parts);
        }

        if (TMap.Sums > 2)
        {
            sums.C = SumOverRow(a, TGroup.Sum(third), parts);
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float MaximumOf<TElement, TGroup>(Arguments a, int row, ArrayView<double> parts)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        TGroup lowest = TGroup.Splat(float.NegativeInfinity), largest = lowest, one = TGroup.Splat(1);
        for (int column = ThreadOfRow(a) * TGroup.Lanes; column < a.Columns; column += a.ThreadsOfRow * TGroup.Lanes)
        {
            long place = ((long)row * a.Columns) + column, available = AvailableOf(a, place, column);
            TGroup x = GpuOperand.Read<TElement, TGroup>(a.A, row, column, place, available, a.Aligned);
            largest = TGroup.Max(largest, x + TGroup.WherePositive(one - TGroup.First(one, available), lowest));
        }

        if (a.ThreadsOfRow == GpuThread.WarpSize)
        {
            return Reduce.WarpMax(TGroup.Largest(largest));
        }

        float maximum = Reduce.BlockMax(TGroup.Largest(largest), parts, Warps);
        GpuThread.Barrier();
        return maximum;
    }
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
