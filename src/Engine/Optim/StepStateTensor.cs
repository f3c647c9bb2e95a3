using System.Runtime.InteropServices;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Optim;

/// <summary>The device's copy of the <see cref="StepState"/> that the ops of a step share.</summary>
public sealed class StepStateTensor : IDisposable
{
    public const float InitialLossScale = 1 << 15;

    public StepStateTensor(IDevice device, float lossScale = 1)
    {
        Tensor = Tensor.Allocate(device, [Marshal.SizeOf<StepState>()], DType.UInt8, "step state");
        Write(new StepState { LossScale = lossScale });
    }

    public Tensor Tensor { get; }

    /// <summary>Waits for the device and copies the state to the host.</summary>
    public StepState Read()
    {
        StepState state = default;
        Tensor.Device.Download(Tensor.Data, MemoryMarshal.AsBytes(new Span<StepState>(ref state)));
        return state;
    }

    public void Write(StepState state) => Tensor.Device.Upload(MemoryMarshal.AsBytes(new ReadOnlySpan<StepState>(ref state)), Tensor.Data);

    public void Dispose() => Tensor.Dispose();
}
