using CudaTrainer.Engine.Tensors;
using Cpu = CudaTrainer.Kernels.Cpu;

namespace CudaTrainer.Engine.Ops;

internal sealed unsafe partial class CpuOps
{
    public void Cast(Tensor x, Tensor y)
    {
        switch (x.DType, y.DType)
        {
            case (DType.Float32, DType.Float16):
                Cpu.Cast.ToHalf(team, x.Count, Floats(x), (Half*)y.Data);
                break;
            case (DType.Float16, DType.Float32):
                Cpu.Cast.ToSingle(team, x.Count, (Half*)x.Data, Floats(y));
                break;
            default:
                throw new TensorMismatchException(
                    "Cast", x.Name ?? "x", $"is {x.DType}; the cpu device converts between Float32 and Float16, not to {y.DType}.");
        }
    }
}

internal sealed partial class CudaOps
{
    public void Cast(Tensor x, Tensor y) => _elementwise.Cast(_stream, x.Count, x.Data, TypeOf(x), y.Data, TypeOf(y));
}

internal sealed partial class ReferenceOps
{
    public void Cast(Tensor x, Tensor y) => Store(y, Load(x));
}
