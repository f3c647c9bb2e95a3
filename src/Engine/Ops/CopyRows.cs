using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Copies (or adds) a rectangle of rows between matrices with different row lengths.</summary>
    /// <param name="source">First element at <paramref name="sourceOffset"/>, rows <paramref name="sourceStride"/> elements apart.</param>
    void CopyRows(
        Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows,
        int columns, bool accumulate = false);
}

internal sealed unsafe partial class CpuOps
{
    public void CopyRows(
        Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows,
        int columns, bool accumulate) =>
        Cpu.Copy2D.Run(
            team, rows, columns, Floats(source) + sourceOffset, sourceStride, Floats(destination) + destinationOffset, destinationStride,
            accumulate);
}

internal sealed partial class CudaOps
{
    public void CopyRows(
        Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows,
        int columns, bool accumulate)
    {
        int size = source.DType.Size();
        _elementwise.CopyRows(
            _stream, rows, columns, (nint)(source.Data + (sourceOffset * size)), sourceStride,
            (nint)(destination.Data + (destinationOffset * size)), destinationStride, accumulate, TypeOf(source));
    }
}

internal sealed partial class ReferenceOps
{
    public void CopyRows(
        Tensor source, long sourceOffset, int sourceStride, Tensor destination, long destinationOffset, int destinationStride, int rows,
        int columns, bool accumulate)
    {
        double[] from = Load(source), to = Load(destination);
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                ref double target = ref to[destinationOffset + ((long)i * destinationStride) + j];
                target = from[sourceOffset + ((long)i * sourceStride) + j] + (accumulate ? target : 0);
            }
        }

        Store(destination, to);
    }
}
