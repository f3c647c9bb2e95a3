using System.Runtime.InteropServices;

namespace CudaTrainer.Kernels;

/// <summary>
/// The scalars of a training step. They live in device memory, so that a step runs without a round trip to the host: the host writes
/// learning rate before the step and may read the rest after it. 32-bit fields only, the same layout in C# and in CUDA.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct StepState
{
    /// <summary>Read by the optimiser.</summary>
    public float LearningRate;

    /// <summary>The loss's gradient is multiplied by it, and gradients are divided by it before use; ≥ 1, and 1 when there is no
    /// scaling.</summary>
    public float LossScale;

    /// <summary>Mean loss of the batch, unscaled; loss kernels add to it.</summary>
    public float Loss;

    /// <summary>Norm of all gradients after unscaling and before clipping; not finite when a gradient is not.</summary>
    public float GradientNorm;

    /// <summary>1 when a gradient of this step is infinite or NaN, else 0. The optimiser then skips the step.</summary>
    public int FoundNonFinite;

    /// <summary>Optimiser updates applied so far; Adam's t is this plus one during a step.</summary>
    public int AdamSteps;

    /// <summary>Steps without overflow since the loss scale last changed.</summary>
    public int GoodSteps;

    /// <summary>Steps skipped so far.</summary>
    public int SkippedSteps;

    /// <summary>Steps skipped since the last one applied.</summary>
    public int ConsecutiveSkips;

    /// <summary>Samples of the batch whose class was right; loss kernels add to it.</summary>
    public int Correct;

    /// <summary>The loss scale that the last finished step used.</summary>
    public float StepLossScale;

    /// <summary>Replicas that were asked to stop after this step.</summary>
    public float StopRequests;

    /// <summary>Steps finished so far, applied or skipped; selects the dropout masks.</summary>
    public readonly int Step => AdamSteps + SkippedSteps;
}
