using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>Reads an opaque activation out in the order channel, row, column.</summary>
    /// <param name="shape">[images, channels, height, width] of x.</param>
    /// <param name="y">[images, channels·height·width], <see cref="BackboneType"/>.</param>
    void ConvFlatten(Tensor x, Tensor y, Shape shape);
}

internal sealed unsafe partial class CpuOps
{
    public void ConvFlatten(Tensor x, Tensor y, Shape shape) =>
        Cpu.ConvFlatten.Run(team, shape[0], shape[1], shape[2], shape[3], Floats(x), Floats(y));
}

internal sealed partial class CudaOps
{
    private Gpu.ConvFlatten ConvFlattenKernels => field ??= new Gpu.ConvFlatten(_kernels);

    public void ConvFlatten(Tensor x, Tensor y, Shape shape) =>
        ConvFlattenKernels.Run(_stream, shape[0], shape[1], shape[2], shape[3], x.Data, y.Data, ConvType);
}

internal sealed unsafe partial class ReferenceOps
{
    public void ConvFlatten(Tensor x, Tensor y, Shape shape) => Buffer.MemoryCopy((void*)x.Data, (void*)y.Data, y.Bytes, y.Bytes);
}
