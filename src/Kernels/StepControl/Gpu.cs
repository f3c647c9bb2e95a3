using CudaTrainer.Kernels.Device;
using CudaTrainer.Kernels.Interop;

namespace CudaTrainer.Kernels.Cuda;

/// <summary>Small kernels that move a step's <see cref="StepState"/> on without the host.</summary>
/// <remarks>
/// <para>Cost: a few words in one thread, or some kilobytes: the time of a launch. <see cref="RestoreIfSkipped"/> reads one word, and 8
/// bytes an element after an overflow.</para>
/// <para>Order: one thread, or one thread an element: no reduction.</para>
/// </remarks>
internal sealed unsafe class StepControl(KernelLibrary library)
{
    public const int DefaultGrowthInterval = 2_000;
    public const float DefaultMinimum = 1;
    public const float DefaultMaximum = 16_777_216;

    /// <summary>Numbers in front of the buffers in what replicas share: loss, correct, stop requests, and 0.</summary>
    private const int SharedScalars = 4;

    private readonly GpuKernel<BeginArguments> _beginStep = new(library, Begin);
    private readonly GpuKernel<SharedArguments> _writeShared = new(library, Write);
    private readonly GpuKernel<SharedArguments> _readShared = new(library, Read);
    private readonly GpuKernel<ScaleArguments> _updateLossScale = new(library, UpdateScale);
    private readonly GpuKernel<RestoreArguments> _restore = new(library, Restore);

    /// <summary>Prepares a step: copies learning rate and request to stop into the state and clears its Loss and Correct.</summary>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="controls">[2], float: learning rate, and 1 to stop after the step, else 0; device memory or pinned host memory.</param>
    public void BeginStep(CudaStream stream, nint state, nint controls)
    {
        _beginStep.Launch(stream, new Grid(1), new BeginArguments { State = new(state, 1), Controls = new(controls, 2) });
    }

    /// <summary>What a replica adds to a sum over all: [Loss, Correct, StopRequests, 0, buffers·share…].</summary>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="count">Buffer elements n.</param>
    /// <param name="buffers">[n], float.</param>
    /// <param name="share">This replica's part of the batch's samples; with 0 the buffers are not read.</param>
    /// <param name="shared">Output: [4 + n], float.</param>
    public void WriteShared(CudaStream stream, nint state, int count, nint buffers, float share, nint shared)
    {
        _writeShared.Launch(stream, LaunchSize.Strided(count + SharedScalars), new SharedArguments
        {
            State = new(state, 1),
            Buffers = new(buffers, count),
            Shared = new(shared, count + SharedScalars),
            Count = count,
            Share = share,
        });
    }

    /// <summary>Puts the sum of what <see cref="WriteShared"/> wrote on all replicas back into state and buffers.</summary>
    /// <param name="shared">[4 + n], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="count">Buffer elements n.</param>
    /// <param name="buffers">Output: [n], float.</param>
    public void ReadShared(CudaStream stream, nint shared, nint state, int count, nint buffers)
    {
        _readShared.Launch(stream, LaunchSize.Strided(count + SharedScalars), new SharedArguments
        {
            State = new(state, 1),
            Buffers = new(buffers, count),
            Shared = new(shared, count + SharedScalars),
            Count = count,
        });
    }

    /// <summary>
    /// Closes a step: notes its scale as <see cref="StepState.StepLossScale"/>, counts it as good or skipped by
    /// <see cref="StepState.FoundNonFinite"/>, and moves the scale: halved after an overflow, doubled after a run of good steps.
    /// </summary>
    /// <param name="state">The <see cref="StepState"/>.</param>
    /// <param name="enabled">Without scaling the steps are counted, and the scale stays what it is.</param>
    /// <param name="growthInterval">Good steps in a row after which the scale doubles.</param>
    /// <param name="minimum">Smallest scale.</param>
    /// <param name="maximum">Largest scale.</param>
    public void UpdateLossScale(
        CudaStream stream, nint state, bool enabled, int growthInterval = DefaultGrowthInterval, float minimum = DefaultMinimum,
        float maximum = DefaultMaximum)
    {
        _updateLossScale.Launch(stream, new Grid(1), new ScaleArguments
        {
            State = new(state, 1),
            Enabled = enabled ? 1 : 0,
            Interval = growthInterval,
            Minimum = minimum,
            Maximum = maximum,
        });
    }

    /// <summary>values = before where <see cref="StepState.FoundNonFinite"/> is set: a skipped step takes back what its forward pass
    /// moved.</summary>
    /// <param name="values">[count], float, updated.</param>
    /// <param name="before">[count], float.</param>
    /// <param name="state">The <see cref="StepState"/>.</param>
    public void RestoreIfSkipped(CudaStream stream, long count, nint values, nint before, nint state)
    {
        if (count == 0)
        {
            return;
        }

        _restore.Launch(stream, LaunchSize.Groups(count, CudaType.Float32), new RestoreArguments
        {
            Values = new(values, count),
            Before = new(before, count),
            State = new(state, 1),
            Count = count,
            Aligned = LaunchSize.Aligned(values, before),
        });
    }

    [GpuKernel(1)]
    private static void Begin(BeginArguments a)
    {
        StepState* state = a.State.Start;
        state->LearningRate = a.Controls.Start[0];
        state->StopRequests = a.Controls.Start[1];
        state->Loss = 0;
        state->Correct = 0;
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Write(SharedArguments a)
    {
        StepState* state = a.State.Start;
        for (long i = GpuThread.FirstItem; i < a.Count + SharedScalars; i += GpuThread.ItemStride)
        {
            float value = 0;
            if (i >= SharedScalars)
            {
                // An idle replica's buffers may hold anything; 0·NaN would be NaN.
                if (a.Share != 0)
                {
                    value = a.Buffers.Start[i - SharedScalars] * a.Share;
                }
            }
            else if (i == 0)
            {
                value = state->Loss;
            }
            else if (i == 1)
            {
                value = state->Correct;
            }
            else if (i == 2)
            {
                value = state->StopRequests;
            }

            a.Shared.Start[i] = value;
        }
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Read(SharedArguments a)
    {
        StepState* state = a.State.Start;
        for (long i = GpuThread.FirstItem; i < a.Count + SharedScalars; i += GpuThread.ItemStride)
        {
            float value = a.Shared.Start[i];
            if (i >= SharedScalars)
            {
                a.Buffers.Start[i - SharedScalars] = value;
            }
            else if (i == 0)
            {
                state->Loss = value;
            }
            else if (i == 1)
            {
                state->Correct = (int)value;
            }
            else if (i == 2)
            {
                state->StopRequests = value;
            }
        }
    }

    [GpuKernel(1)]
    private static void UpdateScale(ScaleArguments a)
    {
        StepState* state = a.State.Start;
        float scale = state->LossScale;
        state->StepLossScale = scale;
        if (state->FoundNonFinite != 0)
        {
            state->SkippedSteps += 1;
            state->ConsecutiveSkips += 1;
            state->GoodSteps = 0;
            state->LossScale = a.Enabled != 0 ? GpuMath.Max(scale * 0.5f, a.Minimum) : scale;
            return;
        }

        state->ConsecutiveSkips = 0;
        int good = state->GoodSteps + 1;
        bool grows = a.Enabled != 0 && good >= a.Interval;
        state->GoodSteps = grows ? 0 : good;
        state->LossScale = grows ? GpuMath.Min(scale * 2, a.Maximum) : scale;
    }

    [GpuKernel(LaunchSize.Threads)]
    private static void Restore(RestoreArguments a)
    {
        if (a.State.Start->FoundNonFinite == 0)
        {
            return;
        }

        for (long first = GpuThread.FirstItem * Four.Lanes; first < a.Count; first += GpuThread.ItemStride * Four.Lanes)
        {
            Four group = Four.ReadFloats(a.Before.Start + first, a.Count - first, a.Aligned);
            Four.WriteFloats(a.Values.Start + first, a.Count - first, a.Aligned, group);
        }
    }

    private struct BeginArguments
    {
        public GpuArray<StepState> State;
        public GpuArray<float> Controls;
    }

    private struct SharedArguments
    {
        public GpuArray<StepState> State;
        public GpuArray<float> Buffers;
        public GpuArray<float> Shared;
        public int Count;
        public float Share;
    }

    private struct ScaleArguments
    {
        public GpuArray<StepState> State;
        public int Enabled;
        public int Interval;
        public float Minimum;
        public float Maximum;
    }

    private struct RestoreArguments
    {
        public GpuArray<float> Values;
        public GpuArray<float> Before;
        public GpuArray<StepState> State;
        public long Count;
        public int Aligned;
    }
}
