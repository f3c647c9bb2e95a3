using System.Runtime.InteropServices;
using CudaTrainer.Engine.Backends;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Optim;

/// <summary>The device's copy of the <see cref="StepState"/> that the ops of a step share.</summary>
public sealed class StepStateTensor : IDisposable
{
    public const float InitialLossScale = 1 << 15;

    private static readonly nint LearningRateOffset = Marshal.OffsetOf<StepState>(nameof(StepState.LearningRate));
    private static readonly nint LossOffset = Marshal.OffsetOf<StepState>(nameof(StepState.Loss));

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

    /// <summary>Prepares a step: sets its learning rate and clears its loss; the device's own fields stay untouched.</summary>
    /// <returns>The loss scale of the step.</returns>
    public float Begin(float learningRate)
    {
        Tensor.Device.Upload(MemoryMarshal.AsBytes(new ReadOnlySpan<float>(ref learningRate)), Tensor.Data + LearningRateOffset);
        Tensor.Device.Fill(Tensor.Data + LossOffset, 0, sizeof(float));
        return Read().LossScale;
    }

    public void Write(StepState state) => Tensor.Device.Upload(MemoryMarshal.AsBytes(new ReadOnlySpan<StepState>(ref state)), Tensor.Data);

    public void Dispose() => Tensor.Dispose();
}
