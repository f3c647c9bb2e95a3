using CudaTrainer.Engine.Autograd;
using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;

namespace CudaTrainer.Engine.Ops;

/// <summary>
/// The layer-sized maths that every device provides. Each op is declared in its own file of this folder, as a part of this interface, and
/// that file has all that is said of the op: contract, differentiable function, cases to check it by, and what each device does.
/// </summary>
/// <remarks>
/// <para>
/// Order of arguments: inputs, outputs, options. Shapes, types and devices are checked by the caller, once, before any device is called.
/// </para>
/// <para>Outputs and gradients of activations are overwritten; gradients of parameters are added to.</para>
/// <para>
/// Nothing here returns a number to the host: scalars stay on the device, in the <see cref="StepState"/> that the ops share, so that a
/// whole step can be queued, and on CUDA captured as a graph, without waiting.
/// </para>
/// </remarks>
internal partial interface IOps : ITensorOps;

internal static class OpsOfDevices
{
    extension(IDevice device)
    {
        /// <summary>All ops of the device.</summary>
        public IOps Ops => (IOps)device.TensorOps;
    }

    extension(Tape tape)
    {
        /// <summary>The ops of the tape's device.</summary>
        public IOps Ops => tape.Device.Ops;
    }
}
