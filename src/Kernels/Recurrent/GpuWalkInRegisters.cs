using CudaTrainer.Kernels.Device;
using ILGPU;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>
/// A recurrent layer whose W_hh stays in registers for the whole sequence: half precision, up to <see cref="Units"/> hidden units. A block
/// of <see cref="ICell.Gates"/>·128 threads runs one sequence from its first step to its last, so steps need nothing but barriers.
/// </summary>
/// <remarks>
/// <para>Cost: 2·gates·H² FLOPs a step, sequence and direction. Bound by the chain of T dependent steps: for 128 units about 1000 cycles of
/// FMAs each (128 conversions and 128 FMAs a thread, 16 warps), where the L2 cache would need 2000 to deliver 128 KiB to one
/// multiprocessor, and 300 of gate maths.</para>
/// <para>Access: thread (gate, unit) = (i / 128, i % 128) keeps, forward, row unit of the gate's block of W_hh, backward its column unit. A
/// step reads only h or the gate gradients, floats in shared memory, by broadcasts; what the next step reads from memory is fetched before
/// the products of this one.</para>
/// <para>Order: one block for a sequence, no atomics; products sum in an order fixed by H.</para>
/// </remarks>
internal static unsafe class GpuWalkInRegisters
{
    public const int Units = HalfRow.Length;

    public static void Forward<TCell>(RecurrentForward a)
        where TCell : struct, ICell
    {
        ArrayView<Four> state = SharedMemory.Allocate<Four>(Units / 4);
        ArrayView<float> h = state.Cast<float>();
        ArrayView<float> shared = SharedMemory.Allocate<float>(4 * Units);
        int unit = GpuThread.Index % Units, gate = GpuThread.Index / Units, row = (gate * a.Hidden) + unit;
        bool active = unit < a.Hidden, finishes = active && gate == 0, joinsLate = TCell.JoinsLate && gate == TCell.Gates - 1;
        int firstRow = GpuThread.Block * a.Time;
        int inputs = TCell.Gates * a.Hidden;

        HalfRow weights = default;
        float inputBias = 0, stateBias = 0, next = 0, carried = 0;
        if (active)
        {
            weights = HalfRow.Read((ushort*)a.Weights.Start + ((long)row * a.Hidden), 1, a.Hidden, a.Aligned);
            inputBias = a.InputBias.Start[row];
            stateBias = TCell.JoinsLate ? a.StateBias.Start[row] : 0;
            next = Float16.Read(a.Input.Start, ((long)(firstRow + a.TimeOf(0)) * inputs) + row);
        }

        if (gate == 0)
        {
            h[unit] = 0;
        }

        GpuThread.Barrier();
        for (int step = 0; step < a.Time; step++)
        {
            int place = firstRow + a.TimeOf(step);
            long saved = ((long)place * (4 * a.Hidden)) + unit;
            float fromInput = next + inputBias;
            if (active && step + 1 < a.Time)
            {
                next = Float16.Read(a.Input.Start, ((long)(firstRow + a.TimeOf(step + 1)) * inputs) + row);
            }

            float fromState = HalfRow.Dot(weights, state, 0, a.Hidden) + stateBias;
            float value = joinsLate ? fromState : TCell.Activate<GpuLane, float>(gate, fromInput + fromState);
            if (joinsLate)
            {
                shared[(gate * Units) + unit] = fromInput;
            }

            int slot = joinsLate ? 3 : gate;
            shared[(slot * Units) + unit] = value;
            if (active)
            {
                Float16.Write(a.Saved.Start, saved + (slot * a.Hidden), value);
            }

            GpuThread.Barrier();
            if (finishes)
            {
                GateValues<float> gates = default;
                gates.A = shared[unit];
                gates.B = shared[Units + unit];
                gates.C = shared[(2 * Units) + unit];
                gates.D = shared[(3 * Units) + unit];
                float output = TCell.Step<GpuLane, float>(ref gates, ref carried);
                h[unit] = output;
                a.WriteState<TCell, Float16, Eight>(((long)place * a.Hidden) + unit, carried, output);
                if (TCell.JoinsLate)
                {
                    Float16.Write(a.Saved.Start, saved + (2 * a.Hidden), gates.C);
                }
            }

            GpuThread.Barrier();
        }
    }

    public static void Backward<TCell>(RecurrentBackward a)
        where TCell : struct, ICell
    {
        ArrayView<Four> gradients = SharedMemory.Allocate<Four>(Units);
        ArrayView<float> gradient = gradients.Cast<float>();
        ArrayView<float> parts = SharedMemory.Allocate<float>(4 * Units);
        int unit = GpuThread.Index % Units, gate = GpuThread.Index / Units;
        bool active = unit < a.Hidden, finishes = active && gate == 0;
        int firstRow = GpuThread.Block * a.Time;

        HalfRow weights = default;
        if (active)
        {
            weights = HalfRow.Read((ushort*)a.Weights.Start + (((long)gate * a.Hidden * a.Hidden) + unit), a.Hidden, a.Hidden, 0);
        }

        gradient[GpuThread.Index] = 0;
        parts[GpuThread.Index] = 0;
        RecurrentStep next = default;
        float carried = 0, dCarried = 0;
        if (finishes)
        {
            next = RecurrentStep.Read<TCell, Float16, Eight>(a, firstRow, a.Time - 1, unit);
            carried = TCell.CarriesOutput ? 0 : a.Carried.Start[((long)(firstRow + a.TimeOf(a.Time - 1)) * a.Hidden) + unit];
        }

        GpuThread.Barrier();
        for (int step = a.Time - 1; step >= 0; step--)
        {
            if (finishes)
            {
                float last = TCell.Gates > 3 ? parts[(3 * Units) + unit] : 0;
                float dh = next.DY + ((parts[unit] + parts[Units + unit]) + (parts[(2 * Units) + unit] + last));
                GateValues<float> d = TCell.Gradient<GpuLane, float>(next.Saved, next.Before, carried, dh, ref dCarried);
                gradient[unit] = d.A;
                gradient[Units + unit] = d.B;
                gradient[(2 * Units) + unit] = d.C;
                if (TCell.Gates > 3)
                {
                    gradient[(3 * Units) + unit] = d.D;
                }

                a.WriteGradients<TCell, Float16, Eight>(firstRow + a.TimeOf(step), unit, d);
                carried = next.Before;
                if (step > 0)
                {
                    next = RecurrentStep.Read<TCell, Float16, Eight>(a, firstRow, step - 1, unit);
                }
            }

            GpuThread.Barrier();
            if (step > 0)
            {
                parts[GpuThread.Index] = HalfRow.Dot(weights, gradients, gate * (Units / 4), a.Hidden);
            }

            GpuThread.Barrier();
        }
    }
}
