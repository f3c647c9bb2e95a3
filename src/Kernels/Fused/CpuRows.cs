using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

public static unsafe partial class FusedKernels
{
    /// <summary>What the elements of a row have in common, each in all lanes of a vector.</summary>
    private struct RowNumbers<TVec>
        where TVec : unmanaged
    {
        public Row<TVec> Row;

        /// <summary>∂L along the sums.</summary>
        public Row<TVec> Gradients;
    }

    /// <summary>Something that is added up over the vectors of a row.</summary>
    private interface IRowLoop<TFusion>
        where TFusion : unmanaged, IFusion
    {
        /// <summary>Whole vectors.</summary>
        /// <param name="dy">Null where the loop does not need it.</param>
        /// <param name="sums">As many as a row has at most.</param>
        static abstract void Run<TSimd, TVec>(
            TFusion fusion, Operands<Cursor> x, float* dy, in Row<TVec> row, int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged;
    }

    /// <summary>The terms of a sum.</summary>
    private readonly struct Terms<TFusion, TPart> : IRowLoop<TFusion>
        where TFusion : unmanaged, IFusion
        where TPart : struct, IPart
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Run<TSimd, TVec>(TFusion fusion, Operands<Cursor> x, float* dy, in Row<TVec> row, int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            Row<Real<SingleMath<TSimd, TVec>, TVec>> numbers = default;
            numbers.Maximum = new(row.Maximum);
            numbers.First = new(row.First);
            numbers.Second = new(row.Second);
            numbers.Count = new(row.Count);
            TVec sum = sums[0];
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                sum = TSimd.Add(sum, Value<TFusion, TSimd, TVec>(fusion, TPart.Number, x, i, numbers));
            }

            sums[0] = sum;
        }
    }

    /// <summary>The slopes of a term, or of the output times its gradient, along the sums before it.</summary>
    private readonly struct SlopesAlongSums<TFusion, TPart> : IRowLoop<TFusion>
        where TFusion : unmanaged, IFusion
        where TPart : struct, IPart
    {
        private const int FirstOfSums = Operands<float>.Most;

        private static int Sums => TPart.Number == IFusion.Output ? TFusion.Sums : TPart.Number - 1;

        [MethodImpl(MethodImplOptions.NoInlining)]
        public static void Run<TSimd, TVec>(TFusion fusion, Operands<Cursor> x, float* dy, in Row<TVec> row, int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            Row<TVec> numbers = row;
            TVec first = sums[0], second = sums[1], third = sums[2];
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                TVec a = x.A.Load<TSimd, TVec>(i),
                    b = TFusion.Count > 1 ? x.B.Load<TSimd, TVec>(i) : default,
                    c = TFusion.Count > 2 ? x.C.Load<TSimd, TVec>(i) : default,
                    d = TFusion.Count > 3 ? x.D.Load<TSimd, TVec>(i) : default;
                TVec weight = TPart.Number == IFusion.Output ? TSimd.Load(dy + i) : TSimd.Set(1);
                first = TSimd.MultiplyAdd(
                    weight, fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TPart.Number, a, b, c, d, numbers, FirstOfSums), first);
                if (Sums > 1)
                {
                    second = TSimd.MultiplyAdd(
                        weight, fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TPart.Number, a, b, c, d, numbers, FirstOfSums + 1), second);
                }

                if (Sums > 2)
                {
                    third = TSimd.MultiplyAdd(
                        weight, fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TPart.Number, a, b, c, d, numbers, FirstOfSums + 2), third);
                }
            }

            sums[0] = first;
            sums[1] = second;
            sums[2] = third;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Value<TFusion, TSimd, TVec>(
        TFusion fusion, int part, Operands<Cursor> x, nint i, Row<Real<SingleMath<TSimd, TVec>, TVec>> row)
        where TFusion : unmanaged, IFusion
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
        => fusion.Value<Real<SingleMath<TSimd, TVec>, TVec>>(
            part,
            new(x.A.Load<TSimd, TVec>(i)),
            TFusion.Count > 1 ? new(x.B.Load<TSimd, TVec>(i)) : default,
            TFusion.Count > 2 ? new(x.C.Load<TSimd, TVec>(i)) : default,
            TFusion.Count > 3 ? new(x.D.Load<TSimd, TVec>(i)) : default,
            row).Value;

    /// <summary>A row, and how its numbers are found.</summary>
    private readonly struct RowReader<TFusion, TSimd, TVec>(
        TFusion fusion, OperandReader<TSimd, TVec> reader, Operands<FusedOperand> operands, FusedShape shape, int row)
        where TFusion : unmanaged, IFusion
        where TSimd : struct, ISimd<TVec>
        where TVec : unmanaged
    {
        /// <summary>The sums of the row.</summary>
        public Row<TVec> Sums()
        {
            Row<TVec> numbers = default;
            numbers.Count = TSimd.Set(shape.Columns);
            if (TFusion.NeedsMaximum)
            {
                numbers.Maximum = TSimd.Set(Maximum());
            }

            numbers.First = Total<Terms<TFusion, FirstSum>>(numbers, default).First;
            if (TFusion.Sums > 1)
            {
                numbers.Second = Total<Terms<TFusion, SecondSum>>(numbers, default).First;
            }

            if (TFusion.Sums > 2)
            {
                numbers.Third = Total<Terms<TFusion, ThirdSum>>(numbers, default).First;
            }

            return numbers;
        }

        /// <summary>∂L along the sums: what the output passes back, and then each sum to those before it.</summary>
        public Row<TVec> GradientsOfSums(Row<TVec> sums, FusedOperand dy)
        {
            Row<TVec> gradients = TFusion.IsPerRow ? GradientsOfOne(sums, dy) : Total<SlopesAlongSums<TFusion, OutputPart>>(sums, dy);
            if (TFusion.Sums > 2)
            {
                Row<TVec> third = Total<SlopesAlongSums<TFusion, ThirdSum>>(sums, default);
                gradients.First = TSimd.MultiplyAdd(gradients.Third, third.First, gradients.First);
                gradients.Second = TSimd.MultiplyAdd(gradients.Third, third.Second, gradients.Second);
            }

            if (TFusion.Sums > 1)
            {
                Row<TVec> second = Total<SlopesAlongSums<TFusion, SecondSum>>(sums, default);
                gradients.First = TSimd.MultiplyAdd(gradients.Second, second.First, gradients.First);
            }

            return gradients;
        }

        /// <summary>What one output for the whole row passes back.</summary>
        private Row<TVec> GradientsOfOne(in Row<TVec> sums, FusedOperand dy)
        {
            TVec* slopes = stackalloc TVec[Row<TVec>.MostSums];
            new Span<TVec>(slopes, Row<TVec>.MostSums).Clear();
            TSimd.Store(reader.RestOfOutput, TSimd.Set(*reader.ReadGradient(dy, row, 0, 1)));
            SlopesAlongSums<TFusion, OutputPart>.Run<TSimd, TVec>(fusion, reader.Nothing(), reader.RestOfOutput, sums, TSimd.Width, slopes);
            Row<TVec> gradients = default;
            gradients.First = slopes[0];
            gradients.Second = slopes[1];
            gradients.Third = slopes[2];
            return gradients;
        }

        /// <summary>What a loop adds up over the row, in all lanes.</summary>
        /// <param name="dy">Nothing for loops that do not need it.</param>
        private Row<TVec> Total<TLoop>(in Row<TVec> numbers, FusedOperand dy)
            where TLoop : struct, IRowLoop<TFusion>
        {
            TVec* sums = stackalloc TVec[Row<TVec>.MostSums];
            TVec* ends = stackalloc TVec[Row<TVec>.MostSums];
            new Span<TVec>(sums, Row<TVec>.MostSums).Clear();
            new Span<TVec>(ends, Row<TVec>.MostSums).Clear();
            for (int column = 0; column < shape.Columns; column += Tile)
            {
                int count = Math.Min(Tile, shape.Columns - column);
                long place = ((long)row * shape.Columns) + column;
                Operands<Cursor> x = reader.Read<TFusion>(operands, row, column, place, count);
                float* gradient = dy.Data == 0 ? null : reader.ReadGradient(dy, row, place, count);
                int whole = count - (count % TSimd.Width), rest = count - whole;
                TLoop.Run<TSimd, TVec>(fusion, x, gradient, numbers, whole, sums);
                if (rest > 0)
                {
                    if (gradient != null)
                    {
                        TSimd.Store(reader.RestOfOutput, TSimd.LoadPartial(gradient + whole, rest));
                    }

                    TLoop.Run<TSimd, TVec>(fusion, reader.Rest(x, whole, rest), reader.RestOfOutput, numbers, TSimd.Width, ends);
                    for (int sum = 0; sum < Row<TVec>.MostSums; sum++)
                    {
                        sums[sum] = TSimd.Add(sums[sum], First(ends[sum], rest));
                    }
                }
            }

            Row<TVec> total = default;
            total.First = TSimd.Set(TSimd.Sum(sums[0]));
            total.Second = TSimd.Set(TSimd.Sum(sums[1]));
            total.Third = TSimd.Set(TSimd.Sum(sums[2]));
            return total;
        }

        /// <summary>In the lanes without elements a formula may have made anything.</summary>
        private static TVec First(TVec value, int lanes)
        {
            float* all = stackalloc float[TSimd.Width];
            TSimd.Store(all, value);
            return TSimd.LoadPartial(all, lanes);
        }

        private float Maximum()
        {
            float maximum = float.NegativeInfinity;
            for (int column = 0; column < shape.Columns; column += Tile)
            {
                int count = Math.Min(Tile, shape.Columns - column);
                Cursor a = reader.Read<TFusion>(operands, row, column, ((long)row * shape.Columns) + column, count).A;
                if (a.Moves == 0)
                {
                    return *a.At;
                }

                int whole = count - (count % TSimd.Width);
                TVec largest = TSimd.Set(maximum);
                for (int i = 0; i < whole; i += TSimd.Width)
                {
                    largest = TSimd.Max(largest, TSimd.Load(a.At + i));
                }

                maximum = TSimd.HorizontalMax(largest);
                for (int i = whole; i < count; i++)
                {
                    maximum = Math.Max(maximum, a.At[i]);
                }
            }

            return maximum;
        }
    }
}
