using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels;

/// <summary>
/// The scalars of a training step. One such block lives in device memory and is shared by the ops of a step, so that loss scaling, clipping and
/// skipping are decided on the device and no op hands a number to the host. The same layout serves the CUDA kernels: 32-bit fields only.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public struct StepState
{
    /// <summary>Written by the host before each step.</summary>
    public float LearningRate;

    /// <summary>What the loss's gradient is multiplied by; a power of two.</summary>
    public float LossScale;

    /// <summary>Mean loss of the batch; the loss op adds to it, the host clears it before each step.</summary>
    public float Loss;

    /// <summary>Euclidean norm of all unscaled gradients, before clipping.</summary>
    public float GradientNorm;

    /// <summary>1 when a gradient of this step is NaN or infinite.</summary>
    public int FoundNonFinite;

    /// <summary>Updates applied so far: Adam's t.</summary>
    public int AdamSteps;

    /// <summary>Good steps since the loss scale last changed.</summary>
    public int GoodSteps;

    /// <summary>Steps skipped so far because a gradient was not finite.</summary>
    public int SkippedSteps;

    /// <summary>Steps skipped in a row.</summary>
    public int ConsecutiveSkips;

    /// <summary>Steps begun so far; selects the dropout masks.</summary>
    public readonly int Step => AdamSteps + SkippedSteps;
}
