namespace CudaTrainer.Kernels.Cpu;

/// <summary>Dynamic loss scaling (Micikevicius et al. 2018): doubles after a run of good steps, halves after an overflow.</summary>
internal static unsafe class LossScale
{
    public const float Initial = 32_768;
    public const int DefaultGrowthInterval = 2_000;
    public const float DefaultMinimum = 1;
    public const float DefaultMaximum = 16_777_216;

    /// <summary>Closes a step: counts it as good or skipped by <see cref="StepState.FoundNonFinite"/> and moves the scale.</summary>
    /// <param name="state">Counters and <see cref="StepState.LossScale"/>, updated.</param>
    /// <param name="growthInterval">Good steps in a row after which the scale doubles.</param>
    /// <param name="minimum">Smallest scale.</param>
    /// <param name="maximum">Largest scale.</param>
    /// <param name="enabled">Without scaling the steps are counted, and the scale stays what it is.</param>
    public static void Update(
        StepState* state, int growthInterval = DefaultGrowthInterval, float minimum = DefaultMinimum, float maximum = DefaultMaximum,
        bool enabled = true)
    {
        state->StepLossScale = state->LossScale;
        if (state->FoundNonFinite != 0)
        {
            state->SkippedSteps++;
            state->ConsecutiveSkips++;
            state->GoodSteps = 0;
            if (enabled)
            {
                state->LossScale = MathF.Max(minimum, state->LossScale * 0.5f);
            }

            return;
        }

        state->ConsecutiveSkips = 0;
        state->GoodSteps++;
        if (enabled && state->GoodSteps >= growthInterval)
        {
            state->LossScale = MathF.Min(maximum, state->LossScale * 2);
            state->GoodSteps = 0;
        }
    }
}
