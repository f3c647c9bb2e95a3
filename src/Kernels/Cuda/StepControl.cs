using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Small kernels that move a step's <see cref="StepState"/> on without the host.</summary>
public sealed class StepControl(KernelLibrary library)
{
    public const int DefaultGrowthInterval = 2_000;
    public const float DefaultMinimum = 1;
    public const float DefaultMaximum = 16_777_216;

    private readonly SingleKernel _beginStep = new(library, "step_control.cu", "begin_step");
    private readonly SingleKernel _writeShared = new(library, "step_control.cu", "write_shared");
    private readonly SingleKernel _readShared = new(library, "step_control.cu", "read_shared");
    private readonly SingleKernel _updateLossScale = new(library, "step_control.cu", "update_loss_scale");
    private readonly SingleKernel _restore = new(library, "step_control.cu", "restore_if_skipped");

    /// <summary>Prepares a step: copies learning rate and request to stop into the state and clears its Loss and Correct.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="orders">[2], float: learning rate, and 1 to stop after the step, else 0; device memory or pinned host memory.</param>
    public void BeginStep(CudaStream stream, nint state, nint orders)
    {
        var arguments = new KernelArguments();
        arguments.Add(state);
        arguments.Add(orders);
        _beginStep.Value.Launch(stream, new Grid(1), new Grid(1), 0, arguments);
    }

    /// <summary>What a replica adds to a sum over all: [Loss, Correct, StopRequests, 0, buffers·share…].</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="count">Buffer elements n.</param>
    /// <param name="buffers">[n], float.</param>
    /// <param name="share">This replica's part of the batch's samples; with 0 the buffers are not read.</param>
    /// <param name="shared">Output: [4 + n], float.</param>
    public void WriteShared(CudaStream stream, nint state, int count, nint buffers, float share, nint shared)
    {
        var arguments = new KernelArguments();
        arguments.Add(state);
        arguments.Add(count);
        arguments.Add(buffers);
        arguments.Add(share);
        arguments.Add(shared);
        _writeShared.Value.Launch(stream, LaunchSize.Strided(count + 4), new Grid(LaunchSize.Threads), 0, arguments);
    }

    /// <summary>Puts the sum of what <see cref="WriteShared"/> wrote on all replicas back into state and buffers.</summary>
    /// <param name="stream">Where to queue.</param>
    /// <param name="shared">[4 + n], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="count">Buffer elements n.</param>
    /// <param name="buffers">Output: [n], float.</param>
    public void ReadShared(CudaStream stream, nint shared, nint state, int count, nint buffers)
    {
        var arguments = new KernelArguments();
        arguments.Add(shared);
        arguments.Add(state);
        arguments.Add(count);
        arguments.Add(buffers);
        _readShared.Value.Launch(stream, LaunchSize.Strided(count + 4), new Grid(LaunchSize.Threads), 0, arguments);
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
