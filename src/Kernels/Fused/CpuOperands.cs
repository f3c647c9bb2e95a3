using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

internal static unsafe partial class FusedKernels
{
    private static void Narrow<TSimd, TVec>(float* from, Half* to, int count)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int i = 0; i < count; i += TSimd.Width)
        {
            int lanes = Math.Min(TSimd.Width, count - i);
            Lanes.StoreHalf<TSimd, TVec>(to + i, Lanes.Load<TSimd, TVec>(from + i, lanes), lanes);
        }
    }

    private static float* Widen<TSimd, TVec>(Half* from, float* to, int count)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        for (int i = 0; i < count; i += TSimd.Width)
        {
            int lanes = Math.Min(TSimd.Width, count - i);
            Lanes.Store<TSimd, TVec>(to + i, Lanes.LoadHalf<TSimd, TVec>(from + i, lanes), lanes);
        }

        return to;
    }

    /// <summary>Where an operand's vectors are read: at the place of the output's, or always at the same.</summary>
    private struct Cursor
    {
        public float* At;

        /// <summary>All ones, or 0 where the operand repeats.</summary>
        public nint Moves;

        public static Cursor Moving(float* at) => new() { At = at, Moves = -1 };

        public static Cursor Fixed(float* at) => new() { At = at };

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly TVec Load<TSimd, TVec>(nint i)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Load(At + (i & Moves));
    }

    /// <summary>What happens to the vectors of a gradient.</summary>
    private interface ISink
    {
        static abstract bool IsWanted { get; }

        /// <param name="to">Where the vector belongs, if anywhere.</param>
        /// <returns>The sum over the row so far.</returns>
        static abstract TVec Put<TSimd, TVec>(float* to, TVec gradient, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged;
    }

    private readonly struct NoSink : ISink
    {
        public static bool IsWanted => false;

        public static TVec Put<TSimd, TVec>(float* to, TVec gradient, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => sum;
    }

    private readonly struct WriteSink : ISink
    {
        public static bool IsWanted => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVec Put<TSimd, TVec>(float* to, TVec gradient, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TSimd.Store(to, gradient);
            return sum;
        }
    }

    private readonly struct AddSink : ISink
    {
        public static bool IsWanted => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVec Put<TSimd, TVec>(float* to, TVec gradient, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TSimd.Store(to, TSimd.Add(TSimd.Load(to), gradient));
            return sum;
        }
    }

    private readonly struct SumSink : ISink
    {
        public static bool IsWanted => true;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVec Put<TSimd, TVec>(float* to, TVec gradient, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            => TSimd.Add(sum, gradient);
    }

    private enum SinkKind
    {
        None,
        Write,
        Add,
        Sum,
    }

    /// <summary>By <see cref="SinkKind"/>.</summary>
    private static readonly Type[] SinkTypes = [typeof(NoSink), typeof(WriteSink), typeof(AddSink), typeof(SumSink)];

    /// <summary>Where the vectors of a gradient go.</summary>
    private struct Sink
    {
        public SinkKind Kind;
        public float* At;

        /// <summary>For what comes to the same place after something was written there.</summary>
        public readonly Sink Adding() => Kind == SinkKind.Write ? new Sink { Kind = SinkKind.Add, At = At } : this;
    }

    /// <summary>Finds the numbers of a tile as floats: in place, widened, or repeated.</summary>
    private readonly struct OperandReader<TSimd, TVec>(byte* memory)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        /// <summary>Floats of the widest vector.</summary>
        private const int Vector = 16;

        /// <summary>
        /// For each operand a vector of what repeats or of the end of a row, and two tiles, one for its gradient; for each output a vector
        /// and a tile.
        /// </summary>
        public static nuint Bytes => sizeof(float) * Operands<Cursor>.Most * ((2 * Vector) + (3 * Tile));

        /// <summary>Where the end of a row of the first output, or of a gradient, is whole.</summary>
        public float* RestOfOutput => (float*)memory + (Operands<Cursor>.Most * Vector);

        public Operands<nint> RestsOfOutputs => Operands<nint>.Of(
            (nint)RestOfOutput, (nint)(RestOfOutput + Vector), (nint)(RestOfOutput + (2 * Vector)), (nint)(RestOfOutput + (3 * Vector)));

        private float* Tiles => RestOfOutput + (Operands<Cursor>.Most * Vector);

        /// <summary>Tiles of outputs, or one of a gradient.</summary>
        private float* Outputs => Tiles + (2 * Operands<Cursor>.Most * Tile);

        /// <summary>Where a tile of an output is computed: in place, or beside it if it is to be stored in half precision.</summary>
        public nint PlaceOf(FusedOperand output, int number, long place) =>
            (nint)(output.IsHalf ? Outputs + (number * Tile) : (float*)output.Data + place);

        public Operands<Cursor> Read<TFusion>(Operands<FusedOperand> operands, int row, int column, long place, int count)
            where TFusion : unmanaged, IFusion
            => Operands<Cursor>.Of(
                CursorOf(0, operands.A, row, column, place, count),
                TFusion.Count > 1 ? CursorOf(1, operands.B, row, column, place, count) : default,
                TFusion.Count > 2 ? CursorOf(2, operands.C, row, column, place, count) : default,
                TFusion.Count > 3 ? CursorOf(3, operands.D, row, column, place, count) : default);

        /// <summary>The last elements of a row as a whole vector.</summary>
        public Operands<Cursor> Rest(Operands<Cursor> x, int from, int count) => Operands<Cursor>.Of(
            Rest(0, x.A, from, count), Rest(1, x.B, from, count), Rest(2, x.C, from, count), Rest(3, x.D, from, count));

        private Cursor Rest(int operand, Cursor x, int from, int count)
        {
            if (x.Moves != 0)
            {
                float* rest = (float*)memory + (operand * Vector);
                TSimd.Store(rest, TSimd.LoadPartial(x.At + from, count));
                x.At = rest;
            }

            return x;
        }

        /// <summary>All operands 0.</summary>
        public Operands<Cursor> Nothing()
        {
            Cursor zero = Cursor.Fixed((float*)memory);
            TSimd.Store(zero.At, TSimd.Zero);
            return Operands<Cursor>.Of(zero, zero, zero, zero);
        }

        public float* ReadGradient(FusedOperand dy, int row, long place, int count)
        {
            if (dy.Spread == OperandSpread.Row)
            {
                new Span<float>(Outputs, count).Fill(dy.IsHalf ? (float)((Half*)dy.Data)[row] : ((float*)dy.Data)[row]);
                return Outputs;
            }

            return dy.IsHalf ? Widen<TSimd, TVec>((Half*)dy.Data + place, Outputs, count) : (float*)dy.Data + place;
        }

        /// <param name="sums">The chunk's sums of the next operand by columns, from the tile's column on.</param>
        public Sink SinkOf(int operand, FusedOperand gradient, long place, ref float* sums, int columns)
        {
            Sink sink = default;
            if (gradient.Data == 0)
            {
                return sink;
            }

            switch (gradient.Spread)
            {
                case OperandSpread.Whole when gradient.IsHalf:
                    sink.Kind = SinkKind.Write;
                    sink.At = Tiles + ((Operands<Cursor>.Most + operand) * Tile);
                    break;
                case OperandSpread.Whole:
                    sink.Kind = gradient.Adds ? SinkKind.Add : SinkKind.Write;
                    sink.At = (float*)gradient.Data + place;
                    break;
                case OperandSpread.Column:
                    sink.Kind = SinkKind.Add;
                    sink.At = sums;
                    sums += columns;
                    break;
                default:
                    sink.Kind = SinkKind.Sum;
                    break;
            }

            return sink;
        }

        private Cursor CursorOf(int operand, FusedOperand x, int row, int column, long place, int count)
        {
            Cursor cursor = default;
            if (x.Spread is OperandSpread.Row or OperandSpread.Scalar)
            {
                int index = x.Spread == OperandSpread.Row ? row : 0;
                cursor.At = (float*)memory + (operand * Vector);
                TSimd.Store(cursor.At, TSimd.Set(x.IsHalf ? (float)((Half*)x.Data)[index] : ((float*)x.Data)[index]));
                return cursor;
            }

            long at = x.Spread == OperandSpread.Whole ? place : column;
            cursor.Moves = -1;
            cursor.At = x.IsHalf
                ? Widen<TSimd, TVec>((Half*)x.Data + at, Tiles + (operand * Tile), count)
                : (float*)x.Data + at;
            return cursor;
        }
    }
}
