using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>
/// A whole-sequence GRU layer from zero state (Cho et al. 2014, in PyTorch's form): r, z = σ(x·W_ihᵀ + b_ih + h·W_hhᵀ + b_hh),
/// n = tanh(x·W_in + b_in + r·(h·W_hn + b_hn)), h ← (1 − z)·n + z·h.
/// </summary>
/// <remarks>
/// Built as <see cref="Lstm"/>. The gradient of n's two parts differs by the factor r, so gate gradients are kept as four blocks: n's recurrent part, r,
/// z, n's input part. The last three are W_ih's blocks in order, and the first three are W_hh's, rotated.
/// </remarks>
public static unsafe class Gru
{
    private const int Gates = 3;

    /// <summary>Blocks of H numbers that a row of the reserve and of the gate gradients holds.</summary>
    private const int Blocks = 4;

    /// <summary>
    /// Bytes of the reserve that the forward pass fills for the backward pass: r, z, n and n's recurrent part [B·T, 4H], as float or
    /// <see cref="Half"/>.
    /// </summary>
    public static long ReserveBytes(in RecurrentShape shape) =>
        (long)shape.Rows * Blocks * shape.Hidden * (shape.HalfReserve ? sizeof(Half) : sizeof(float));

    /// <param name="team">Threads to run on.</param>
    /// <param name="shape">Sizes and options.</param>
    /// <param name="x">Input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [3H, I], gate blocks in the order r, z, n.</param>
    /// <param name="hiddenWeights">W_hh [3H, H].</param>
    /// <param name="inputBias">b_ih [3H].</param>
    /// <param name="hiddenBias">b_hh [3H].</param>
    /// <param name="y">Output: h of every step [B, T, H].</param>
    /// <param name="reserve">Output: what backward needs, <see cref="ReserveBytes"/>, aligned to 4 bytes.</param>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, float* x, float* inputWeights, float* hiddenWeights, float* inputBias, float* hiddenBias, float* y,
        void* reserve)
    {
        ForwardMemory memory = new(team, shape, reserve);
        InputProduct.Forward<float, SingleSource>(team, shape, Gates * shape.Hidden, x, inputWeights, inputBias, memory.Sums, memory.SumsStride);
        Recur(team, shape, hiddenWeights, hiddenBias, y, reserve, memory);
    }

    /// <summary>The forward pass of an input in half precision; the maths is single precision.</summary>
    /// <inheritdoc cref="Forward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, float*, float*, void*)"/>
    public static void Forward(
        ThreadTeam team, in RecurrentShape shape, Half* x, float* inputWeights, float* hiddenWeights, float* inputBias, float* hiddenBias, float* y,
        void* reserve)
    {
        ForwardMemory memory = new(team, shape, reserve);
        InputProduct.Forward<Half, HalfSource>(team, shape, Gates * shape.Hidden, x, inputWeights, inputBias, memory.Sums, memory.SumsStride);
        Recur(team, shape, hiddenWeights, hiddenBias, y, reserve, memory);
    }

    /// <param name="team">Threads to run on.</param>
    /// <param name="shape">As in the forward pass.</param>
    /// <param name="x">Forward input [B, T, I].</param>
    /// <param name="inputWeights">W_ih [3H, I]; read only for <paramref name="inputGradient"/>.</param>
    /// <param name="hiddenWeights">W_hh [3H, H].</param>
    /// <param name="y">Forward output [B, T, H].</param>
    /// <param name="reserve">As filled by the forward pass; not changed.</param>
    /// <param name="outputGradient">∂L/∂y [B, T, H].</param>
    /// <param name="inputGradient">∂L/∂x [B, T, I], overwritten; null when nobody needs it.</param>
    /// <param name="inputWeightsGradient">∂L/∂W_ih [3H, I], added to.</param>
    /// <param name="hiddenWeightsGradient">∂L/∂W_hh [3H, H], added to.</param>
    /// <param name="inputBiasGradient">∂L/∂b_ih [3H], added to.</param>
    /// <param name="hiddenBiasGradient">∂L/∂b_hh [3H], added to.</param>
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
        float* inputBiasGradient,
        float* hiddenBiasGradient)
    {
        float* gates = GateGradients(
            team, shape, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, hiddenWeightsGradient, inputBiasGradient,
            hiddenBiasGradient);
        InputProduct.WeightGradient<float, SingleSource>(team, shape, Gates * shape.Hidden, gates + shape.Hidden, Blocks * shape.Hidden, x, inputWeightsGradient);
    }

    /// <summary>The backward pass of an input in half precision; the gradients are single precision.</summary>
    /// <inheritdoc cref="Backward(ThreadTeam, in RecurrentShape, float*, float*, float*, float*, void*, float*, float*, float*, float*, float*, float*)"/>
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
        float* inputBiasGradient,
        float* hiddenBiasGradient)
    {
        float* gates = GateGradients(
            team, shape, inputWeights, hiddenWeights, y, reserve, outputGradient, inputGradient, hiddenWeightsGradient, inputBiasGradient,
            hiddenBiasGradient);
        InputProduct.WeightGradient<Half, HalfSource>(team, shape, Gates * shape.Hidden, gates + shape.Hidden, Blocks * shape.Hidden, x, inputWeightsGradient);
    }

    private static void Recur(
        ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* hiddenBias, float* y, void* reserve, in ForwardMemory memory)
    {
        if (shape.HalfReserve)
        {
            RecurAs((Half*)reserve, team, shape, hiddenWeights, hiddenBias, y, memory);
        }
        else
        {
            RecurAs((float*)reserve, team, shape, hiddenWeights, hiddenBias, y, memory);
        }
    }

    private static void RecurAs<TSaved>(
        TSaved* reserve, ThreadTeam team, in RecurrentShape shape, float* hiddenWeights, float* hiddenBias, float* y, in ForwardMemory memory)
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
                SumsStride = memory.SumsStride,
                HiddenBias = hiddenBias,
                Saved = reserve,
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
        float* inputBiasGradient,
        float* hiddenBiasGradient)
    {
        int hidden = shape.Hidden;
        int stride = Blocks * hidden;
        nint gatesLength = (nint)shape.Rows * stride;
        nint previousLength = (nint)shape.Rows * hidden;
        nint carryLength = (nint)shape.Batch * hidden;
        nint length = gatesLength + previousLength + carryLength + RecurrentProduct.PackedLength(hidden);
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

        // W_hh: its blocks r, z, and then n, whose recurrent part comes first in a row.
        float* resetAndUpdate = gates + hidden;
        int two = 2 * hidden;
        Gemm.Run(
            team, true, false, two, hidden, shape.Rows, resetAndUpdate, stride, previous, hidden, hiddenWeightsGradient, hidden, accumulate: true);
        Gemm.Run(
            team, true, false, hidden, hidden, shape.Rows, gates, stride, previous, hidden, hiddenWeightsGradient + ((nint)two * hidden), hidden,
            accumulate: true);
        ColumnSum.Accumulate(team, shape.Rows, two, resetAndUpdate, stride, hiddenBiasGradient);
        ColumnSum.Accumulate(team, shape.Rows, hidden, gates, stride, hiddenBiasGradient + two);
        ColumnSum.Accumulate(team, shape.Rows, Gates * hidden, resetAndUpdate, stride, inputBiasGradient);
        if (inputGradient != null)
        {
            Gemm.Run(
                team, false, false, shape.Rows, shape.Inputs, Gates * hidden, resetAndUpdate, stride, inputWeights, shape.Inputs, inputGradient, shape.Inputs);
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
            FirstRow = 2 * shape.Hidden,
            Packed = packed,
            State = gates,
            StateStride = Blocks * shape.Hidden,
            Cell = new BackwardCell<TSaved>
            {
                Shape = shape,
                Saved = reserve,
                Y = y,
                OutputGradient = outputGradient,
                GateGradients = gates,
                Previous = previous,
                Carry = carry,
            },
        };
        team.Run(ref walk);
    }

    /// <summary>Where the forward pass keeps the gates' sums and the packed weights.</summary>
    private readonly struct ForwardMemory
    {
        public ForwardMemory(ThreadTeam team, in RecurrentShape shape, void* reserve)
        {
            // In single precision the sums are made where their gates go, in the first three blocks of a row of the reserve.
            nint sumsLength = shape.HalfReserve ? (nint)shape.Rows * Gates * shape.Hidden : 0;
            nint length = sumsLength + RecurrentProduct.PackedLength(shape.Hidden);
            var workspace = (float*)team.Workspace((nuint)length * sizeof(float));
            Sums = shape.HalfReserve ? workspace : (float*)reserve;
            SumsStride = (shape.HalfReserve ? Gates : Blocks) * shape.Hidden;
            Packed = workspace + sumsLength;
        }

        public float* Sums { get; }

        public int SumsStride { get; }

        public float* Packed { get; }
    }

    private struct ForwardCell<TSaved> : IRecurrentCell
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;

        /// <summary>x·W_ihᵀ + b_ih [B·T, 3H].</summary>
        public float* Sums;

        public nint SumsStride;
        public float* HiddenBias;
        public TSaved* Saved;
        public float* Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            float* fromInput = Sums + (row * SumsStride) + unit;
            float* bias = HiddenBias + unit;
            nint rowBefore = row + Shape.ToPrevious;

            TVec r = TSimd.Add(Recurrent<TSimd, TVec>(sums, bias, lanes), Lanes.Load<TSimd, TVec>(fromInput, lanes));
            TVec z = TSimd.Add(Recurrent<TSimd, TVec>(sums + TSimd.Width, bias + hidden, lanes), Lanes.Load<TSimd, TVec>(fromInput + hidden, lanes));
            TVec recurrent = Recurrent<TSimd, TVec>(sums + (2 * TSimd.Width), bias + (2 * hidden), lanes);
            r = VectorMath.Sigmoid<TSimd, TVec>(r);
            z = VectorMath.Sigmoid<TSimd, TVec>(z);
            TVec n = TSimd.MultiplyAdd(r, recurrent, Lanes.Load<TSimd, TVec>(fromInput + (2 * hidden), lanes));
            n = VectorMath.Tanh<TSimd, TVec>(n);
            TVec before = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(Y + (rowBefore * hidden) + unit, lanes);
            TVec h = TSimd.MultiplyAdd(z, TSimd.Subtract(before, n), n);

            TSaved* saved = Saved + (row * Blocks * hidden) + unit;
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved, r, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + hidden, z, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + (2 * hidden), n, lanes);
            Lanes.StoreAs<TSimd, TVec, TSaved>(saved + (3 * hidden), recurrent, lanes);
            Lanes.Store<TSimd, TVec>(Y + (row * hidden) + unit, h, lanes);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static TVec Recurrent<TSimd, TVec>(float* sums, float* bias, int lanes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Add(TSimd.Load(sums), Lanes.Load<TSimd, TVec>(bias, lanes));
    }

    private struct BackwardCell<TSaved> : IRecurrentCell
        where TSaved : unmanaged
    {
        public RecurrentShape Shape;
        public TSaved* Saved;
        public float* Y;
        public float* OutputGradient;

        /// <summary>Output: gradients before activation of n's recurrent part, r, z, n's input part [B·T, 4H].</summary>
        public float* GateGradients;

        /// <summary>Output: h of the step before each row, 0 at the first [B·T, H]: what the gradient of W_hh multiplies.</summary>
        public float* Previous;

        /// <summary>The part of ∂L/∂h that the step behind passes on directly, through z [B, H].</summary>
        public float* Carry;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Apply<TSimd, TVec>(int sample, int step, int unit, int lanes, float* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            nint hidden = Shape.Hidden;
            nint row = ((nint)sample * Shape.Time) + Shape.TimeOf(step);
            nint rowBefore = row + Shape.ToPrevious;
            nint block = (row * Blocks * hidden) + unit;
            nint place = (row * hidden) + unit;
            float* carry = Carry + (sample * hidden) + unit;
            TVec one = TSimd.Set(1);

            TVec r = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block, lanes);
            TVec z = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + hidden, lanes);
            TVec n = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + (2 * hidden), lanes);
            TVec recurrent = Lanes.LoadAs<TSimd, TVec, TSaved>(Saved + block + (3 * hidden), lanes);
            TVec before = step == 0 ? TSimd.Zero : Lanes.Load<TSimd, TVec>(Y + (rowBefore * hidden) + unit, lanes);

            TVec dh = TSimd.Add(Lanes.Load<TSimd, TVec>(OutputGradient + place, lanes), TSimd.Load(sums));
            if (step != Shape.Time - 1)
            {
                dh = TSimd.Add(dh, Lanes.Load<TSimd, TVec>(carry, lanes));
            }

            TVec dn = TSimd.Multiply(TSimd.Multiply(dh, TSimd.Subtract(one, z)), TSimd.NegativeMultiplyAdd(n, n, one));
            TVec dz = TSimd.Multiply(TSimd.Multiply(dh, TSimd.Subtract(before, n)), TSimd.NegativeMultiplyAdd(z, z, z));
            TVec dr = TSimd.Multiply(TSimd.Multiply(dn, recurrent), TSimd.NegativeMultiplyAdd(r, r, r));
            float* gradients = GateGradients + block;
            Lanes.Store<TSimd, TVec>(gradients, TSimd.Multiply(dn, r), lanes);
            Lanes.Store<TSimd, TVec>(gradients + hidden, dr, lanes);
            Lanes.Store<TSimd, TVec>(gradients + (2 * hidden), dz, lanes);
            Lanes.Store<TSimd, TVec>(gradients + (3 * hidden), dn, lanes);
            Lanes.Store<TSimd, TVec>(carry, TSimd.Multiply(dh, z), lanes);
            Lanes.Store<TSimd, TVec>(Previous + place, before, lanes);
        }
    }
}
