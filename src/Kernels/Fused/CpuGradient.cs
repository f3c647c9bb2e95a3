using System.Reflection;
using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

internal static unsafe partial class FusedKernels
{
    private struct BackwardKernel<TFusion> : ITeamKernel
        where TFusion : unmanaged, IFusion
    {
        public TFusion Fusion;
        public FusedShape Shape;
        public Operands<FusedOperand> Dy;
        public Operands<FusedOperand> Operands;
        public Operands<FusedOperand> Gradients;

        /// <summary>Of formulas of rows.</summary>
        public Dependence Dependence;

        /// <summary>Sums over columns that a chunk keeps, in floats.</summary>
        private readonly int SumsLength => Sums(Gradients.A) + Sums(Gradients.B) + Sums(Gradients.C) + Sums(Gradients.D);

        private readonly bool SumsRows => SumsLength > 0 || IsScalar(Gradients.A) || IsScalar(Gradients.B) || IsScalar(Gradients.C)
            || IsScalar(Gradients.D);

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int chunks = SumsRows ? Math.Clamp(Shape.Rows / LeastRows, 1, MostChunks) : Shape.Rows;
            int own = SumsRows ? ((chunks + member.Count - 1) / member.Count) + 1 : 0, sumsLength = SumsLength;
            nuint chunkBytes = ((nuint)sumsLength * sizeof(float)) + (Operands<double>.Most * sizeof(double));
            nuint bytes = OperandReader<TSimd, TVec>.Bytes + ((nuint)own * chunkBytes);
            byte* scratch = member.Scratch(bytes);
            var reader = new OperandReader<TSimd, TVec>(scratch);
            (int begin, int end) = member.Share(chunks);
            for (int chunk = begin; chunk < end; chunk++)
            {
                double* scalars = null;
                float* sums = null;
                if (SumsRows)
                {
                    scalars = (double*)(scratch + OperandReader<TSimd, TVec>.Bytes + ((nuint)(chunk - begin) * chunkBytes));
                    sums = (float*)(scalars + Operands<double>.Most);
                    new Span<byte>(scalars, (int)chunkBytes).Clear();
                }

                int last = (int)((long)Shape.Rows * (chunk + 1) / chunks);
                for (int row = (int)((long)Shape.Rows * chunk / chunks); row < last; row++)
                {
                    Row(reader, row, sums, scalars);
                }
            }

            if (SumsRows)
            {
                member.Barrier();
                AddChunks<TSimd, TVec>(member, chunks, bytes, chunkBytes);
            }
        }

        private readonly void Row<TSimd, TVec>(OperandReader<TSimd, TVec> reader, int row, float* sums, double* scalars)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            RowNumbers<TVec> numbers = default;
            if (TFusion.Sums > 0)
            {
                var all = new RowReader<TFusion, TSimd, TVec>(Fusion, reader, Operands, Shape, row);
                numbers.Row = all.Sums(out Row<TVec> slopes);
                numbers.Gradients = all.GradientsOfSums(numbers.Row, slopes, Dependence, Dy.A);
                numbers.Dependence = Dependence;
            }

            int columns = Shape.ColumnsOf(row);
            TVec* rowSums = stackalloc TVec[Operands<TVec>.Most];
            new Span<TVec>(rowSums, Operands<TVec>.Most).Clear();
            for (int column = 0; column < columns; column += Tile)
            {
                int count = Math.Min(Tile, columns - column);
                long place = ((long)row * Shape.Columns) + column;
                Operands<Cursor> x = reader.Read<TFusion>(Operands, row, column, place, count);
                float* next = sums + column;
                Operands<Sink> to = Operands<Sink>.Of(
                    reader.SinkOf(0, Gradients.A, place, ref next, Shape.Columns),
                    reader.SinkOf(1, Gradients.B, place, ref next, Shape.Columns),
                    reader.SinkOf(2, Gradients.C, place, ref next, Shape.Columns),
                    reader.SinkOf(3, Gradients.D, place, ref next, Shape.Columns));
                Operands<Sink> rest = to;
                for (int output = 0; output < TFusion.Outputs; output++)
                {
                    FusedOperand dy = Dy.At(output);
                    if (dy.Data != 0)
                    {
                        float* gradient = reader.ReadGradient(dy, row, place, count);
                        TakeTile<TSimd, TVec>(reader, x, gradient, output, numbers, rest, count, rowSums);
                        rest = Operands<Sink>.Of(rest.A.Adding(), rest.B.Adding(), rest.C.Adding(), rest.D.Adding());
                    }
                }

                NarrowWhole<TSimd, TVec>(Gradients.A, to.A, place, count);
                NarrowWhole<TSimd, TVec>(Gradients.B, to.B, place, count);
                NarrowWhole<TSimd, TVec>(Gradients.C, to.C, place, count);
                NarrowWhole<TSimd, TVec>(Gradients.D, to.D, place, count);
            }

            EndRow(Gradients.A, TSimd.Sum(rowSums[0]), row, scalars);
            EndRow(Gradients.B, TSimd.Sum(rowSums[1]), row, scalars + 1);
            EndRow(Gradients.C, TSimd.Sum(rowSums[2]), row, scalars + 2);
            EndRow(Gradients.D, TSimd.Sum(rowSums[3]), row, scalars + 3);
        }

        /// <summary>Adds up what the chunks have left, in their order.</summary>
        private readonly void AddChunks<TSimd, TVec>(Member member, int chunks, nuint bytes, nuint chunkBytes)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int first = 0;
            foreach (FusedOperand gradient in (ReadOnlySpan<FusedOperand>)[Gradients.A, Gradients.B, Gradients.C, Gradients.D])
            {
                if (Sums(gradient) == 0)
                {
                    continue;
                }

                (int begin, int end) = member.Share(Shape.Columns, 16);
                for (int column = begin; column < end; column += TSimd.Width)
                {
                    int lanes = Math.Min(TSimd.Width, end - column);
                    TVec sum = TSimd.Zero;
                    for (int other = 0; other < member.Count; other++)
                    {
                        byte* left = member.ScratchOf(other, bytes) + OperandReader<TSimd, TVec>.Bytes
                            + (Operands<double>.Most * sizeof(double));
                        int count = ShareOf(chunks, other, member.Count);
                        for (int chunk = 0; chunk < count; chunk++)
                        {
                            float* sums = (float*)(left + ((nuint)chunk * chunkBytes)) + first + column;
                            sum = TSimd.Add(sum, Lanes.Load<TSimd, TVec>(sums, lanes));
                        }
                    }

                    AddColumns<TSimd, TVec>(gradient, column, lanes, sum);
                }

                first += Shape.Columns;
            }

            if (member.Index > 0)
            {
                return;
            }

            int operand = 0;
            foreach (FusedOperand gradient in (ReadOnlySpan<FusedOperand>)[Gradients.A, Gradients.B, Gradients.C, Gradients.D])
            {
                double sum = 0;
                for (int other = 0; other < member.Count && IsScalar(gradient); other++)
                {
                    byte* left = member.ScratchOf(other, bytes) + OperandReader<TSimd, TVec>.Bytes;
                    for (int chunk = 0; chunk < ShareOf(chunks, other, member.Count); chunk++)
                    {
                        sum += ((double*)(left + ((nuint)chunk * chunkBytes)))[operand];
                    }
                }

                if (IsScalar(gradient))
                {
                    Add(gradient, 0, (float)sum);
                }

                operand++;
            }
        }

        private readonly int Sums(FusedOperand gradient) =>
            gradient is { Data: not 0, Spread: OperandSpread.Column } ? Shape.Columns : 0;

        private static bool IsScalar(FusedOperand gradient) => gradient is { Data: not 0, Spread: OperandSpread.Scalar };

        private static int ShareOf(int chunks, int member, int members) =>
            (int)(((long)chunks * (member + 1) / members) - ((long)chunks * member / members));

        private static void EndRow(FusedOperand gradient, float sum, int row, double* scalar)
        {
            if (IsScalar(gradient))
            {
                *scalar += sum;
            }
            else if (gradient is { Data: not 0, Spread: OperandSpread.Row })
            {
                Add(gradient, row, sum);
            }
        }

        private static void AddColumns<TSimd, TVec>(FusedOperand gradient, int column, int lanes, TVec sum)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (gradient.IsHalf)
            {
                Half* half = (Half*)gradient.Data + column;
                Lanes.StoreHalf<TSimd, TVec>(half, gradient.Adds ? TSimd.Add(Lanes.LoadHalf<TSimd, TVec>(half, lanes), sum) : sum, lanes);
            }
            else
            {
                float* single = (float*)gradient.Data + column;
                Lanes.Store<TSimd, TVec>(single, gradient.Adds ? TSimd.Add(Lanes.Load<TSimd, TVec>(single, lanes), sum) : sum, lanes);
            }
        }

        private static void Add(FusedOperand gradient, int index, float value)
        {
            if (gradient.IsHalf)
            {
                Half* half = (Half*)gradient.Data + index;
                *half = (Half)(gradient.Adds ? (float)*half + value : value);
            }
            else
            {
                float* single = (float*)gradient.Data + index;
                *single = gradient.Adds ? *single + value : value;
            }
        }

        private static void NarrowWhole<TSimd, TVec>(FusedOperand gradient, Sink sink, long place, int count)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (gradient is not { Data: not 0, IsHalf: true, Spread: OperandSpread.Whole })
            {
                return;
            }

            Half* to = (Half*)gradient.Data + place;
            for (int i = 0; gradient.Adds && i < count; i += TSimd.Width)
            {
                int lanes = Math.Min(TSimd.Width, count - i);
                Lanes.Store<TSimd, TVec>(sink.At + i,
                    TSimd.Add(Lanes.LoadHalf<TSimd, TVec>(to + i, lanes), Lanes.Load<TSimd, TVec>(sink.At + i, lanes)), lanes);
            }

            Narrow<TSimd, TVec>(sink.At, to, count);
        }

        /// <summary>The gradients over a tile, taken where they go.</summary>
        private readonly void TakeTile<TSimd, TVec>(
            OperandReader<TSimd, TVec> reader, Operands<Cursor> x, float* dy, int output, in RowNumbers<TVec> numbers, Operands<Sink> to,
            int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            int whole = count - (count % TSimd.Width), rest = count - whole;
            delegate*<TFusion, Operands<Cursor>, float*, in RowNumbers<TVec>, Operands<Sink>, int, TVec*, void> slopes =
                Loops<TSimd, TVec>.Of(output, to);
            slopes(Fusion, x, dy, numbers, to, whole, sums);
            if (rest == 0)
            {
                return;
            }

            float* gradient = reader.RestOfOutput;
            TSimd.Store(gradient, TSimd.LoadPartial(dy + whole, rest));
            TVec* ends = stackalloc TVec[Operands<TVec>.Most];
            new Span<TVec>(ends, Operands<TVec>.Most).Clear();
            float* last = stackalloc float[Operands<TVec>.Most * TSimd.Width];
            Operands<Sink> lasts = Operands<Sink>.Of(
                Begin<TSimd, TVec>(to.A, last, whole, rest),
                Begin<TSimd, TVec>(to.B, last + TSimd.Width, whole, rest),
                Begin<TSimd, TVec>(to.C, last + (2 * TSimd.Width), whole, rest),
                Begin<TSimd, TVec>(to.D, last + (3 * TSimd.Width), whole, rest));
            slopes(Fusion, reader.Rest(x, whole, rest), gradient, numbers, lasts, TSimd.Width, ends);
            End<TSimd, TVec>(to.A, last, whole, rest, sums, ends);
            End<TSimd, TVec>(to.B, last + TSimd.Width, whole, rest, sums + 1, ends + 1);
            End<TSimd, TVec>(to.C, last + (2 * TSimd.Width), whole, rest, sums + 2, ends + 2);
            End<TSimd, TVec>(to.D, last + (3 * TSimd.Width), whole, rest, sums + 3, ends + 3);
        }

        private static Sink Begin<TSimd, TVec>(Sink sink, float* last, int whole, int rest)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (sink.At != null)
            {
                TSimd.Store(last, TSimd.LoadPartial(sink.At + whole, rest));
                sink.At = last;
            }

            return sink;
        }

        /// <summary>In the lanes without elements a formula may have made anything.</summary>
        private static void End<TSimd, TVec>(Sink sink, float* last, int whole, int rest, TVec* sum, TVec* end)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            if (sink.At != null)
            {
                TSimd.StorePartial(sink.At + whole, TSimd.Load(last), rest);
            }
            else if (sink.Kind == SinkKind.Sum)
            {
                TSimd.Store(last, *end);
                *sum = TSimd.Add(*sum, TSimd.LoadPartial(last, rest));
            }
        }

        /// <summary>Whole vectors, by one output. By itself, so that the compiler's patience is the formula's alone.</summary>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static void Slopes<TSimd, TVec, TOutput, TA, TB, TC, TD>(
            TFusion fusion, Operands<Cursor> x, float* dy, in RowNumbers<TVec> numbers, Operands<Sink> to, int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
            where TOutput : struct, IConstant
            where TA : struct, ISink
            where TB : struct, ISink
            where TC : struct, ISink
            where TD : struct, ISink
        {
            Cursor atA = x.A, atB = x.B, atC = x.C, atD = x.D;
            float* toA = to.A.At, toB = to.B.At, toC = to.C.At, toD = to.D.At;
            TVec sumA = sums[0], sumB = sums[1], sumC = sums[2], sumD = sums[3];
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                TVec gradient = TSimd.Load(dy + i);
                TVec a = atA.Load<TSimd, TVec>(i),
                    b = TFusion.Count > 1 ? atB.Load<TSimd, TVec>(i) : default,
                    c = TFusion.Count > 2 ? atC.Load<TSimd, TVec>(i) : default,
                    d = TFusion.Count > 3 ? atD.Load<TSimd, TVec>(i) : default;
                if (TA.IsWanted)
                {
                    TVec passed = fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TOutput.Value, a, b, c, d, default, 0).PassBack(gradient);
                    sumA = TA.Put<TSimd, TVec>(toA + i, passed, sumA);
                }

                if (TFusion.Count > 1 && TB.IsWanted)
                {
                    TVec passed = fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TOutput.Value, a, b, c, d, default, 1).PassBack(gradient);
                    sumB = TB.Put<TSimd, TVec>(toB + i, passed, sumB);
                }

                if (TFusion.Count > 2 && TC.IsWanted)
                {
                    TVec passed = fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TOutput.Value, a, b, c, d, default, 2).PassBack(gradient);
                    sumC = TC.Put<TSimd, TVec>(toC + i, passed, sumC);
                }

                if (TFusion.Count > 3 && TD.IsWanted)
                {
                    TVec passed = fusion.Slope<SingleMath<TSimd, TVec>, TVec>(TOutput.Value, a, b, c, d, default, 3).PassBack(gradient);
                    sumD = TD.Put<TSimd, TVec>(toD + i, passed, sumD);
                }
            }

            sums[0] = sumA;
            sums[1] = sumB;
            sums[2] = sumC;
            sums[3] = sumD;
        }

        /// <summary>As <see cref="Slopes"/>, in a pass for each part of a formula of rows that depends on the operand: the compiler would
        /// not inline all at once.</summary>
        private static void SlopesOfRow<TSimd, TVec>(
            TFusion fusion, Operands<Cursor> x, float* dy, in RowNumbers<TVec> numbers, Operands<Sink> to, int count, TVec* sums)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            TVec* ofSums = stackalloc TVec[1 + Row<TVec>.MostSums];
            ofSums[1] = numbers.Gradients.First;
            ofSums[2] = numbers.Gradients.Second;
            ofSums[3] = numbers.Gradients.Third;
            ReadOnlySpan<Sink> sinks = [to.A, to.B, to.C, to.D];
            for (int operand = 0; operand < TFusion.Count; operand++)
            {
                Sink sink = sinks[operand];
                for (int part = 0; part <= TFusion.Sums && sink.Kind != SinkKind.None; part++)
                {
                    if (numbers.Dependence.On(part, operand))
                    {
                        Cursor weight = part == IFusion.Output ? Cursor.Moving(dy) : Cursor.Fixed((float*)(ofSums + part));
                        SlopeLoops<TFusion, TSimd, TVec>.Of(part, operand, sink.Kind)(
                            fusion, x, weight, numbers.Row, sink.At, count, sums + operand);
                        sink = sink.Adding();
                    }
                }

                if (sink.Kind == SinkKind.Write)
                {
                    new Span<float>(sink.At, count).Clear();
                }
            }
        }

        /// <summary>
        /// <see cref="Slopes"/> for what happens to each gradient, compiled when it is first needed: the loop itself has no branches.
        /// </summary>
        private static class Loops<TSimd, TVec>
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            private static readonly nint[] Compiled = new nint[256 * Operands<Sink>.Most];

            public static delegate*<TFusion, Operands<Cursor>, float*, in RowNumbers<TVec>, Operands<Sink>, int, TVec*, void> Of(
                int output, Operands<Sink> to)
            {
                int index = (int)to.A.Kind + (4 * (int)to.B.Kind) + (16 * (int)to.C.Kind) + (64 * (int)to.D.Kind) + (256 * output);
                nint loop = Volatile.Read(ref Compiled[index]);
                if (loop == 0)
                {
                    loop = TFusion.Sums > 0
                        ? (nint)(delegate*<TFusion, Operands<Cursor>, float*, in RowNumbers<TVec>, Operands<Sink>, int, TVec*, void>)
                            &SlopesOfRow<TSimd, TVec>
                        : Compile(output, to);
                    Volatile.Write(ref Compiled[index], loop);
                }

                return (delegate*<TFusion, Operands<Cursor>, float*, in RowNumbers<TVec>, Operands<Sink>, int, TVec*, void>)loop;
            }

            private static nint Compile(int output, Operands<Sink> to) => typeof(BackwardKernel<TFusion>)
                .GetMethod(nameof(Slopes), BindingFlags.NonPublic | BindingFlags.Static)!
                .MakeGenericMethod(typeof(TSimd), typeof(TVec), Constants.Types[output], SinkTypes[(int)to.A.Kind],
                    SinkTypes[(int)to.B.Kind], SinkTypes[(int)to.C.Kind], SinkTypes[(int)to.D.Kind])
                .MethodHandle.GetFunctionPointer();
        }
    }
}
