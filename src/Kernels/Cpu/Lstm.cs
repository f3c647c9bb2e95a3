using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// A whole-sequence LSTM layer from zero state (Hochreiter and Schmidhuber 1997, forget gate of Gers et al. 2000):
/// i, f, o = σ(·), g = tanh(·) of x·W_ihᵀ + h·W_hhᵀ + bias; c ← f·c + i·g; h = o·tanh(c).
/// </summary>
/// <remarks>
/// The products with the input and all weight gradients are single matrix products over all B·T rows; only the recurrent product runs step by step
/// (<see cref="RecurrentWalk{TCell}"/>), with the gate maths in the same pass.
/// </remarks>
public static unsafe class Lstm
{
    private const int Gates = 4;

    /// <summary>
    /// Bytes of the reserve that the forward pass fills for the backward pass: the activated gates [B·T, 4H] and the cells [B·T, H], as float or
    /// <see cref="Half"/>.
    /// </summary>
    public static long ReserveBytes(in RecurrentShape shape) =>
        (long)shape.Rows * (Gates + 1) * shape.Hidden * (shape.HalfReserve ? sizeof(Half) : sizeof(float));

    /// <param name="team">Threads to run on.</param>
    /// <param name="shape">Sizes and options.</param>
    /// <param name="x">Input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [4H, I], gate blocks in the order i, f, g, o.</param>
    /// <param name="hiddenWeights">W_hh [4H, H].</param>
    /// <param name="bias">[4H].</param>
    /// <param name="y">Output: h of every step [B, T, H].</param>
    /// <param name="reserve">Output: what backward needs, <see cref="ReserveBytes"/>, aligned to 4 bytes.</param>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* bias, float* y, void* reserve)
    {
        ForwardMemory memory = new(team, shape, reserve);
        int columns = Gates * shape.Hidden;
        InputProduct.Forward<float, SingleSource>(team, shape, columns, x, inputWeights, bias, memory.Sums, columns);
        Recur(team, shape, hiddenWeights, y, reserve, memory);
    }

    /// <summary>The forward pass of an input in half precision; the maths is single precision.</summary>
    /// <inheritdoc cref="Forward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, float*, void*)"/>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* bias, float* y, void* reserve)
    {
        ForwardMemory memory = new(team, shape, reserve);
        int columns = Gates * shape.Hidden;
        InputProduct.Forward<Half, HalfSource>(team, shape, columns, x, inputWeights, bias, memory.Sums, columns);
        Recur(team, shape, hiddenWeights, y, reserve, memory);
    }

    /// <param name="team">Threads to run on.</param>
    /// <param name="shape">As in the forward pass.</param>
    /// <param name="x">Forward input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [4H, I]; read only for <paramref name="inputGradient"/>.</param>
    /// <param name="hiddenWeights">W_hh [4H, H].</param>
    /// <param name="y">Forward output [B, T, H].</param>
    /// <param name="reserve">As filled by the forward pass; not changed.</param>
    /// <param name="outputGradient">∂L/∂y [B, T, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, I], overwritten; null when nobody needs it.</param>
    /// <param name="inputWeightsGradient">∂L/∂W_ih [4H, I], added to.</param>
    /// <param name="hiddenWeightsGradient">∂L/∂W_hh [4H, H], added to.</param>
    /// <param name="biasGradient">∂L/∂bias [4H], added to.</param>
    public static void Backward(
        ThreadTeam team,
        in RecurrentShape shape,
        float* x,
        float* inputWeights,
        float* hiddenWeights,
        float* y,
        void* reserve,
        float* outputGradient,
        float* inputGradient,
        float* inputWeightsGradient,
        float* hiddenWeightsGradient,
        float* biasGradient)
    {
        float* gates = GateGradients(
            team, shape, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, hiddenWeightsGradient, biasGradient);
        int columns = Gates * shape.Hidden;
        InputProduct.WeightGradient<float, SingleSource>(team, shape, columns, gates, columns, x, inputWeightsGradient);
    }

    /// <summary>The backward pass of an input in half precision; the gradients are single precision.</summary>
    /// <inheritdoc cref="Backward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, void*, float*, float*, float*, float*, float*)"/>
    public static void Backward(
        ThreadTeam team,
        in RecurrentShape shape,
        Half* x,
        float* inputWeights,
        float* hiddenWeights,
        float* y,
        void* reserve,
        float* outputGradient,
        float* inputGradient,
        float* inputWeightsGradient,
        float* hiddenWeightsGradient,
        float* biasGradient)
    {
        float* gates = GateGradients(
            team, shape, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, hiddenWeightsGradient, biasGradient);
        int columns = Gates * shape.Hidden;
        InputProduct.WeightGradient<Half, HalfSource>(team, shape, columns, gates, columns, x, inputWeightsGradient);
    }

    private static void Recur(ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* y, void* reserve, in ForwardMemory memory)
    {
        if (shape.HalfReserve)
        {
            RecurAs((Half*)reserve, team, shape, hiddenWeights, y, memory);
        }
        else
        {
            RecurAs((float*)reserve, team, shape, hiddenWeights, y, memory);
        }
    }

    private static void RecurAs<TSaved>(
        TSaved* reserve, ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* y, in ForwardMemory memory)
        where TSaved : unmanaged
    {
        var walk = new RecurrentWalk<ForwardCell<TSaved>>
        {
            Shape = shape,
            Forward = true,
            Gates = Gates,
            Weights = hiddenWeights,
            Packed = memory.Packed,
            State = y,
            StateStride = shape.Hidden,
            Cell = new ForwardCell<TSaved>
            {
                Shape = shape,
                Sums = memory.Sums,
                Activated = reserve,
                Cells = reserve + ((nint)shape.Rows * Gates * shape.Hidden),
                Carry = memory.Carry,
                Y = y,
            },
        };
        team.Run(ref walk);
    }

    /// <summary>All of the backward pass but the gradient of W_ih.</summary>
    /// <returns>The gradients of the gates before activation [B·T, 4H], in the team's workspace.</returns>
    private static float* GateGradients(
        ThreadTeam team,
        in RecurrentShape shape,
        float* inputWeights,
        float* hiddenWeights,
        float* y,
        void* reserve,
        float* outputGradient,
        float* inputGradient,
        float* hiddenWeightsGradient,
        float* biasGradient)
    {
        int columns = Gates * shape.Hidden;
        nint gatesLength = (nint)shape.Rows * columns;
        nint previousLength = (nint)shape.Rows * shape.Hidden;
        nint carryLength = (nint)shape.Batch * shape.Hidden;
        nint length = gatesLength + previousLength + carryLength + RecurrentProduct.PackedLength(shape.Hidden);
        var gates = (float*)team.Workspace((nuint)length * sizeof(float));
        float* previous = gates + gatesLength;
        float* carry = previous + previousLength;
        float* packed = carry + carryLength;
        if (shape.HalfReserve)
        {
            GateGradientsAs((Half*)reserve, team, shape, hiddenWeights, y, outputGradient, gates, previous, carry, packed);
        }
        else
        {
            GateGradientsAs((float*)reserve, team, shape, hiddenWeights, y, outputGradient, gates, previous, carry, packed);
        }

        Gemm.Run(
            team, true, false, columns, shape.Hidden, shape.Rows, gates, columns, previous, shape.Hidden, hiddenWeightsGradient, shape.Hidden, accumulate: true);
        ColumnSum.Accumulate(team, shape.Rows, columns, gates, columns, biasGradient);
        if (inputGradient != null)
        {
            Gemm.Run(
                team, false, false, shape.Rows, shape.Inputs, columns, gates, columns, inputWeights, shape.Inputs, inputGradient, shape.Inputs);
        }

        return gates;
    }

    private static void GateGradientsAs<TSaved>(
        TSaved* reserve,
        ThreadTeam team,
        in RecurrentShape shape,
        float* hiddenWeights,
        float* y,
        float* outputGradient,
        float* gates,
        float* previous,
        float* carry,
        float* packed)
        where TSaved : unmanaged
    {
        var walk = new RecurrentWalk<BackwardCell<TSaved>>
        {
            Shape = shape,
            Forward = false,
            Gates = Gates,
            Weights = hiddenWeights,
            Packed = packed,
            State = gates,
            StateStride = Gates * shape.Hidden,
            Cell = new BackwardCell<TSaved>
            {
                Shape = shape,
                Activated = reserve,
                Cells = reserve + ((nint)shape.Rows * Gates * shape.Hidden),
                Y = y,
                OutputGradient = outputGradient,
                GateGradients = gates,
                Previous = previous,
                Carry = carry,
            },
        };
        team.Run(ref walk);
    }

    /// <summary>Where the forward pass keeps the gates before activation, the running cells and the packed weights.</summary>
    private readonly struct ForwardMemory
    {
        public ForwardMemory(ThreadTeam team, in RecurrentShape shape, void* reserve)
        {
            // Gates in single precision are activated in place, in the reserve.
            nint sumsLength = shape.HalfReserve ? (nint)shape.Rows * Gates * shape.Hidden : 0;
            nint carryLength = (nint)shape.Batch * shape.Hidden;
            nint length = sumsLength + carryLength + RecurrentProduct.PackedLength(shape.Hidden);
            var workspace = (float*)team.Workspace((nuint)length * sizeof(float));
            Sums = shape.HalfReserve ? workspace : (float*)reserve;
            Carry = workspace + sumsLength;
            Packed = Carry + carryLength;
        }

        public float* Sums { get; }

        public float* Carry { get; }

        public float* Packed { get; }
    }

    private struct ForwardCell<TSaved> : IRecurrentCell
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;

        /// <summary>x·W_ihᵀ + bias [B·T, 4H].</summary>
        public float* Sums;

        public TSaved* Activated;
        public TSaved* Cells;

        /// <summary>c of the step before [B, H], in single precision whatever the reserve is.</summary>
        public float* Carry;

        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            nint gate = (row * Gates * hidden) + unit;
            float* carry = Carry + (sample * hidden) + unit;

            TVec i = Sum<TSimd, TVec>(gate, sums, lanes);
            TVec f = Sum<TSimd, TVec>(gate + hidden, sums + TSimd.Width, lanes);
            TVec g = Sum<TSimd, TVec>(gate + (2 * hidden), sums + (2 * TSimd.Width), lanes);
            TVec o = Sum<TSimd, TVec>(gate + (3 * hidden), sums + (3 * TSimd.Width), lanes);
            i = VectorMath.Sigmoid<TSimd, TVec>(i);
            f = VectorMath.Sigmoid<TSimd, TVec>(f);
            g = VectorMath.Tanh<TSimd, TVec>(g);
            o = VectorMath.Sigmoid<TSimd, TVec>(o);
            TVec before = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(carry, lanes);
            TVec cell = TSimd.MultiplyAdd(f, before, TSimd.Multiply(i, g));
            TVec h = TSimd.Multiply(o, VectorMath.Tanh<TSimd, TVec>(cell));

            Lanes.StoreAs<TSimd, TVec, TSaved>(Activated + gate, i, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(Activated + gate + hidden, f, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(Activated + gate + (2 * hidden), g, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(Activated + gate + (3 * hidden), o, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(Cells + (row * hidden) + unit, cell, lanes);
            Lanes.Store<TSimd, TVec>(carry, cell, lanes);
            Lanes.Store<TSimd, TVec>(Y + (row * hidden) + unit, h, lanes);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly TVec Sum<TSimd, TVec>(nint gate, float* recurrent, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Add(Lanes.Load<TSimd, TVec>(Sums + gate, lanes), TSimd.Load(recurrent));
    }

    private struct BackwardCell<TSaved> : IRecurrentCell
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;
        public TSaved* Activated;
        public TSaved* Cells;
        public float* Y;
        public float* OutputGradient;

        /// <summary>Output: the gradients of the gates before activation [B·T, 4H].</summary>
        public float* GateGradients;

        /// <summary>Output: h of the step before each row, 0 at the first [B·T, H]: what the gradient of W_hh multiplies.</summary>
        public float* Previous;

        /// <summary>∂L/∂c that the step behind passes on [B, H].</summary>
        public float* Carry;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            nint rowBefore = row + Shape.ToPrevious;
            nint gate = (row * Gates * hidden) + unit;
            nint place = (row * hidden) + unit;
            nint placeBefore = (rowBefore * hidden) + unit;
            float* carry = Carry + (sample * hidden) + unit;
            TVec one = TSimd.Set(1);

            TVec i = Lanes.LoadAs<TSimd, TVec, TSaved>(Activated + gate, lanes);
            TVec f = Lanes.LoadAs<TSimd, TVec, TSaved>(Activated + gate + hidden, lanes);
            TVec g = Lanes.LoadAs<TSimd, TVec, TSaved>(Activated + gate + (2 * hidden), lanes);
            TVec o = Lanes.LoadAs<TSimd, TVec, TSaved>(Activated + gate + (3 * hidden), lanes);
            TVec squashed = VectorMath.Tanh<TSimd, TVec>(Lanes.LoadAs<TSimd, TVec, TSaved>(Cells + place, lanes));
            TVec cellBefore = step == 0 ? TSimd.Zero : Lanes.LoadAs<TSimd, TVec, TSaved>(Cells + placeBefore, lanes);
            TVec hBefore = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(Y + placeBefore, lanes);

            TVec dh = TSimd.Add(Lanes.Load<TSimd, TVec>(OutputGradient + place, lanes), TSimd.Load(sums));
            TVec dc = TSimd.Multiply(TSimd.Multiply(dh, o), TSimd.NegativeMultiplyAdd(squashed, squashed, one));
            if (step != Shape.Time - 1)
            {
                dc = TSimd.Add(dc, Lanes.Load<TSimd, TVec>(carry, lanes));
            }

            float* gradients = GateGradients + gate;
            Lanes.Store<TSimd, TVec>(gradients, TSimd.Multiply(TSimd.Multiply(dc, g), SigmoidSlope<TSimd, TVec>(i)), lanes);
            Lanes.Store<TSimd, TVec>(gradients + hidden, TSimd.Multiply(TSimd.Multiply(dc, cellBefore), SigmoidSlope<TSimd, TVec>(f)), lanes);
            Lanes.Store<TSimd, TVec>(
                gradients + (2 * hidden), TSimd.Multiply(TSimd.Multiply(dc, i), TSimd.NegativeMultiplyAdd(g, g, one)), lanes);
            Lanes.Store<TSimd, TVec>(gradients + (3 * hidden), TSimd.Multiply(TSimd.Multiply(dh, squashed), SigmoidSlope<TSimd, TVec>(o)), lanes);
            Lanes.Store<TSimd, TVec>(carry, TSimd.Multiply(dc, f), lanes);
            Lanes.Store<TSimd, TVec>(Previous + place, hBefore, lanes);
        }

        /// <summary>σ' = σ·(1 − σ).</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVec SigmoidSlope<TSimd, TVec>(TVec sigmoid)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.NegativeMultiplyAdd(sigmoid, sigmoid, sigmoid);
    }
}
