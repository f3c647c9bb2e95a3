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
public static unsafe partial class FusedKernels
{
    /// <summary>Columns whose halves are widened at a time.</summary>
    private const int Tile = 1024;

    /// <summary>Chunks of rows that have sums of their own, at most.</summary>
    private const int MostChunks = 64;

    /// <summary>Rows of a chunk, at least: what bounds the memory for its sums.</summary>
    private const int LeastRows = 16;

    /// <summary>y = f(operands).</summary>
    public static void Forward<TFusion>(ThreadTeam team, TFusion fusion, FusedShape shape, Operands<FusedOperand> operands, FusedOperand y)
        where TFusion : unmanaged, IFusion
    {
        var kernel = new ForwardKernel<TFusion> { Fusion = fusion, Shape = shape, Operands = operands, Y = y };
        team.Run(ref kernel);
    }

    /// <summary>The gradients of the operands that have somewhere to go.</summary>
    /// <param name="dy">∂L/∂y, as y.</param>
    /// <param name="gradients">As the operands.</param>
    public static void Backward<TFusion>(ThreadTeam team, TFusion fusion, FusedShape shape, FusedOperand dy,
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
        public FusedOperand Y;

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
                    Values<TSimd, TVec>(Fusion, reader.Nothing(), sums, reader.RestOfOutput, TSimd.Width);
                    Put(Y, row, *reader.RestOfOutput);
                    continue;
                }

                int columns = Shape.ColumnsOf(row);
                for (int column = 0; column < columns; column += Tile)
                {
                    int count = Math.Min(Tile, columns - column);
                    long place = ((long)row * Shape.Columns) + column;
                    Operands<Cursor> x = reader.Read<TFusion>(Operands, row, column, place, count);
                    float* y = Y.IsHalf ? reader.Output : (float*)Y.Data + place;
                    int whole = count - (count % TSimd.Width), rest = count - whole;
                    Values<TSimd, TVec>(Fusion, x, sums, y, whole);
                    if (rest > 0)
                    {
                        Values<TSimd, TVec>(Fusion, reader.Rest(x, whole, rest), sums, reader.RestOfOutput, TSimd.Width);
                        TSimd.StorePartial(y + whole, TSimd.Load(reader.RestOfOutput), rest);
                    }

                    if (Y.IsHalf)
                    {
                        Narrow<TSimd, TVec>(y, (Half*)Y.Data + place, count);
                    }
                }
            }
        }

        /// <summary>
        /// Whole vectors. By itself, so that the compiler's patience is the formula's alone, and compiled well at once: what it learns from
        /// first calls makes these loops no faster.
        /// </summary>
        [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
        private static void Values<TSimd, TVec>(TFusion fusion, Operands<Cursor> x, in Row<TVec> sums, float* y, int count)
            where TSimd : struct, ISimd<TVec>
            where TVec : unmanaged
        {
            Row<Real<SingleMath<TSimd, TVec>, TVec>> row = TFusion.Sums > 0 ? RealOf<TSimd, TVec>(sums) : default;
            Cursor a = x.A, b = x.B, c = x.C, d = x.D;
            for (nint i = 0; i < count; i += TSimd.Width)
            {
                TSimd.Store(y + i, fusion.Value<Real<SingleMath<TSimd, TVec>, TVec>>(
                    IFusion.Output,
                    new(a.Load<TSimd, TVec>(i)),
                    TFusion.Count > 1 ? new(b.Load<TSimd, TVec>(i)) : default,
                    TFusion.Count > 2 ? new(c.Load<TSimd, TVec>(i)) : default,
                    TFusion.Count > 3 ? new(d.Load<TSimd, TVec>(i)) : default,
                    row).Value);
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
