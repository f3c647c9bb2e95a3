using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Cpu.Simd;
using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>A formula over all elements, and its gradient.</summary>
/// <remarks>
/// Operands that repeat along a row stand in a vector of their own, which every step of the row reads again, so that the loop over a row
/// has no branches. Formulas of rows compute the sums of a row before they pass over it again, while a cache has it. Sums over rows run
/// over chunks of rows that the shape fixes, each into columns of its own, which are then added in their order: the bits do not depend on
/// the number of threads.
/// </remarks>
internal static unsafe partial class FusedKernels
{
    /// <summary>Columns whose halves are widened at a time.</summary>
    private const int Tile = 1024;

    /// <summary>Chunks of rows that have sums of their own, at most.</summary>
    private const int MostChunks = 64;

    /// <summary>Rows of a chunk, at least: what bounds the memory for its sums.</summary>
    private const int LeastRows = 16;

    /// <summary>y = f(operands).</summary>
    /// <param name="outputs">As many as the formula has.</param>
    public static void Forward<TFusion>(
        ThreadTeam team, TFusion fusion, FusedShape shape, Operands<FusedOperand> operands, Operands<FusedOperand> outputs)
        where TFusion : unmanaged, IFusion
    {
        var kernel = new ForwardKernel<TFusion> { Fusion = fusion, Shape = shape, Operands = operands, Outputs = outputs };
        team.Run(ref kernel);
    }

    /// <summary>The gradients of the operands that have somewhere to go.</summary>
    /// <param name="dy">∂L along the outputs; without data where it is 0.</param>
    /// <param name="gradients">As the operands.</param>
    public static void Backward<TFusion>(ThreadTeam team, TFusion fusion, FusedShape shape, Operands<FusedOperand> dy,
        Operands<FusedOperand> operands, Operands<FusedOperand> gradients)
        where TFusion : unmanaged, IFusion
    {
        var kernel = new BackwardKernel<TFusion>
        {
            Fusion = fusion,
            Shape = shape,
            Dy = dy,
            Operands = operands,
            Gradients = gradients,
            Dependence = TFusion.Sums > 0 ? Dependence.Of(fusion) : default,
        };
        team.Run(ref kernel);
    }

    private struct ForwardKernel<TFusion> : ITeamKernel
        where TFusion : unmanaged, IFusion
    {
        public TFusion Fusion;
        public FusedShape Shape;
        public Operands<FusedOperand> Operands;
        public Operands<FusedOperand> Outputs;

        public readonly void Run<TSimd, TVec>(Member member)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            (int begin, int end) = member.Share(Shape.Rows);
            var reader = new OperandReader<TSimd, TVec>(member.Scratch(OperandReader<TSimd, TVec>.Bytes));
            for (int row = begin; row < end; row++)
            {
                Row<TVec> sums = TFusion.Sums > 0
                    ? new RowReader<TFusion, TSimd, TVec>(Fusion, reader, Operands, Shape, row).Sums(out _)
                    : default;
                if (TFusion.IsPerRow)
                {
                    Values<TSimd, TVec>(Fusion, reader.Nothing(), sums, reader.RestsOfOutputs, TSimd.Width);
                    Put(Outputs.A, row, *reader.RestOfOutput);
                    continue;
                }

                int columns = Shape.ColumnsOf(row);
                for (int column = 0; column < columns; column += Tile)
                {
                    int count = Math.Min(Tile, columns - column);
                    long place = ((long)row * Shape.Columns) + column;
                    Operands<Cursor> x = reader.Read<TFusion>(Operands, row, column, place, count);
                    var y = Operands<nint>.Of(
                        reader.PlaceOf(Outputs.A, 0, place), reader.PlaceOf(Outputs.B, 1, place), reader.PlaceOf(Outputs.C, 2, place),
                        reader.PlaceOf(Outputs.D, 3, place));
                    int whole = count - (count % TSimd.Width), rest = count - whole;
                    Values<TSimd, TVec>(Fusion, x, sums, y, whole);
                    if (rest > 0)
                    {
                        Values<TSimd, TVec>(Fusion, reader.Rest(x, whole, rest), sums, reader.RestsOfOutputs, TSimd.Width);
                    }

                    for (int output = 0; output < TFusion.Outputs; output++)
                    {
                        float* values = (float*)y.At(output);
                        if (rest > 0)
                        {
                            TSimd.StorePartial(values + whole, TSimd.Load((float*)reader.RestsOfOutputs.At(output)), rest);
                        }

                        if (Outputs.At(output) is { IsHalf: true } half)
                        {
                            Narrow<TSimd, TVec>(values, (Half*)half.Data + place, count);
                        }
                    }
                }
            }
        }

        /// <summary>
        /// Whole vectors. By itself, so that the compiler's patience is the formula's alone, and compiled well at once: what it learns from
        /// first calls makes these loops no faster.
        /// </summary>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static void Values<TSimd, TVec>(TFusion fusion, Operands<Cursor> x, in Row<TVec> sums, Operands<nint> y, int count)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            Row<Real<SingleMath<TSimd, TVec>, TVec>> row = TFusion.Sums > 0 ? RealOf<TSimd, TVec>(sums) : default;
            Cursor a = x.A, b = x.B, c = x.C, d = x.D;
            float* y0 = (float*)y.A, y1 = (float*)y.B, y2 = (float*)y.C, y3 = (float*)y.D;
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                Real<SingleMath<TSimd, TVec>, TVec> xa = new(a.Load<TSimd, TVec>(i)),
                    xb = TFusion.Count > 1 ? new(b.Load<TSimd, TVec>(i)) : default,
                    xc = TFusion.Count > 2 ? new(c.Load<TSimd, TVec>(i)) : default,
                    xd = TFusion.Count > 3 ? new(d.Load<TSimd, TVec>(i)) : default;
                TSimd.Store(y0 + i, fusion.Value(IFusion.Output, xa, xb, xc, xd, row).Value);
                if (TFusion.Outputs > 1)
                {
                    TSimd.Store(y1 + i, fusion.Value(1, xa, xb, xc, xd, row).Value);
                }

                if (TFusion.Outputs > 2)
                {
                    TSimd.Store(y2 + i, fusion.Value(2, xa, xb, xc, xd, row).Value);
                }

                if (TFusion.Outputs > 3)
                {
                    TSimd.Store(y3 + i, fusion.Value(3, xa, xb, xc, xd, row).Value);
                }
            }
        }
    }

    private static void Put(FusedOperand to, int index, float value)
    {
        if (to.IsHalf)
        {
            ((Half*)to.Data)[index] = (Half)value;
        }
        else
        {
            ((float*)to.Data)[index] = value;
        }
    }
}
