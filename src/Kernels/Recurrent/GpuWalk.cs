using CudaTrainer.Kernels.Device;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// A recurrent layer that reads W_hh from memory at every step, for any number of hidden units that fits shared memory. A block of
/// <see cref="Threads"/> threads runs one sequence from its first step to its last, so steps need nothing but barriers.
/// </summary>
/// <remarks>
/// <para>Cost: 2·gates·H² FLOPs a step, sequence and direction, and W_hh as often from the L2 cache, which bounds it.</para>
/// <para>Access: whole lines of W_hh. Forward a warp has a unit, whose rows of all gates it reads together: independent loads, and their
/// butterflies overlap; its lanes have stretches of the rows. Backward a lane has four columns and a warp every 16th row.</para>
/// <para>Order: one block for a sequence, no atomics; products sum in an order fixed by H.</para>
/// </remarks>
internal static unsafe class GpuWalk
{
    public const int Threads = 512;

    private const int Warps = Threads / GpuThread.WarpSize;

    /// <summary>Hidden units that the forward kernel finishes at a time, and columns that the backward kernel sums at a time.</summary>
    private const int Tile = 128;

    /// <summary>Shared memory forward: h before and after the step, and the products of a tile.</summary>
    public static int ForwardShared(int hidden, int gates) => sizeof(float) * ((2 * StateLength(hidden)) + (gates * Tile));

    /// <summary>Shared memory backward: partial sums, gate gradients, and twice what is passed to the step before.</summary>
    public static int BackwardShared(int hidden, int gates) => sizeof(float) * ((Warps * Tile) + ((gates + 2) * hidden));

    public static void Forward<TCell, TElement, TGroup>(RecurrentForward a)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int length = StateLength(a.Hidden), before = 0, after = length;
        ArrayView<float> sums = shared.SubView(2 * length, TCell.Gates * Tile);
        int firstRow = GpuThread.Block * a.Time;
        for (int i = GpuThread.Index; i < 2 * length; i += Threads)
        {
            shared[i] = 0;
        }

        GpuThread.Barrier();
        for (int step = 0; step < a.Time; step++)
        {
            int row = firstRow + a.TimeOf(step);
            for (int tile = 0; tile < a.Hidden; tile += Tile)
            {
                int units = a.Hidden - tile < Tile ? a.Hidden - tile : Tile, unit = tile + GpuThread.Index;
                bool finishes = GpuThread.Index < units;
                GateValues<float> fromInput = default;
                float carried = 0;
                if (finishes)
                {
                    fromInput = a.ReadInput<TCell, TElement, TGroup>(row, unit);
                    if (TCell.CarriesOutput)
                    {
                        carried = shared[before + unit];
                    }
                    else if (step > 0)
                    {
                        carried = a.Carried.Start[((long)(firstRow + a.TimeOf(step - 1)) * a.Hidden) + unit];
                    }
                }

                MultiplyRows<TCell, TElement, TGroup>(a, shared, before, tile, units, sums);
                GpuThread.Barrier();
                if (finishes)
                {
                    float output = Finish<TCell, TElement, TGroup>(a, row, unit, fromInput, sums, ref carried);
                    shared[after + unit] = output;
                    a.WriteState<TCell, TElement, TGroup>(((long)row * a.Hidden) + unit, carried, output);
                }

                GpuThread.Barrier();
            }

            before = length - before;
            after = length - after;
        }
    }

    public static void Backward<TCell, TElement, TGroup>(RecurrentBackward a)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        ArrayView<float> gradients = shared.SubView(Warps * Tile, TCell.Gates * a.Hidden);
        ArrayView<float> dh = shared.SubView((Warps * Tile) + (TCell.Gates * a.Hidden), a.Hidden);
        ArrayView<float> dCarried = shared.SubView((Warps * Tile) + ((TCell.Gates + 1) * a.Hidden), a.Hidden);
        int firstRow = GpuThread.Block * a.Time;
        for (int unit = GpuThread.Index; unit < a.Hidden; unit += Threads)
        {
            dh[unit] = 0;
            dCarried[unit] = 0;
        }

        GpuThread.Barrier();
        for (int step = a.Time - 1; step >= 0; step--)
        {
            int row = firstRow + a.TimeOf(step);
            for (int unit = GpuThread.Index; unit < a.Hidden; unit += Threads)
            {
                RecurrentStep own = RecurrentStep.Read<TCell, TElement, TGroup>(a, firstRow, step, unit);
                float carried = TCell.CarriesOutput ? 0 : a.Carried.Start[((long)row * a.Hidden) + unit], passed = dCarried[unit];
                GateValues<float> d = TCell.Gradient<GpuLane, float>(own.Saved, own.Before, carried, own.DY + dh[unit], ref passed);
                dCarried[unit] = passed;
                gradients[unit] = d.A;
                gradients[a.Hidden + unit] = d.B;
                gradients[(2 * a.Hidden) + unit] = d.C;
                if (TCell.Gates > 3)
                {
                    gradients[(3 * a.Hidden) + unit] = d.D;
                }

                a.WriteGradients<TCell, TElement, TGroup>(row, unit, d);
            }

            GpuThread.Barrier();
            if (step > 0)
            {
                MultiplyColumns<TCell, TElement, TGroup>(a, gradients, dh, shared);
            }
        }
    }

    /// <summary>Floats of a state in shared memory: whole groups, so that products need no look at its end.</summary>
    private static int StateLength(int hidden) => (hidden + 7) & ~7;

    /// <summary>sums[gate·Tile + i] = Σ_k W[gate·H + tile + i, k]·h[k] for the units of a tile.</summary>
    private static void MultiplyRows<TCell, TElement, TGroup>(
        RecurrentForward a, ArrayView<float> shared, int state, int tile, int units, ArrayView<float> sums)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        ArrayView<TGroup> groups = shared.Cast<TGroup>();
        long block = (long)a.Hidden * a.Hidden;
        for (int i = GpuThread.Warp; i < units; i += Warps)
        {
            TGroup productA = TGroup.Splat(0), productB = productA, productC = productA, productD = productA;
            long row = (long)(tile + i) * a.Hidden;
            for (int k = GpuThread.Lane * TGroup.Lanes; k < a.Hidden; k += GpuThread.WarpSize * TGroup.Lanes)
            {
                TGroup h = groups[(state + k) / TGroup.Lanes];
                int left = a.Hidden - k;
                long at = row + k;
                productA = TGroup.Fma(TElement.ReadGroup(a.Weights.Start, at, left, a.Aligned), h, productA);
                productB = TGroup.Fma(TElement.ReadGroup(a.Weights.Start, at + block, left, a.Aligned), h, productB);
                productC = TGroup.Fma(TElement.ReadGroup(a.Weights.Start, at + (2 * block), left, a.Aligned), h, productC);
                if (TCell.Gates > 3)
                {
                    productD = TGroup.Fma(TElement.ReadGroup(a.Weights.Start, at + (3 * block), left, a.Aligned), h, productD);
                }
            }

            float sumA = Reduce.WarpSum(TGroup.Sum(productA)), sumB = Reduce.WarpSum(TGroup.Sum(productB));
            float sumC = Reduce.WarpSum(TGroup.Sum(productC));
            float sumD = TCell.Gates > 3 ? Reduce.WarpSum(TGroup.Sum(productD)) : 0;
            if (GpuThread.Lane == 0)
            {
                sums[i] = sumA;
                sums[Tile + i] = sumB;
                sums[(2 * Tile) + i] = sumC;
                if (TCell.Gates > 3)
                {
                    sums[(3 * Tile) + i] = sumD;
                }
            }
        }
    }

    /// <summary>The step of a unit whose products are there; saves what backward needs.</summary>
    private static float Finish<TCell, TElement, TGroup>(
        RecurrentForward a, int row, int unit, GateValues<float> fromInput, ArrayView<float> sums, ref float carried)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int i = GpuThread.Index;
        GateValues<float> gates = default;
        gates.A = TCell.Activate<GpuLane, float>(0, fromInput.A + sums[i]);
        gates.B = TCell.Activate<GpuLane, float>(1, fromInput.B + sums[Tile + i]);
        if (TCell.JoinsLate)
        {
            gates.C = fromInput.C;
            gates.D = sums[(2 * Tile) + i] + fromInput.D;
        }
        else
        {
            gates.C = TCell.Activate<GpuLane, float>(2, fromInput.C + sums[(2 * Tile) + i]);
            gates.D = TCell.Activate<GpuLane, float>(3, fromInput.D + sums[(3 * Tile) + i]);
        }

        float output = TCell.Step<GpuLane, float>(ref gates, ref carried);
        TElement.WriteStrided(a.Saved.Start, ((long)row * (4 * a.Hidden)) + unit, a.Hidden, 4, Four.Of(gates.A, gates.B, gates.C, gates.D));
        return output;
    }

    /// <summary>
    /// sums[k] = Σ_r W[r, k]·gradients[r] for all k, there for every thread on return; <paramref name="parts"/> has a tile for each warp.
    /// </summary>
    private static void MultiplyColumns<TCell, TElement, TGroup>(
        RecurrentBackward a, ArrayView<float> gradients, ArrayView<float> sums, ArrayView<float> parts)
        where TCell : struct, ICell
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        for (int tile = 0; tile < a.Hidden; tile += Tile)
        {
            int column = tile + (4 * GpuThread.Lane);
            Four totals = default;
            if (column < a.Hidden)
            {
                int row = GpuThread.Warp, rows = TCell.Gates * a.Hidden;
                if (a.Aligned != 0)
                {
                    // The L2 cache answers after hundreds of cycles: eight rows at a time are on their way.
                    for (; row + (7 * Warps) < rows; row += 8 * Warps)
                    {
                        totals = AddRow<TElement, TGroup>(a, row, column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + Warps, column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (2 * Warps), column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (3 * Warps), column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (4 * Warps), column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (5 * Warps), column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (6 * Warps), column, 1, gradients, totals);
                        totals = AddRow<TElement, TGroup>(a, row + (7 * Warps), column, 1, gradients, totals);
                    }
                }

                for (; row < rows; row += Warps)
                {
                    totals = AddRow<TElement, TGroup>(a, row, column, a.Aligned, gradients, totals);
                }
            }

            parts.Cast<Four>()[GpuThread.Index] = totals;
            GpuThread.Barrier();
            if (GpuThread.Index < Tile && tile + GpuThread.Index < a.Hidden)
            {
                float sum = 0;
                for (int warp = 0; warp < Warps; warp++)
                {
                    sum += parts[(warp * Tile) + GpuThread.Index];
                }

                sums[tile + GpuThread.Index] = sum;
            }

            GpuThread.Barrier();
        }
    }

    /// <summary>
    /// Adds to the sums of four columns what one row gives; <paramref name="aligned"/> also says that all four are there.
    /// </summary>
    private static Four AddRow<TElement, TGroup>(
        RecurrentBackward a, int row, int column, int aligned, ArrayView<float> gradients, Four totals)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        int available = aligned != 0 ? 4 : a.Hidden - column;
        Four weights = TElement.ReadFour(a.Weights.Start, ((long)row * a.Hidden) + column, available, aligned);
        return Four.Fma(weights, Four.Splat(gradients[row]), totals);
    }
}
