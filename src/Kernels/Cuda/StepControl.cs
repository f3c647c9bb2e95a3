using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Small kernels that move a step's <see cref="StepState"/> on without the host.</summary>
public sealed class StepControl(KernelLibrary library)
{
    public const int DefaultGrowthInterval = 2_000;
    public const float DefaultMinimum = 1;
    public const float DefaultMaximum = 16_777_216;

    private readonly SingleKernel _beginStep = new(library, "step_control.cu", "begin_step");
    private readonly SingleKernel _updateLossScale = new(library, "step_control.cu", "update_loss_scale");
    private readonly SingleKernel _restore = new(library, "step_control.cu", "restore_if_skipped");

    /// <summary>Prepares a step: copies the learning rate into the state and clears its Loss and Correct.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="learningRate">[1], float; device memory or pinned host memory.</param>
    public void BeginStep(CudaStream stream, nint state, nint learningRate)
    {
        var arguments = new KernelArguments();
        arguments.Add(state);
        arguments.Add(learningRate);
        _beginStep.Value.Launch(stream, new Grid(1), new Grid(1), 0, arguments);
    }

    /// <summary>
    /// Closes a step: notes its scale as <see cref="StepState.StepLossScale"/>, counts it as good or skipped by <see cref="StepState.FoundNonFinite"/>, and moves the scale:
    /// halved after an overflow, doubled after a run of good steps.
    /// </summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="enabled">Without scaling the steps are counted, and the scale stays what it is.</param>
    /// <param name="growthInterval">Good steps in a row after which the scale doubles.</param>
    /// <param name="minimum">Smallest scale.</param>
    /// <param name="maximum">Largest scale.</param>
    public void UpdateLossScale(
        CudaStream stream, nint state, bool enabled, int growthInterval = DefaultGrowthInterval, float minimum = DefaultMinimum, float maximum = DefaultMaximum)
    {
        var arguments = new KernelArguments();
        arguments.Add(state);
        arguments.Add(enabled ? 1 : 0);
        arguments.Add(growthInterval);
        arguments.Add(minimum);
        arguments.Add(maximum);
        _updateLossScale.Value.Launch(stream, new Grid(1), new Grid(1), 0, arguments);
    }

    /// <summary>values = before where <see cref="StepState.FoundNonFinite"/> is set: a skipped step takes back what its forward pass moved.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="count">Elements.</param>
    /// <param name="values">[count], float, updated.</param>
    /// <param name="before">[count], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    public void RestoreIfSkipped(CudaStream stream, long count, nint values, nint before, nint state)
    {
        if (count == 0)
        {
            return;
        }

        var arguments = new KernelArguments();
        arguments.Add(count);
        arguments.Add(values);
        arguments.Add(before);
        arguments.Add(state);
        arguments.Add(LaunchSize.Aligned(values, before));
        _restore.Value.Launch(stream, LaunchSize.Strided(LaunchSize.DivideUp(count, 4)), new Grid(LaunchSize.Threads), 0, arguments);
    }
}
