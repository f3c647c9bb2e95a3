using CudaTrainer.Kernels.Cpu.Threading;
using CudaTrainer.Kernels.Formulas;
using CudaTrainer.Kernels.Fused;

namespace CudaTrainer.Kernels.Cpu;

/// <summary>Sums that no other kernel has fused.</summary>
internal static unsafe class Elementwise
{
    /// <summary>y += x.</summary>
    /// <param name="x">[count].</param>
    /// <param name="y">[count].</param>
    public static void Accumulate(ThreadTeam team, long count, float* x, float* y) => Accumulate(team, count, (nint)x, isHalf: false, y);

    /// <summary>Adds numbers in half precision, converted exactly, to numbers in single precision.</summary>
    /// <inheritdoc cref="Accumulate(ThreadTeam, long, float*, float*)"/>
    public static void Accumulate(ThreadTeam team, long count, Half* x, float* y) => Accumulate(team, count, (nint)x, isHalf: true, y);

    private static void Accumulate(ThreadTeam team, long count, nint x, bool isHalf, float* y)
    {
        var sum = new FusedOperand((nint)y, OperandSpread.Whole, IsHalf: false);
        FusedKernels.Forward(team, default(Fusion2<Add>), new FusedShape(count, FusedShape.FlatColumns),
            Operands<FusedOperand>.Of(new(x, OperandSpread.Whole, isHalf), sum), Operands<FusedOperand>.Of(sum));
    }
}
