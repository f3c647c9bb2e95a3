using System.Runtime.CompilerServices;
using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Fused;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>An operand in a GPU's memory, of the kernel's type or of the other.</summary>
internal unsafe struct GpuOperand
{
    public GpuArray<byte> Data;

    /// <summary>As <see cref="OperandSpread"/>.</summary>
    public int Spread;

    /// <summary>Whether it is in half precision in a kernel for single precision, or the other way round.</summary>
    public int IsOther;

    public int IsHalf;

    /// <summary>Of a gradient: whether it is.</summary>
    public int IsWanted;

    /// <summary>Of a gradient: whether it is added to what is there.</summary>
    public int Adds;

    public static GpuOperand Of(FusedOperand operand, FusedShape shape, CudaType type)
    {
        long count = operand.Spread switch
        {
            OperandSpread.Whole => shape.Count,
            OperandSpread.Column => shape.Columns,
            OperandSpread.Row => shape.Rows,
            _ => 1,
        };
        GpuOperand result = default;
        result.Data = new(operand.Data, operand.Data == 0 ? 0 : count * (operand.IsHalf ? 2 : 4));
        result.Spread = (int)operand.Spread;
        result.IsHalf = operand.IsHalf ? 1 : 0;
        result.IsWanted = operand.Data == 0 ? 0 : 1;
        result.Adds = operand.Adds ? 1 : 0;
        result.IsOther = operand.IsHalf == (type == CudaType.Float16) ? 0 : 1;
        return result;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static TGroup Read<TElement, TGroup>(GpuOperand operand, long row, int column, long place, long available, int aligned)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (operand.Spread >= (int)OperandSpread.Row)
        {
            long index = operand.Spread == (int)OperandSpread.Row ? row : 0;
            return TGroup.Splat(operand.IsHalf != 0 ? Float16.Read(operand.Data.Start, index) : Float32.Read(operand.Data.Start, index));
        }

        long at = operand.Spread == (int)OperandSpread.Whole ? place : column;
        return operand.IsOther != 0
            ? TGroup.ReadOther(operand.Data.Start, at, available, aligned)
            : TElement.ReadGroup(operand.Data.Start, at, available, aligned);
    }

    /// <summary>A group of a gradient, which is added where it is to be.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Write<TElement, TGroup>(GpuOperand to, long at, long available, int aligned, TGroup values)
        where TElement : struct, IElement<TGroup>
        where TGroup : unmanaged, IGroup<TGroup>
    {
        if (to.Adds != 0)
        {
            values += to.IsOther != 0
                ? TGroup.ReadOther(to.Data.Start, at, available, aligned)
                : TElement.ReadGroup(to.Data.Start, at, available, aligned);
        }

        if (to.IsOther != 0)
        {
            TGroup.WriteOther(to.Data.Start, at, available, aligned, values);
        }
        else
        {
            TElement.WriteGroup(to.Data.Start, at, available, aligned, values);
        }
    }

    /// <summary>One number of a gradient.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void WriteOne(GpuOperand to, long at, float value)
    {
        if (to.IsHalf != 0)
        {
            Float16.Write(to.Data.Start, at, to.Adds != 0 ? value + Float16.Read(to.Data.Start, at) : value);
        }
        else
        {
            Float32.Write(to.Data.Start, at, to.Adds != 0 ? value + Float32.Read(to.Data.Start, at) : value);
        }
    }
}
