using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>A recurrent layer over whole sequences from zero state.</summary>
/// <remarks>
/// <para>The products with the input and all weight gradients are single matrix products over all B·T rows; only the recurrent product runs
/// step by step (<see cref="RecurrentWalk{TStep}"/>), with the gate maths in the same pass.</para>
/// <para>Gate gradients are rows of <see cref="Blocks"/> blocks. Where a cell joins its last gate late, that gate's parts have gradients of
/// their own: the part from the state comes first and the part from the input last, so that the last three are W_ih's blocks in order, and
/// the first three are W_hh's, rotated.</para>
/// </remarks>
internal static unsafe class RecurrentLayer<TCell>
    where TCell : struct, ICell
{
    /// <summary>Blocks of H numbers that a row of what the cell saves, and of the gate gradients, holds.</summary>
    private const int Blocks = 4;

    /// <summary>
    /// What the cell saves [B·T, 4H], and what it carries [B·T, H] unless that is the output, as float or <see cref="Half"/>.
    /// </summary>
    public static long ReserveBytes(in RecurrentShape shape) =>
        (long)shape.Rows * (TCell.CarriesOutput ? Blocks : Blocks + 1) * shape.Hidden * (shape.HalfReserve ? sizeof(Half) : sizeof(float));

    /// <param name="shape">Sizes and options.</param>
    /// <param name="x">Input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [gates·H, I].</param>
    /// <param name="hiddenWeights">W_hh [gates·H, H].</param>
    /// <param name="inputBias">The bias of the parts from the input, or of the whole gates where they have one [gates·H].</param>
    /// <param name="hiddenBias">The bias of the parts from the state [gates·H]; null where the gates have one bias.</param>
    /// <param name="y">Output: h of every step [B, T, H].</param>
    /// <param name="reserve">Output: what backward needs.</param>
    public static void Forward<T, TSource>(
        ThreadTeam team, in RecurrentShape shape, T* x, float* inputWeights, float* hiddenWeights, float* inputBias, float* hiddenBias,
        float* y, void* reserve)
        where T : unmanaged, IEquatable<T>
        where TSource : struct, IPackSource<T>
    {
        // In single precision the sums are made where their gates go, in the first blocks of a row of the reserve.
        int columns = TCell.Gates * shape.Hidden, sumsStride = shape.HalfReserve ? columns : Blocks * shape.Hidden;
        nint sumsLength = shape.HalfReserve ? (nint)shape.Rows * columns : 0;
        nint carryLength = TCell.CarriesOutput ? 0 : (nint)shape.Batch * shape.Hidden;
        nint length = sumsLength + carryLength + RecurrentProduct.PackedLength(shape.Hidden);
        float* workspace = (float*)team.Workspace((nuint)length * sizeof(float));
        float* sums = shape.HalfReserve ? workspace : (float*)reserve;
        InputProduct.Forward<T, TSource>(team, shape, columns, x, inputWeights, inputBias, sums, sumsStride);
        var forward = new ForwardMemory(sums, sumsStride, workspace + sumsLength, workspace + sumsLength + carryLength);
        if (shape.HalfReserve)
        {
            WalkForward(team, shape, hiddenWeights, hiddenBias, y, (Half*)reserve, forward);
        }
        else
        {
            WalkForward(team, shape, hiddenWeights, hiddenBias, y, (float*)reserve, forward);
        }
    }

    /// <param name="x">Forward input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [gates·H, I]; read only for <paramref name="inputGradient"/>.</param>
    /// <param name="hiddenWeights">W_hh [gates·H, H].</param>
    /// <param name="y">Forward output [B, T, H].</param>
    /// <param name="reserve">As filled by the forward pass; not changed.</param>
    /// <param name="outputGradient">∂L/∂y [B, T, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, I], overwritten; null when nobody needs it.</param>
    /// <param name="inputWeightsGradient">∂L/∂W_ih, added to.</param>
    /// <param name="hiddenWeightsGradient">∂L/∂W_hh, added to.</param>
    /// <param name="inputBiasGradient">That of the parts from the input, added to.</param>
    /// <param name="hiddenBiasGradient">That of the parts from the state, added to; null where the gates have one bias.</param>
    public static void Backward<T, TSource>(
        ThreadTeam team, in RecurrentShape shape, T* x, float* inputWeights, float* hiddenWeights, float* y, void* reserve,
        float* outputGradient, float* inputGradient, float* inputWeightsGradient, float* hiddenWeightsGradient, float* inputBiasGradient,
        float* hiddenBiasGradient)
        where T : unmanaged, IEquatable<T>
        where TSource : struct, IPackSource<T>
    {
        int hidden = shape.Hidden, columns = TCell.Gates * hidden, stride = Blocks * hidden;
        nint gatesLength = (nint)shape.Rows * stride;
        nint previousLength = (nint)shape.Rows * hidden;
        nint carryLength = (nint)shape.Batch * hidden;
        nint length = gatesLength + previousLength + carryLength + RecurrentProduct.PackedLength(hidden);
        float* gates = (float*)team.Workspace((nuint)length * sizeof(float));
        float* previous = gates + gatesLength;
        var backward = new BackwardMemory(gates, previous, previous + previousLength, previous + previousLength + carryLength);
        if (shape.HalfReserve)
        {
            WalkBackward(team, shape, hiddenWeights, y, (Half*)reserve, outputGradient, backward);
        }
        else
        {
            WalkBackward(team, shape, hiddenWeights, y, (float*)reserve, outputGradient, backward);
        }

        float* fromInput = TCell.JoinsLate ? gates + hidden : gates;
        int joined = TCell.JoinsLate ? columns - hidden : columns;
        Gemm.Run(
            team, true, false, joined, hidden, shape.Rows, fromInput, stride, previous, hidden, hiddenWeightsGradient, hidden,
            accumulate: true);
        if (TCell.JoinsLate)
        {
            Gemm.Run(
                team, true, false, hidden, hidden, shape.Rows, gates, stride, previous, hidden,
                hiddenWeightsGradient + ((nint)joined * hidden), hidden, accumulate: true);
            ColumnSum.Accumulate(team, shape.Rows, joined, fromInput, stride, hiddenBiasGradient);
            ColumnSum.Accumulate(team, shape.Rows, hidden, gates, stride, hiddenBiasGradient + joined);
        }

        ColumnSum.Accumulate(team, shape.Rows, columns, fromInput, stride, inputBiasGradient);
        if (inputGradient != null)
        {
            Gemm.Run(
                team, false, false, shape.Rows, shape.Inputs, columns, fromInput, stride, inputWeights, shape.Inputs, inputGradient,
                shape.Inputs);
        }

        InputProduct.WeightGradient<T, TSource>(team, shape, columns, fromInput, stride, x, inputWeightsGradient);
    }

    private static void WalkForward<TSaved>(
        ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* hiddenBias, float* y, TSaved* reserve,
        in ForwardMemory memory)
        where TSaved : unmanaged
    {
        var walk = new RecurrentWalk<ForwardStep<TSaved>>
        {
            Shape = shape,
            Forward = true,
            Gates = TCell.Gates,
            Weights = hiddenWeights,
            Packed = memory.Packed,
            State = y,
            StateStride = shape.Hidden,
            Step = new ForwardStep<TSaved>
            {
                Shape = shape,
                Sums = memory.Sums,
                SumsStride = memory.SumsStride,
                HiddenBias = hiddenBias,
                Saved = reserve,
                Carried = reserve + ((nint)shape.Rows * Blocks * shape.Hidden),
                Carry = memory.Carry,
                Y = y,
            },
        };
        team.Run(ref walk);
    }

    private static void WalkBackward<TSaved>(
        ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* y, TSaved* reserve, float* outputGradient,
        in BackwardMemory memory)
        where TSaved : unmanaged
    {
        var walk = new RecurrentWalk<BackwardStep<TSaved>>
        {
            Shape = shape,
            Forward = false,
            Gates = TCell.Gates,
            Weights = hiddenWeights,
            FirstRow = TCell.JoinsLate ? (TCell.Gates - 1) * shape.Hidden : 0,
            Packed = memory.Packed,
            State = memory.Gates,
            StateStride = Blocks * shape.Hidden,
            Step = new BackwardStep<TSaved>
            {
                Shape = shape,
                Saved = reserve,
                Carried = reserve + ((nint)shape.Rows * Blocks * shape.Hidden),
                Y = y,
                OutputGradient = outputGradient,
                GateGradients = memory.Gates,
                Previous = memory.Previous,
                Carry = memory.Carry,
            },
        };
        team.Run(ref walk);
    }

    private readonly struct ForwardMemory(float* sums, int sumsStride, float* carry, float* packed)
    {
        public readonly float* Sums = sums;
        public readonly int SumsStride = sumsStride;
        public readonly float* Carry = carry;
        public readonly float* Packed = packed;
    }

    private readonly struct BackwardMemory(float* gates, float* previous, float* carry, float* packed)
    {
        public readonly float* Gates = gates;
        public readonly float* Previous = previous;
        public readonly float* Carry = carry;
        public readonly float* Packed = packed;
    }

    private struct ForwardStep<TSaved> : IRecurrentStep
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;

        /// <summary>x·W_ihᵀ + bias [B·T, gates·H].</summary>
        public float* Sums;

        public nint SumsStride;
        public float* HiddenBias;
        public TSaved* Saved;

        /// <summary>Output: what every step carries, unless that is h [B·T, H].</summary>
        public TSaved* Carried;

        /// <summary>The same of the step before, in single precision whatever the reserve is [B, H].</summary>
        public float* Carry;

        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            nint place = (row * hidden) + unit;
            float* fromInput = Sums + (row * SumsStride) + unit;
            float* carry = TCell.CarriesOutput ? Y + place + (Shape.ToPrevious * hidden) : Carry + (sample * hidden) + unit;

            GateValues<TVec> gates = default;
            gates.A = TCell.Activate<TSimd, TVec>(0, Sum<TSimd, TVec>(0, fromInput, sums, unit, lanes));
            gates.B = TCell.Activate<TSimd, TVec>(1, Sum<TSimd, TVec>(1, fromInput, sums, unit, lanes));
            if (TCell.JoinsLate)
            {
                gates.C = Lanes.Load<TSimd, TVec>(fromInput + (2 * hidden), lanes);
                gates.D = FromState<TSimd, TVec>(2, sums, unit, lanes);
            }
            else
            {
                gates.C = TCell.Activate<TSimd, TVec>(2, Sum<TSimd, TVec>(2, fromInput, sums, unit, lanes));
                gates.D = TCell.Activate<TSimd, TVec>(3, Sum<TSimd, TVec>(3, fromInput, sums, unit, lanes));
            }

            TVec carried = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(carry, lanes);
            TVec h = TCell.Step<TSimd, TVec>(ref gates, ref carried);
            TSaved* saved = Saved + (row * Blocks * hidden) + unit;
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved, gates.A, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + hidden, gates.B, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + (2 * hidden), gates.C, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + (3 * hidden), gates.D, lanes);
            if (!TCell.CarriesOutput)
            {
                Lanes.StoreAs<TSimd, TVec, TSaved>(Carried + place, carried, lanes);
                Lanes.Store<TSimd, TVec>(carry, carried, lanes);
            }

            Lanes.Store<TSimd, TVec>(Y + place, h, lanes);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly TVec Sum<TSimd, TVec>(int gate, float* fromInput, float* sums, int unit, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Add(
                Lanes.Load<TSimd, TVec>(fromInput + (gate * (nint)Shape.Hidden), lanes), FromState<TSimd, TVec>(gate, sums, unit, lanes));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly TVec FromState<TSimd, TVec>(int gate, float* sums, int unit, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec sum = TSimd.Load(sums + (gate * TSimd.Width));
            return TCell.JoinsLate ? TSimd.Add(sum, Lanes.Load<TSimd, TVec>(HiddenBias + (gate * (nint)Shape.Hidden) + unit, lanes)) : sum;
        }
    }

    private struct BackwardStep<TSaved> : IRecurrentStep
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;
        public TSaved* Saved;
        public TSaved* Carried;
        public float* Y;
        public float* OutputGradient;

        /// <summary>Output: the gradients of the gates before activation [B·T, 4H].</summary>
        public float* GateGradients;

        /// <summary>Output: h of the step before each row, 0 at the first [B·T, H]: what the gradient of W_hh multiplies.</summary>
        public float* Previous;

        /// <summary>What the step behind passes on beside the gates' gradients [B, H].</summary>
        public float* Carry;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            nint block = (row * Blocks * hidden) + unit;
            nint place = (row * hidden) + unit;
            nint placeBefore = place + (Shape.ToPrevious * hidden);
            float* carry = Carry + (sample * hidden) + unit;

            GateValues<TVec> saved = default;
            saved.A = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block, lanes);
            saved.B = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + hidden, lanes);
            saved.C = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + (2 * hidden), lanes);
            saved.D = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + (3 * hidden), lanes);
            TVec hBefore = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(Y + placeBefore, lanes);
            TVec before = hBefore, carried = TSimd.Zero;
            if (!TCell.CarriesOutput)
            {
                before = step == 0 ? TSimd.Zero : Lanes.LoadAs<TSimd, TVec, TSaved>(Carried + placeBefore, lanes);
                carried = Lanes.LoadAs<TSimd, TVec, TSaved>(Carried + place, lanes);
            }

            // Adding −0 changes no number, not even −0.
            TVec dCarried = step == Shape.Time - 1 ? TSimd.Set(-0f) : Lanes.Load<TSimd, TVec>(carry, lanes);
            TVec dh = TSimd.Add(Lanes.Load<TSimd, TVec>(OutputGradient + place, lanes), TSimd.Load(sums));
            GateValues<TVec> gradients = TCell.Gradient<TSimd, TVec>(saved, before, carried, dh, ref dCarried);
            float* first = GateGradients + block;
            if (TCell.JoinsLate)
            {
                Lanes.Store<TSimd, TVec>(first, gradients.C, lanes);
                first += hidden;
            }

            Lanes.Store<TSimd, TVec>(first, gradients.A, lanes);
            Lanes.Store<TSimd, TVec>(first + hidden, gradients.B, lanes);
            if (!TCell.JoinsLate)
            {
                Lanes.Store<TSimd, TVec>(first + (2 * hidden), gradients.C, lanes);
            }

            Lanes.Store<TSimd, TVec>(GateGradients + block + (3 * hidden), gradients.D, lanes);
            Lanes.Store<TSimd, TVec>(carry, dCarried, lanes);
            Lanes.Store<TSimd, TVec>(Previous + place, hBefore, lanes);
        }
    }
}
