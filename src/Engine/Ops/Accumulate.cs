using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Ops;

internal sealed unsafe partial class CpuOps
{
    public void Accumulate(Tensor x, Tensor y) => Cpu.Elementwise.Accumulate(team, x.Count, Floats(x), Floats(y));
}

internal sealed partial class CudaOps
{
    public void Accumulate(Tensor x, Tensor y) => _elementwise.Accumulate(_stream, x.Count, x.Data, y.Data, TypeOf(x));
}

internal sealed partial class ReferenceOps
{
    public void Accumulate(Tensor x, Tensor y) => Add(y, Load(x));
}
