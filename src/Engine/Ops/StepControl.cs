using CudaTrainer.Engine.Tensors;
using CudaTrainer.Kernels;
using Cpu = CudaTrainer.Kernels.Cpu;
using Gpu = CudaTrainer.Kernels.Cuda;

namespace CudaTrainer.Engine.Ops;

internal partial interface IOps
{
    /// <summary>
    /// Prepares a step: StepState.LearningRate and StepState.StopRequests = <paramref name="controls"/>, StepState.Loss and
    /// StepState.Correct = 0.
    /// </summary>
    /// <param name="controls">[2]: learning rate, and 1 where this replica was asked to stop, else 0.</param>
    void BeginStep(Tensor state, Tensor controls);

    /// <summary>
    /// What a replica adds to a sum over all: StepState.Loss, Correct and StopRequests as they are, and buffers · <paramref name="share"/>,
    /// for a mean.
    /// </summary>
    /// <param name="shared">Output: [4 + n], the fourth number 0.</param>
    /// <param name="buffers">[n].</param>
    /// <param name="share">This replica's part of the batch's samples; with 0 its buffers are not read.</param>
    void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share);

    /// <summary>Puts the sum of what <see cref="WriteShared"/> wrote on all replicas back to where it came from.</summary>
    void ReadShared(Tensor shared, Tensor state, Tensor buffers);

    /// <summary>values = before where StepState.FoundNonFinite is set: a skipped step takes back what its forward pass moved.</summary>
    void RestoreIfSkipped(Tensor values, Tensor before, Tensor state);

    /// <summary>
    /// Dynamic loss scaling: notes the scale as StepState.StepLossScale, then halves on overflow, doubles after 2000 good steps, within [1,
    /// 2²⁴]; also counts steps when disabled.
    /// </summary>
    void UpdateLossScale(Tensor state, bool enabled);
}

internal sealed unsafe partial class CpuOps
{
    public void BeginStep(Tensor state, Tensor controls)
    {
        State(state)->LearningRate = Floats(controls)[0];
        State(state)->StopRequests = Floats(controls)[1];
        State(state)->Loss = 0;
        State(state)->Correct = 0;
    }

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share) =>
        Cpu.SharedStep.Write(State(state), buffers.Count, Floats(buffers), share, Floats(shared));

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers) =>
        Cpu.SharedStep.Read(Floats(shared), State(state), buffers.Count, Floats(buffers));

    public void RestoreIfSkipped(Tensor values, Tensor before, Tensor state)
    {
        if (State(state)->FoundNonFinite != 0)
        {
            values.CopyFrom(before);
        }
    }

    public void UpdateLossScale(Tensor state, bool enabled) => Cpu.LossScale.Update(State(state), enabled: enabled);
}

internal sealed partial class CudaOps
{
    private Gpu.StepControl StepControlKernels => field ??= new Gpu.StepControl(_kernels);

    public void BeginStep(Tensor state, Tensor controls) => StepControlKernels.BeginStep(_stream, state.Data, controls.Data);

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share) =>
        StepControlKernels.WriteShared(_stream, state.Data, (int)buffers.Count, buffers.Data, share, shared.Data);

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers) =>
        StepControlKernels.ReadShared(_stream, shared.Data, state.Data, (int)buffers.Count, buffers.Data);

    public void RestoreIfSkipped(
        Tensor values, Tensor before,
        Tensor state) => StepControlKernels.RestoreIfSkipped(_stream, values.Count, values.Data, before.Data, state.Data);

    public void UpdateLossScale(Tensor state, bool enabled) => StepControlKernels.UpdateLossScale(_stream, state.Data, enabled);
}

internal sealed partial class ReferenceOps
{
    private const int LossScaleGrowthInterval = 2000;
    private const float MaxLossScale = 1 << 24;

    public void BeginStep(Tensor state, Tensor controls)
    {
        ref StepState s = ref State(state);
        s.LearningRate = (float)Load(controls)[0];
        s.StopRequests = (float)Load(controls)[1];
        s.Loss = 0;
        s.Correct = 0;
    }

    public void WriteShared(Tensor state, Tensor buffers, Tensor shared, float share)
    {
        StepState s = State(state);
        Store(shared, [s.Loss, s.Correct, s.StopRequests, 0, .. Load(buffers).Select(value => share == 0 ? 0 : value * share)]);
    }

    public void ReadShared(Tensor shared, Tensor state, Tensor buffers)
    {
        double[] values = Load(shared);
        ref StepState s = ref State(state);
        s.Loss = (float)values[0];
        s.Correct = (int)values[1];
        s.StopRequests = (float)values[2];
        Store(buffers, values[4..]);
    }

    public void RestoreIfSkipped(Tensor values, Tensor before, Tensor state)
    {
        if (State(state).FoundNonFinite != 0)
        {
            Store(values, Load(before));
        }
    }

    public void UpdateLossScale(Tensor state, bool enabled)
    {
        ref StepState s = ref State(state);
        s.StepLossScale = s.LossScale;
        if (s.FoundNonFinite != 0)
        {
            s.SkippedSteps++;
            s.ConsecutiveSkips++;
            s.GoodSteps = 0;
            s.LossScale = enabled ? Math.Max(s.LossScale / 2, 1) : s.LossScale;
            return;
        }

        s.ConsecutiveSkips = 0;
        s.GoodSteps++;
        if (enabled && s.GoodSteps >= LossScaleGrowthInterval)
        {
            s.LossScale = Math.Min(s.LossScale * 2, MaxLossScale);
            s.GoodSteps = 0;
        }
    }
}
