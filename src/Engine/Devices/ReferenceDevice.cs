using CudaTrainer.Engine.Ops;
using CudaTrainer.Engine.Tensors;

namespace CudaTrainer.Engine.Devices;

/// <summary>The oracle: plain loops in double precision, one thread, no SIMD. Tensors may be of any type; only storing rounds.</summary>
public sealed class ReferenceDevice : HostDevice
{
    public ReferenceDevice()
        : base("reference") => TensorOps = new ReferenceOps();

    public override string Description => "plain loops in double precision";

    public override bool ComputesInHalf => true;

    public override ITensorOps TensorOps { get; }
}
