using System.Reflection;
using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

internal static unsafe partial class FusedKernels
{
    /// <summary>What the elements of a row have in common, each in all lanes of a vector.</summary>
    private struct RowNumbers<TVec>
        where TVec : unmanaged
    {
        public Row<TVec> Row;

        /// <summary>∂L along the sums before they were finished.</summary>
        public Row<TVec> Gradients;

        public Dependence Dependence;
    }

    /// <summary>The loops over whole vectors that the rows of a formula take, compiled when they are first needed.</summary>
    private static class SlopeLoops<TFusion, TSimd, TVec>
        where TFusion : unmanaged, IFusion
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        private static readonly nint[] Compiled = new nint[4 * 8 * 4];

        /// <param name="part">As in <see cref="IFusion.Slope"/>.</param>
        /// <param name="along">As in <see cref="IFusion.Slope"/>.</param>
        public static delegate*<TFusion, Operands<Cursor>, Cursor, in Row<TVec>, float*, int, TVec*, void> Of(
            int part, int along, SinkKind kind)
        {
            int index = (((part * 8) + along) * 4) + (int)kind;
            nint loop = Volatile.Read(ref Compiled[index]);
            if (loop == 0)
            {
                loop = typeof(SlopeLoops<TFusion, TSimd, TVec>).GetMethod(nameof(Slopes), BindingFlags.NonPublic | BindingFlags.Static)!
                    .MakeGenericMethod(Constants.Types[part], Constants.Types[along], SinkTypes[(int)kind])
                    .MethodHandle.GetFunctionPointer();
                Volatile.Write(ref Compiled[index], loop);
            }

            return (delegate*<TFusion, Operands<Cursor>, Cursor, in Row<TVec>, float*, int, TVec*, void>)loop;
        }

        /// <summary>The slopes of a part times a weight.</summary>
        /// <param name="sum">What the sink adds up.</param>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static void Slopes<TPart, TAlong, TSink>(
            TFusion fusion, Operands<Cursor> x, Cursor weight, in Row<TVec> row, float* to, int count, TVec* sum)
            where TPart : struct, IConstant
            where TAlong : struct, IConstant
            where TSink : struct, ISink
        {
            Row<TVec> numbers = row;
            TVec total = *sum;
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                TVec gradient = fusion.Slope<SingleMath<TSimd, TVec>, TVec>(
                    TPart.Value,
                    x.A.Load<TSimd, TVec>(i),
                    TFusion.Count > 1 ? x.B.Load<TSimd, TVec>(i) : default,
                    TFusion.Count > 2 ? x.C.Load<TSimd, TVec>(i) : default,
                    TFusion.Count > 3 ? x.D.Load<TSimd, TVec>(i) : default,
                    numbers,
                    TAlong.Value).PassBack(weight.Load<TSimd, TVec>(i));
                total = TSink.Put<TSimd, TVec>(to + i, gradient, total);
            }

            *sum = total;
        }
    }

    /// <summary>A row, and how its numbers are found.</summary>
    private readonly struct RowReader<TFusion, TSimd, TVec>(
        TFusion fusion, OperandReader<TSimd, TVec> reader, Operands<FusedOperand> operands, FusedShape shape, int row)
        where TFusion : unmanaged, IFusion
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        /// <summary>The sums of the row.</summary>
        /// <param name="slopes">Of what has become of each along itself.</param>
        public Row<TVec> Sums(out Row<TVec> slopes)
        {
            Row<TVec> numbers = default;
            slopes = default;
            numbers.Count = TSimd.Set(shape.Columns);
            if (TFusion.NeedsMaximum)
            {
                numbers.Maximum = TSimd.Set(Maximum());
            }

            (numbers.First, slopes.First) = Sum<Constants.One>(numbers);
            if (TFusion.Sums > 1)
            {
                (numbers.Second, slopes.Second) = Sum<Constants.Two>(numbers);
            }

            if (TFusion.Sums > 2)
            {
                (numbers.Third, slopes.Third) = Sum<Constants.Three>(numbers);
            }

            return numbers;
        }

        /// <summary>∂L along the sums: what the output passes back, and then each sum to those before it.</summary>
        /// <param name="slopes">As <see cref="Sums"/> has left them.</param>
        public Row<TVec> GradientsOfSums(in Row<TVec> sums, in Row<TVec> slopes, Dependence dependence, FusedOperand dy)
        {
            TVec* gradients = stackalloc TVec[1 + Row<TVec>.MostSums];
            TVec* finished = stackalloc TVec[1 + Row<TVec>.MostSums];
            (finished[1], finished[2], finished[3]) = (slopes.First, slopes.Second, slopes.Third);
            for (int sum = TFusion.Sums; sum > 0; sum--)
            {
                int along = Operands<TVec>.Most + sum - 1;
                TVec gradient = dependence.On(IFusion.Output, along) ? SumOfSlopes(IFusion.Output, along, sums, dy) : TSimd.Zero;
                for (int part = sum + 1; part <= TFusion.Sums; part++)
                {
                    if (dependence.On(part, along))
                    {
                        gradient = TSimd.MultiplyAdd(gradients[part], SumOfSlopes(part, along, sums, default), gradient);
                    }
                }

                gradients[sum] = TSimd.Multiply(gradient, finished[sum]);
            }

            Row<TVec> row = default;
            (row.First, row.Second, row.Third) = (gradients[1], gradients[2], gradients[3]);
            return row;
        }

        private (TVec Finished, TVec Slope) Sum<TPart>(in Row<TVec> numbers)
            where TPart : struct, IConstant
        {
            TVec sum = TSimd.Zero;
            for (int column = 0; column < shape.Columns; column += Tile)
            {
                int count = Math.Min(Tile, shape.Columns - column), rest = count % TSimd.Width;
                Operands<Cursor> x = Read(column, count);
                Terms<TPart>(fusion, x, numbers, count - rest, &sum);
                if (rest > 0)
                {
                    TVec end = TSimd.Zero;
                    Terms<TPart>(fusion, reader.Rest(x, count - rest, rest), numbers, TSimd.Width, &end);
                    sum = TSimd.Add(sum, First(end, rest));
                }
            }

            return Finish<TPart>(fusion, TSimd.Set(TSimd.Sum(sum)), numbers);
        }

        private static (TVec Finished, TVec Slope) Finish<TPart>(TFusion fusion, TVec total, Row<TVec> row)
            where TPart : struct, IConstant
        {
            Dual<SingleMath<TSimd, TVec>, TVec> finished = Derivative.Of<TFusion, SingleMath<TSimd, TVec>, TVec>(
                fusion, IFusion.Finished + TPart.Value, total, default, default, default, row, along: 0);
            return (finished.Value, finished.Varies ? finished.Slope : TSimd.Zero);
        }

        /// <summary>Whole vectors. By itself, so that the compiler's patience is the formula's alone.</summary>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static void Terms<TPart>(TFusion fusion, Operands<Cursor> x, in Row<TVec> row, int count, TVec* sum)
            where TPart : struct, IConstant
        {
            Row<Real<SingleMath<TSimd, TVec>, TVec>> numbers = RealOf<TSimd, TVec>(row);
            TVec total = *sum;
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                total = TSimd.Add(total, fusion.Value<Real<SingleMath<TSimd, TVec>, TVec>>(
                    TPart.Value,
                    new(x.A.Load<TSimd, TVec>(i)),
                    TFusion.Count > 1 ? new(x.B.Load<TSimd, TVec>(i)) : default,
                    TFusion.Count > 2 ? new(x.C.Load<TSimd, TVec>(i)) : default,
                    TFusion.Count > 3 ? new(x.D.Load<TSimd, TVec>(i)) : default,
                    numbers).Value);
            }

            *sum = total;
        }

        /// <summary>Σ of the slopes of a part along a sum, times the gradient of the output where that is the part.</summary>
        private TVec SumOfSlopes(int part, int along, in Row<TVec> numbers, FusedOperand dy)
        {
            delegate*<TFusion, Operands<Cursor>, Cursor, in Row<TVec>, float*, int, TVec*, void> slopes =
                SlopeLoops<TFusion, TSimd, TVec>.Of(part, along, SinkKind.Sum);
            TVec total = TSimd.Zero, one = TSimd.Set(1);
            if (TFusion.IsPerRow && part == IFusion.Output)
            {
                // There is one output, whose gradient stands in every lane.
                TSimd.Store(reader.RestOfOutput, TSimd.Set(*reader.ReadGradient(dy, row, 0, 1)));
                slopes(fusion, reader.Nothing(), Cursor.Fixed(reader.RestOfOutput), numbers, null, TSimd.Width, &total);
                return total;
            }

            for (int column = 0; column < shape.Columns; column += Tile)
            {
                int count = Math.Min(Tile, shape.Columns - column), rest = count % TSimd.Width;
                Operands<Cursor> x = Read(column, count);
                Cursor weight = part == IFusion.Output
                    ? Cursor.Moving(reader.ReadGradient(dy, row, PlaceOf(column), count))
                    : Cursor.Fixed((float*)&one);
                slopes(fusion, x, weight, numbers, null, count - rest, &total);
                if (rest > 0)
                {
                    if (weight.Moves != 0)
                    {
                        TSimd.Store(reader.RestOfOutput, TSimd.LoadPartial(weight.At + count - rest, rest));
                        weight.At = reader.RestOfOutput;
                    }

                    TVec end = TSimd.Zero;
                    slopes(fusion, reader.Rest(x, count - rest, rest), weight, numbers, null, TSimd.Width, &end);
                    total = TSimd.Add(total, First(end, rest));
                }
            }

            return TSimd.Set(TSimd.Sum(total));
        }

        private float Maximum()
        {
            float maximum = float.NegativeInfinity;
            for (int column = 0; column < shape.Columns; column += Tile)
            {
                int count = Math.Min(Tile, shape.Columns - column), rest = count % TSimd.Width;
                Cursor a = Read(column, count).A;
                if (a.Moves == 0)
                {
                    return *a.At;
                }

                TVec largest = TSimd.Set(maximum);
                for (int i = 0; i < count - rest; i += TSimd.Width)
                {
                    largest = TSimd.Max(largest, TSimd.Load(a.At + i));
                }

                maximum = TSimd.HorizontalMax(largest);
                for (int i = count - rest; i < count; i++)
                {
                    maximum = Math.Max(maximum, a.At[i]);
                }
            }

            return maximum;
        }

        private Operands<Cursor> Read(int column, int count) => reader.Read<TFusion>(operands, row, column, PlaceOf(column), count);

        private long PlaceOf(int column) => ((long)row * shape.Columns) + column;

        /// <summary>In the lanes without elements a formula may have made anything.</summary>
        private static TVec First(TVec value, int lanes)
        {
            float* all = stackalloc float[TSimd.Width];
            TSimd.Store(all, value);
            return TSimd.LoadPartial(all, lanes);
        }
    }

    private static Row<Real<SingleMath<TSimd, TVec>, TVec>> RealOf<TSimd, TVec>(in Row<TVec> row)
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        Row<Real<SingleMath<TSimd, TVec>, TVec>> numbers = default;
        numbers.Maximum = new(row.Maximum);
        numbers.First = new(row.First);
        numbers.Second = new(row.Second);
        numbers.Third = new(row.Third);
        numbers.Count = new(row.Count);
        return numbers;
    }
}
